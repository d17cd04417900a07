"""What a run writes: CSV and Markdown without pictures, and a page of pictures that stays outside the repository."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

import medcolor
from medcolor.benchmarking.colorizers.markdown import to_markdown
from medcolor.benchmarking.colorizers.run import Shown
from medcolor.benchmarking.colorizers.table import MAIN, Entry, Table, to_csv
from medcolor.benchmarking.outside import refuse_checkout
from medcolor.io.atomic import atomic_files, refuse_existing
from medcolor.report.scales import data_uri

CSV, MARKDOWN, PAGE = "colorizers.csv", "colorizers.md", "colorizers.html"
CELLS = "cells"
_LONGEST_SIDE = 400


def check_output(folder: Path, tables: Path | None = None, *, force: bool = False) -> None:
    """Refuse a folder inside a checkout of this project, or files that are there.

    Raises
    ------
    SettingError, OutputExistsError
    """
    refuse_checkout(folder, "The page of pictures")
    if not force:
        refuse_existing([folder / name for name in (CSV, MARKDOWN, PAGE)])
        if tables is not None:
            refuse_existing([tables / name for name in (CSV, MARKDOWN)])


def write_results(
    table: Table, shown: Sequence[Shown], folder: Path, *, tables: Path | None = None, force: bool = False
) -> list[Path]:
    """Write everything to ``folder``, and CSV and Markdown to ``tables`` as well.

    Raises
    ------
    SettingError, OutputExistsError
    """
    check_output(folder, tables, force=force)
    contents = {folder / CSV: to_csv(table), folder / MARKDOWN: to_markdown(table), folder / PAGE: render(table, shown)}
    if tables is not None:
        contents |= {tables / CSV: contents[folder / CSV], tables / MARKDOWN: contents[folder / MARKDOWN]}
    with atomic_files(contents, force=force) as files:
        for path, text in contents.items():
            with files.open(path) as stream:
                stream.write(text.encode())
    return list(contents)


def render(table: Table, shown: Sequence[Shown]) -> str:
    """Return the page: a row a modality, a column a method."""
    template = Template((Path(__file__).parent / "page.html").read_text(encoding="utf-8"))
    columns = [*table.methods, "target"]
    rows = "\n".join(_row(table, one, columns) for one in shown)
    return template.substitute(
        columns=len(columns),
        head="<span></span>" + "".join(f"<b>{html.escape(name)}</b>" for name in columns),
        rows=rows,
        facts="".join(f"<li>{html.escape(fact)}</li>" for fact in table.facts),
        version=html.escape(medcolor.__version__),
    )


def _row(table: Table, one: Shown, columns: Sequence[str]) -> str:
    cells = "".join(_cell(table.entry(name, one.family), one.pictures.get(name), name) for name in columns)
    return f'<div class="name"><b>{one.family}</b><small>{html.escape(one.caption)}</small></div>{cells}'


def _cell(entry: Entry | None, picture: NDArray[np.uint8] | None, name: str) -> str:
    if picture is None:
        why = "not asked for" if entry is None else f"{entry.status}: {entry.title}"
        return f'<div class="none">{html.escape(why)}</div>'
    said = "" if entry is None else f"{html.escape(entry.title)} · {entry.interval(MAIN).value:.2f}"
    stride = -(-max(picture.shape[:2]) // _LONGEST_SIDE)
    source = data_uri(picture[::stride, ::stride])
    return f'<figure><img alt="{html.escape(name)}" src="{source}"><figcaption>{said}</figcaption></figure>'


__all__ = ["CELLS", "CSV", "MARKDOWN", "PAGE", "check_output", "render", "write_results"]
