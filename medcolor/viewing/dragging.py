"""Windows that a hand on the mouse makes."""

from __future__ import annotations

from math import exp

from medcolor.voi import Display, VoiLut, Window, WindowFunction

_DOUBLING = 200.0  # pixels to the right that widen a window e-fold
_HEIGHT = 400.0  # pixels down that move the centre by one width


def dragged(display: Display, right: float, down: float) -> Window:
    """Return the window after a drag: to the right widens, down raises the centre (darker), as viewers have it.

    Parameters
    ----------
    display : Window or VoiLut
        As the drag began; of a table, the straight window over its entries.
    right, down : float
        Pixels since then.
    """
    window = straight(display)
    least = 1.0 if window.function is WindowFunction.LINEAR else 1e-6
    width = max(window.width * exp(min(max(right / _DOUBLING, -20.0), 20.0)), least)
    center = window.center + window.width * down / _HEIGHT
    return Window(_rounded(center, width), _rounded(width, width) or least, window.function)


def straight(display: Display) -> Window:
    """Return a display as a window: itself, or the one that spans a table's entries."""
    if isinstance(display, Window):
        return display
    return between(*bounds(display))


def bounds(display: Display) -> tuple[float, float]:
    """Return the values shown black and white."""
    if isinstance(display, VoiLut):
        return display.first, display.first + max(len(display.table) - 1, 1)
    return display.bounds


def between(low: float, high: float) -> Window:
    """Return the window from black to white."""
    low, high = min(low, high), max(low, high)
    return Window((low + high) / 2, max(high - low, 1e-6))


def _rounded(value: float, width: float) -> float:
    """Drop digits nobody sees: a thousandth of the width at most."""
    step = 10.0 ** max(-6, min(2, len(f"{width:.0f}") - 4)) if width >= 1 else 1e-6
    return round(value / step) * step


__all__ = ["between", "bounds", "dragged", "straight"]
