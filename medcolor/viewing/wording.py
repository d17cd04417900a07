"""Measurements in words, for status bars and panels."""

from __future__ import annotations

from medcolor.color_scan import Law
from medcolor.scan import Scan
from medcolor.viewing.probing import Probe
from medcolor.voi import Display, Window, WindowFunction

_LEAST = 0.01  # a class less probable is not worth a word
_MOST = 3


def probe_words(probe: Probe) -> str:
    """Return one line: value with its unit, tissues with probabilities, confidence."""
    parts = [value_words(probe.value, probe.unit)]
    likely = [(name, share) for name, share in probe.tissue[:_MOST] if share >= _LEAST]
    if likely:
        parts.append(", ".join(f"{name.replace('_', ' ')} {_percent(share)}" for name, share in likely))
    if probe.confidence is not None:
        parts.append(f"confidence {_percent(probe.confidence)}")
    parts.append(f"gray {probe.gray}")
    return " · ".join(parts)


def value_words(value: float, unit: str) -> str:
    """Return a value as a radiologist writes it: whole HU, SUV with two decimals, and the unit where there is one."""
    if float(value).is_integer() or abs(value) >= 1000:
        number = f"{value:.0f}"
    else:
        number = f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3g}"
    return number.replace("-", "−") + ("" if unit in {"", "arbitrary", "gray level"} else f" {unit}")


def window_words(display: Display) -> str:
    """Return a window as a radiologist says it: name, center, width; a curve only where it is one."""
    if not isinstance(display, Window):
        return str(display)
    curve = " sigmoid" if display.function is WindowFunction.SIGMOID else ""
    return f"{display.name} C {display.center:g} W {display.width:g}{curve}".strip()


def legend_title(scan: Scan, display: Display) -> str:
    """Return modality and window with its unit; of SUV its bounds, as nobody thinks of them by center and width."""
    unit = "" if scan.units in {"", "arbitrary", "gray level"} else scan.units
    if unit.startswith("SUV") and isinstance(display, Window):
        low, high = display.bounds
        return f"{scan.modality}, {unit} {low:g} to {high:g}"
    return f"{scan.modality}, {window_words(display)} {unit}".rstrip()


def fidelity_words(broken: int, compared: int, law: Law, *, whole: bool = True) -> str:
    """Return what a user may rely on, with the count behind it.

    Parameters
    ----------
    broken, compared : int
        Of :meth:`ColoringSession.fidelity`.
    law : Law
    whole : bool
        Whether that is the whole scan; else the visible slice.
    """
    many, where = f"{compared:,}".replace(",", " "), "" if whole else " of this slice"
    if law is not Law.LIGHTNESS:
        said = "as the table has them" if not broken else "NOT as the table has them"
        return f"Gray recoverable: not promised by a colour table. Colours {said}: {broken} of {many}{where} differ."
    answer = "yes" if not broken else "NO"
    return f"Gray recoverable: {answer}, {broken} of {many} pixels{where} differ."


def _percent(share: float) -> str:
    """Return a percentage that says 100 only when it is."""
    shown = int(100 * share + 0.5)
    return f"{min(shown, 99) if share < 1 - 1e-6 else 100} %"


__all__ = ["fidelity_words", "legend_title", "probe_words", "value_words", "window_words"]
