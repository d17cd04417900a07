"""What a page shows of one coloured scan: who coloured it and why, how sure it is, and what another makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medcolor.bundle_files import TISSUE
from medcolor.bundles import method_of
from medcolor.color_scan import ColorScan
from medcolor.colorizers.auto import Choice, choice_for
from medcolor.errors import GeometryError, ModalityError
from medcolor.report import Comparison, Confidence, Entry
from medcolor.scan import Scan
from medcolor.voi import Display

if TYPE_CHECKING:
    from medcolor.colorizers import Colorizer, Progress


def entry_for(
    choice: Choice,
    scan: Scan,
    colored: ColorScan,
    *,
    display: Display | str | None = None,
    title: str = "",
    about: str = "",
    compare: Colorizer | None = None,
    progress: Progress | None = None,
) -> Entry:
    """Return what a page is asked to show.

    Parameters
    ----------
    choice : Choice
        What coloured the scan; :func:`~medcolor.colorizers.auto.choice_for`.
    scan, colored : Scan, ColorScan
    display, title, about
        As for :class:`~medcolor.report.Entry`.
    compare : Colorizer, optional
        To be compared with; where it refuses the scan, the page says why.
    progress : callable, optional
        Of the comparison.
    """
    colorizer = choice.colorizer
    return Entry(
        scan,
        colored,
        title,
        about,
        display=display,
        palette=colorizer.palette_for(scan),
        legend=colorizer.legend_for(scan),
        choice=choice.reason,
        confidence=confidence_for(colorizer, scan),
        compared=None if compare is None else compared(compare, scan, display, progress),
    )


def confidence_for(colorizer: Colorizer, scan: Scan) -> Confidence | None:
    """Return how sure a colorizer is of a scan; None for one that was not trained to know."""
    from medcolor.colorizers.chroma import ChromaColorizer
    from medcolor.colorizers.network import NetworkColorizer
    from medcolor.colorizers.prediction import HALF_CONFIDENCE

    if isinstance(colorizer, ChromaColorizer):
        words = "1: sure of its colour. 0: any colour would do."
        return Confidence(colorizer.predict(scan).confidence, words) if colorizer.doubts else None
    if not isinstance(colorizer, NetworkColorizer):
        return None
    return Confidence(
        colorizer.predict(scan).confidence,
        f"1: sure of its colour. 0.5: expects to be off by {HALF_CONFIDENCE:g} in (a*, b*), a plain difference between "
        "two tissues.",
    )


def compared(
    colorizer: Colorizer, scan: Scan, display: Display | str | None = None, progress: Progress | None = None
) -> Comparison:
    """Return what a colorizer makes of a scan, or why it refuses it."""
    name = colorizer.name
    try:
        chosen = choice_for(colorizer, scan).colorizer
        name = chosen.name
        return Comparison(name, chosen(scan, window=display, progress=progress))
    except (ModalityError, GeometryError) as error:
        return Comparison(name, None, str(error))


def load_compared(
    spec: str, *, palette: str | None, strength: float, cvd: str | None, device: str | None, trust: bool
) -> Colorizer:
    """Build the colorizer to compare with: the same options, as far as it has them.

    Raises
    ------
    MedcolorError
        As :func:`~medcolor.colorizers.load_colorizer`.
    """
    from medcolor.colorizers import load_colorizer

    kind = spec.partition(":")[0]
    if kind in {"lut", "seg"}:
        return load_colorizer(spec, strength=strength)
    where = None if kind == "physics" else device
    if kind not in {"auto", "physics"} and method_of(spec) not in {None, TISSUE}:
        palette = None  # its colours are learned
    return load_colorizer(spec, palette=palette, strength=strength, cvd=cvd, device=where, trust=trust)


__all__ = ["compared", "confidence_for", "entry_for", "load_compared"]
