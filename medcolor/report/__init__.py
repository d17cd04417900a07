"""Self-contained HTML pages: gray and colour under one slider, a legend with units, and figures that can be checked.

A page needs no network and opens from disk. It holds pictures of the scan: it is as confidential as the scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medcolor.color_scan import ColorScan
from medcolor.errors import OutputExistsError
from medcolor.scan import Scan
from medcolor.voi import Display


@dataclass(frozen=True)
class Entry:
    """One scan of a page.

    Parameters
    ----------
    scan, colored
        The same grid.
    title : str
        Shown above the picture; empty: modality and colorizer.
    about : str
        Where the image is from, its licence, or "simulated".
    display : Window, VoiLut, str or None
        What the scan was coloured with.
    """

    scan: Scan
    colored: ColorScan
    title: str = ""
    about: str = ""
    display: Display | str | None = None


def write_page(entries: Sequence[Entry], path: Path, *, title: str, force: bool = False) -> Path:
    """Write one HTML page of all entries.

    Raises
    ------
    OutputExistsError
        ``path`` exists and ``force`` is not set.
    """
    from medcolor.io.atomic import atomic_write
    from medcolor.report.page import render

    if path.exists() and not force:
        raise OutputExistsError(f"{path} exists. Pass force=True (--force) to replace it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    html = render(entries, title).encode()
    atomic_write(path, html)
    return path


__all__ = ["Entry", "write_page"]
