"""What a page is asked to show of one scan."""

from __future__ import annotations

from dataclasses import dataclass

from medcolor.color_scan import ColorScan
from medcolor.palettes import Palette
from medcolor.report.comparison import Comparison, Confidence
from medcolor.report.legend import Legend
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
    palette : Palette or None
        Class colours, where the colorizer has them (``colorizer.palette_for(scan)``).
    legend : Legend or None
        What the colorizer says of its colours (``colorizer.legend_for(scan)``). Without one, the page measures the
        classes of ``palette`` with the tissue model, or draws the ramp of a table.
    choice : str
        Why this colorizer, where it was chosen and not named.
    confidence : Confidence or None
        How sure the colorizer is, where it was trained to know.
    compared : Comparison or None
        What another colorizer makes of the scan.
    """

    scan: Scan
    colored: ColorScan
    title: str = ""
    about: str = ""
    display: Display | str | None = None
    palette: Palette | None = None
    legend: Legend | None = None
    choice: str = ""
    confidence: Confidence | None = None
    compared: Comparison | None = None
