"""What a run says of itself before and after: counts, and where nothing came of it, why; no name, path or UID."""

from __future__ import annotations

from collections import Counter

from medcolor.batch.accounts import Accounts
from medcolor.batch.plan import Plan
from medcolor.batch.task import State

_REASONS = 5  # said where nothing was coloured; all are in the summary


def many(count: int, what: str) -> str:
    """Return a count of things: "1 file", "2 files", "2 series"."""
    return f"{count} {what}" if count == 1 or what.endswith("s") else f"{count} {what}s"


def plan_line(plan: Plan, accounts: Accounts) -> str:
    """Return what was found and what is left to do."""
    series = len(plan.todo) + len(plan.finished)
    bad = sum(state is not State.ASIDE for _, state, _, _ in plan.others)
    aside = len(plan.others) - bad
    parts = [f"{len(plan.todo)} to do"]
    parts += [f"{accounts.earlier} finished before"] if accounts.earlier else []
    parts += [f"{many(bad, 'file')} refused"] if bad else []
    parts += [f"{many(aside, 'file')} left aside"] if aside else []
    return f"{many(plan.files, 'file')}, {many(series, 'series')}: {', '.join(parts)}"


def closing_lines(accounts: Accounts) -> list[str]:
    """Return what came of a run: a line, and where nothing was coloured, the reasons."""
    done, partial = accounts.series[State.DONE], accounts.series[State.PARTIAL]
    codes = Counter(refusal.code for refusal in accounts.refusals if refusal.state is not State.PARTIAL)
    if done or partial:
        parts = [f"{many(done + partial, 'series')} coloured"]
        parts += [f"{partial} of them in part"] if partial else []
        parts += [f"{accounts.earlier} finished before"] if accounts.earlier else []
        if codes:
            why = ", ".join(f"{code} {count}" for code, count in codes.most_common())
            parts.append(f"{codes.total()} refused or failed ({why})")
        rest = "; summary.html says which and why" if accounts.refusals else ""
        return [f"{', '.join(parts)}{rest}"]
    if accounts.refusals:
        reasons = Counter((refusal.code, refusal.reason) for refusal in accounts.refusals)
    elif accounts.aside:
        reasons = accounts.aside
    else:
        return []
    lines = [f"nothing was coloured: {many(len(accounts.files), 'file')}, and no scan among them that could be"]
    return lines + [f"  {count} x {code}: {reason}" for (code, reason), count in reasons.most_common(_REASONS)]


__all__ = ["closing_lines", "many", "plan_line"]
