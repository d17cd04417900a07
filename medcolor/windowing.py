"""From a scan to the gray a radiologist sees: named windows, defaults per modality, display gray 0..255.

The display gray is the reference of the colour law: whatever colour does, this is what must come back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import UnknownColorizerError
from medcolor.scan import GRAY_LEVEL, Scan, from_slices, to_slices
from medcolor.voi import Display, VoiLut, Window

# Centre and width in HU, SUV for PET. Presets differ from viewer to viewer: "abdomen" and "brain" are OHIF's (soft
# tissue, brain), "lung" is 3D Slicer's, "bone" that of Radiopaedia's table, where "soft" is the mediastinum; our
# "mediastinum" is the wider one some viewers ship for the chest. "wide" and the PET windows are our own choice.
NAMED_WINDOWS: dict[str, dict[str, Window]] = {
    "CT": {
        name: Window(center, width, name=name)
        for name, (center, width) in {
            "abdomen": (40, 400),
            "soft": (50, 350),
            "lung": (-500, 1400),
            "bone": (400, 1800),
            "brain": (40, 80),
            "mediastinum": (40, 400),
            "wide": (0, 2000),
        }.items()
    },
    "PT": {"suv0-6": Window(3, 6, name="suv0-6"), "suv0-10": Window(5, 10, name="suv0-10")},
}
Entry = TypeVar("Entry", bound=np.generic)

_PIECE = 1 << 15  # elements looked up at a time: temporaries stay in a core's own cache
_SAMPLE = 2_000_000  # voxels looked at for percentiles: enough for 0.1 %, cheap on any volume


def named_window(name: str, family: str | None) -> Window:
    """Return a named window of a modality family.

    Raises
    ------
    UnknownColorizerError
        Names the windows that exist.
    """
    table = NAMED_WINDOWS.get(family or "", {})
    if name not in table:
        known = ", ".join(table) or "none"
        raise UnknownColorizerError(
            f'"{name}" is no window for {family or "this modality"}. Available: {known}; or give CENTER/WIDTH.'
        )
    return table[name]


def percentile_window(scan: Scan, low: float, high: float, *, name: str) -> Window:
    """Window between two percentiles of the voxels that are image (not padding, not the darkest background)."""
    values = to_slices(scan.voxels).reshape(-1) if scan.padding is None else scan.voxels[~np.asarray(scan.padding)]
    stride = max(1, values.size // _SAMPLE)
    while math.gcd(stride, scan.shape[0]) > 1:  # a stride that divides a row would see the same columns again and again
        stride += 1
    values = values[::stride]
    values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    foreground = values[values > values.min()] if values.size else values
    if foreground.size == 0:
        level = float(values[0]) if values.size else 0.0
        return Window(level, 1.0, name="constant image")
    a, b = (float(x) for x in np.percentile(foreground, (low, high)))
    least = float(np.finfo(np.float32).eps) * max(abs(a), abs(b), 1.0)
    return Window((a + b) / 2, max(b - a, least), name=name)


def default_display(scan: Scan) -> Display:
    """Return what the scan is shown with when nobody chose: the file's wish, else the modality's habit."""
    if scan.rgb is not None:
        return Window(127.5, 255, name="as stored")
    if scan.windows:
        return scan.windows[0]
    if scan.units == "HU":
        return NAMED_WINDOWS["CT"]["abdomen"]
    if scan.units.startswith("SUV"):
        return NAMED_WINDOWS["PT"]["suv0-6"]
    if scan.units == GRAY_LEVEL and scan.voxels.dtype == np.uint8:
        return Window(127.5, 255, name="as stored")
    if scan.family in {"XR", "MG"}:
        return percentile_window(scan, 0.5, 99.5, name="0.5-99.5 %")
    if scan.family in {"PT", "NM"}:
        return percentile_window(scan, 0.0, 99.5, name="0-99.5 %")
    return percentile_window(scan, 1.0, 99.5, name="1-99.5 %")


def display_bounds(scan: Scan) -> tuple[float, float]:
    """Return the values that the default display shows as black and as white, whichever polarity it has."""
    display = default_display(scan)
    if not isinstance(display, Window):
        display = percentile_window(scan, 1.0, 99.5, name="1-99.5 %")
    return display.bounds


def bent(values: NDArray[np.float32], bounds: tuple[float, float], log_gamma: float) -> NDArray[np.float32]:
    """Return values with the power e^log_gamma of the gray between two bounds, and as they are beyond and at them."""
    low, width = np.float32(bounds[0]), np.float32(bounds[1] - bounds[0])
    gray = (values - low) / width
    inside = (gray > 0) & (gray < 1)
    return np.where(inside, low + width * np.clip(gray, 0, 1) ** np.float32(math.exp(log_gamma)), values)


def resolve_display(scan: Scan, window: Display | str | None) -> Display:
    """Turn a user's choice (a window, "CENTER/WIDTH", a name, nothing) into what is applied.

    Raises
    ------
    UnknownColorizerError
        No window of that name.
    SettingError
        A width that is none.
    TypeError
    """
    if window is None:
        return default_display(scan)
    chosen = parse_window(window) if isinstance(window, str) else window
    if isinstance(chosen, str):
        return named_window(chosen, scan.family)
    if not isinstance(chosen, Window | VoiLut):
        raise TypeError(f'window must be a Window, "CENTER/WIDTH" or a name, got {type(chosen).__name__}.')
    return chosen


def parse_window(text: str) -> Window | str:
    """Read ``CENTER/WIDTH`` (or ``CENTER,WIDTH``) as a window; anything else is the name of one and comes back."""
    try:
        center, width = (float(part) for part in text.replace(",", "/").split("/"))
    except ValueError:
        return text
    return Window(center, width)


def look_up(table: NDArray[Entry], index: NDArray[Any], out: NDArray[Entry]) -> NDArray[Entry]:
    """Fill ``out`` with ``table[index]``, piece by piece: numpy widens an index to 8 bytes an element.

    Parameters
    ----------
    table : ndarray, (n, ...)
    index : ndarray of unsigned integers, C-contiguous, every value below n
    out : ndarray, (*index.shape, ...), of the same type, C-contiguous
    """
    places, targets = index.reshape(-1), out.reshape(-1, *table.shape[1:])
    for start in range(0, places.size, _PIECE):
        piece = slice(start, start + _PIECE)
        np.take(table, places[piece], axis=0, out=targets[piece], mode="clip")  # "clip" writes without a buffer
    return out


def grayscale(scan: Scan, display: Display) -> Callable[[slice], NDArray[np.uint8]]:
    """Return a function from a range of slices to their display gray, (n, nj, ni) uint8.

    Voxels of up to 16 bit go through one table of 65 536 entries, so a window costs one gather per voxel.
    """
    slices = to_slices(scan.voxels)
    table: NDArray[np.uint8] | None = None
    if slices.dtype.kind in "iu" and slices.dtype.itemsize <= 2:
        table = display.gray(np.arange(1 << (8 * slices.dtype.itemsize)).astype(slices.dtype))
        table = 255 - table if scan.inverted else table

    def gray_of(block: slice) -> NDArray[np.uint8]:
        values = slices[block]
        if table is not None:
            index = np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
            gray = look_up(table, index, np.empty(values.shape, np.uint8))
        else:
            gray = display.gray(values)
            if scan.inverted:
                gray = 255 - gray
                gray[np.isnan(values)] = 0  # what is no number is black, whichever way the file is shown
        if scan.padding is not None:
            gray[scan.padded(block)] = 0
        return gray

    return gray_of


def display_gray(scan: Scan, window: Display | str | None = None) -> NDArray[np.uint8]:
    """Return the whole scan as display gray.

    Parameters
    ----------
    scan : Scan
    window : Window, VoiLut, str or None
        A string is ``"CENTER/WIDTH"`` or the name of a window; None is the file's own display, else the modality's
        default.

    Returns
    -------
    ndarray of uint8, (ni, nj, nk)
    """
    return from_slices(grayscale(scan, resolve_display(scan, window))(slice(None)))


def inverse_table(scan: Scan, display: Display, levels: NDArray[Any]) -> NDArray[np.float64]:
    """Return, for gray levels 0..255, the scan value shown with it (for legends with units)."""
    if not isinstance(display, Window):
        raise TypeError("Only a window has an inverse; a VOI LUT need not be monotone.")
    gray = np.asarray(levels, dtype=np.float64)
    return display.values(255 - gray if scan.inverted else gray)
