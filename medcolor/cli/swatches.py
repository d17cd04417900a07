"""Palettes drawn for people: in the terminal, or as a page."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from medcolor.color import apply_color
from medcolor.errors import UnknownColorizerError
from medcolor.palettes import Palette, list_palettes, load_palette
from medcolor.report import write_html
from medcolor.scan import MODALITIES, family
from medcolor.vision import Deficiency, separability

_GRAYS = (71, 119, 171)  # sRGB grays nearest L* 30, 50 and 70


def chosen(modality: str | None) -> Iterator[Palette]:
    """Yield the palettes of one modality, or of all."""
    wanted = None if modality is None else family(modality)
    if modality is not None and wanted is None:
        raise UnknownColorizerError(f'"{modality}" has no palettes. Modalities: {", ".join(MODALITIES)}.')
    for name, style in list_palettes():
        if wanted in (None, name):
            yield load_palette(name, style)


def swatches(palette: Palette) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return (classes, 3 lightnesses, 3) sRGB."""
    gray = np.array(_GRAYS, np.uint8)[None].repeat(len(palette.classes), axis=0)
    return apply_color(gray, palette.ab[:, None].repeat(len(_GRAYS), axis=1))


def figures(palette: Palette) -> dict[str, float]:
    """Return the smallest CIEDE2000 between neighbours for normal vision and each full dichromacy."""
    views: list[Deficiency | None] = [None, *Deficiency]
    return {
        "normal" if view is None else str(view): float(np.min(separability(palette.ab, deficiency=view)))
        for view in views
    }


def draw(modality: str | None) -> None:
    """Draw on stdout: results go there."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for palette in chosen(modality):
        table = Table(title=f"{palette.modality} {palette.style}", title_justify="left", box=None, padding=(0, 1))
        for column in ("L* 30 50 70", "class", "a*, b*", "meaning"):
            table.add_column(column)
        for entry, row in zip(palette.classes, swatches(palette), strict=True):
            blocks = Text("".join("   " for _ in row))
            for n, (r, g, b) in enumerate(row.tolist()):
                blocks.stylize(f"on rgb({r},{g},{b})", 3 * n, 3 * n + 3)
            table.add_row(blocks, entry.name, f"{entry.ab[0]:6.1f} {entry.ab[1]:6.1f}", entry.meaning)
        console.print(table)
        parts = ", ".join(f"{view} {value:.1f}" for view, value in figures(palette).items())
        console.print(f"  smallest CIEDE2000 between neighbours: {parts}\n", highlight=False)


def write_swatches(path: Path, modality: str | None, *, force: bool) -> Path:
    """Write the palettes as a self-contained page."""
    sections = "".join(_section(palette) for palette in chosen(modality))
    return write_html(_PAGE_HEAD + sections + "</body></html>\n", path, force=force)


def _section(palette: Palette) -> str:
    rows = "".join(
        "<tr>"
        + "".join(f'<td style="background:rgb({r},{g},{b})">&emsp;&emsp;</td>' for r, g, b in row.tolist())
        + f"<td>{html.escape(entry.name)}</td><td>{html.escape(entry.meaning)}</td></tr>"
        for entry, row in zip(palette.classes, swatches(palette), strict=True)
    )
    parts = ", ".join(f"{view} {value:.1f}" for view, value in figures(palette).items())
    return (
        f"<h2>{palette.modality} {palette.style}</h2><table>{rows}</table>"
        f"<p>Smallest CIEDE2000 between neighbours: {parts}</p>"
    )


_PAGE_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>medcolor palettes</title>
<style>body{background:#2b2b2b;color:#e4e4e4;font:15px/1.5 system-ui,sans-serif;margin:24px}
td{padding:2px 8px}h2{font-size:17px}p{color:#a8a8a8}</style></head><body><h1>Palettes</h1>
<p>Swatches at L* 30, 50 and 70. Designed colours, not measured ones, save where a source says so.</p>
"""
