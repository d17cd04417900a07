"""Self-contained HTML pages: gray and colour under one slider, a legend with units, and figures that can be checked.

A page needs no network and opens from disk. It holds pictures of the scan: it is as confidential as the scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medcolor.report.comparison import Comparison, Confidence
from medcolor.report.entry import Entry
from medcolor.report.legend import Legend, LegendRow


def write_page(entries: Sequence[Entry], path: Path, *, title: str, force: bool = False) -> Path:
    """Write one HTML page of all entries.

    Raises
    ------
    OutputExistsError
        ``path`` exists and ``force`` is not set.
    """
    from medcolor.report.page import render

    return write_html(render(entries, title), path, force=force)


def write_html(html: str, path: Path, *, force: bool = False) -> Path:
    """Write a page, whole or not at all."""
    from medcolor.io.atomic import atomic_files

    with atomic_files([path], force=force) as files, files.open(path) as stream:
        stream.write(html.encode())
    return path


__all__ = ["Comparison", "Confidence", "Entry", "Legend", "LegendRow", "write_html", "write_page"]
