"""The page an operator reads in the morning: every file accounted for, refusals by reason, a picture of each series."""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from string import Template

import medcolor
from medcolor.batch.accounts import Accounts, Refusal
from medcolor.batch.journal import Row
from medcolor.batch.publishing import write_text
from medcolor.batch.task import State
from medcolor.batch.telling import many

_NAMED = 50  # of one reason; the rest is counted
_PICTURES = 2000


def write_summary(out: Path, accounts: Accounts, rows: Iterable[Row]) -> Path:
    """Write OUT/summary.html and return it.

    Parameters
    ----------
    out : Path
    accounts : Accounts
    rows : iterable of Row
        The coloured series, taken one by one.
    """
    template = Template((Path(__file__).parent / "summary.html").read_text(encoding="utf-8"))
    page = template.substitute(
        accounts=_accounts(accounts),
        refusals=_refusals(accounts.refusals),
        aside=_aside(accounts),
        gallery=_gallery(rows),
        version=html.escape(medcolor.__version__),
    )
    target = out / "summary.html"
    write_text(target, page, out)
    return target


def _accounts(accounts: Accounts) -> str:
    files, states = accounts.by_state, (*State,)
    rows = "".join(
        f'<tr><td>{html.escape(str(state))}</td><td class="n">{accounts.series[state]}</td>'
        f'<td class="n">{files[state]}</td></tr>'
        for state in states
        if accounts.series[state] or files[state]
    )
    numbers = f'<td class="n">{accounts.series.total()}</td><td class="n" id="files">{files.total()}</td>'
    total = f"<tr><th>in all</th>{numbers}</tr>"
    notes = []
    if accounts.earlier:
        notes.append(f"{accounts.earlier} series were finished by an earlier run.")
    if accounts.left_out:
        notes.append(
            f"{many(accounts.left_out, 'file')} of coloured series not in any output: damaged ones, and copies."
        )
    return (
        f"<table><tr><th></th><th>series</th><th>files</th></tr>{rows}{total}</table>"
        f"<p>{html.escape(' '.join(notes))}</p>"
    )


def _refusals(refusals: list[Refusal]) -> str:
    if not refusals:
        return "<h2>Refusals</h2><p>None.</p>"
    groups: dict[tuple[str, str], list[Refusal]] = defaultdict(list)
    for refusal in refusals:
        groups[refusal.code, refusal.reason].append(refusal)
    parts = []
    for (code, reason), members in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        names = ", ".join(f"<code>{html.escape(_name(each))}</code>" for each in members[:_NAMED])
        more = f" and {len(members) - _NAMED} more" if len(members) > _NAMED else ""
        parts.append(
            f'<tr><td class="n">{len(members)}</td><td>{html.escape(code)}<br>'
            f"<small>{html.escape(str(members[0].state))}</small></td><td>{html.escape(reason)}<br><small>{names}{more}</small></td></tr>"
        )
    return f"<h2>Refusals, by reason</h2><table><tr><th></th><th>code</th><th>why</th></tr>{''.join(parts)}</table>"


def _name(refusal: Refusal) -> str:
    if refusal.labels == (refusal.name,):
        return refusal.name
    left = f"; not in the output: {', '.join(refusal.left_out)}" if refusal.left_out else ""
    return f"{refusal.name} ({many(len(refusal.labels), 'file')}{left})"


def _aside(accounts: Accounts) -> str:
    if not accounts.aside:
        return ""
    rows = "".join(
        f'<tr><td class="n">{count}</td><td>{html.escape(code)}</td><td>{html.escape(reason)}</td></tr>'
        for (code, reason), count in sorted(accounts.aside.items(), key=lambda item: (-item[1], item[0]))
    )
    title = f"Files left aside: no scans ({accounts.aside.total()})"
    return f"<details><summary>{title}</summary><table>{rows}</table></details>"


def _gallery(rows: Iterable[Row]) -> str:
    shown: list[str] = []
    left = 0
    for row in rows:
        if len(shown) == _PICTURES:
            left += 1
            continue
        facts = row.outcome.facts
        size = "×".join(str(n) for n in facts.get("shape", ()))
        text = f"{row.key[:10]} {facts.get('modality', '')} {size} {facts.get('colorizer', '')}"
        image = f'<img alt="" loading="lazy" src="data:image/png;base64,{html.escape(row.outcome.thumbnail)}">'
        shown.append(
            f'<a href="{row.study}/{row.key}/"><figure>{image}<figcaption>{html.escape(text)}</figcaption></figure></a>'
        )
    more = f"<p>and {left} more</p>" if left else ""
    return f'<h2>Coloured series</h2><div class="grid">{"".join(shown)}</div>{more}' if shown else ""
