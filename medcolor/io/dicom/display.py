"""How the file asks to be shown: windows, VOI LUTs, polarity (PS3.3 C.11.2, C.11.6)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.io.dicom import header
from medcolor.io.dicom.rescale import Rescale
from medcolor.voi import Display, VoiLut, Window, WindowFunction

Note = tuple[str, str]


def is_inverted(ds: Any, photometric: str) -> bool:
    """Whether low values are bright: MONOCHROME1, or a presentation LUT that inverts (they are one statement)."""
    return photometric == "MONOCHROME1" or header.text(ds, "PresentationLUTShape").upper() == "INVERSE"


def displays(
    headers: Sequence[Any], frames: Sequence[tuple[int, int]], rescales: Sequence[Rescale]
) -> tuple[tuple[Display, ...], list[Note]]:
    """Return one list of windows and tables for the whole volume, the default first, and findings.

    Slices that ask for different windows get one window, the median of centers and widths: gray must mean the same
    through a volume. A VOI LUT comes before windows, as the maker's own curve.

    Parameters
    ----------
    headers, frames
        As in ``values.read_frames``.
    rescales : sequence of Rescale
        One for each slice. Windows are in rescaled units; where the units come from a real world value mapping, or
        were scaled (SUV), they are carried along.
    """
    notes: list[Note] = []
    per_slice: list[list[Window]] = []
    seen: dict[tuple[int, int], list[Window]] = {}
    for index, frame in frames:
        ds = headers[index]
        group = header.functional_group(ds, frame, "FrameVOILUTSequence")
        key = (index, -1 if group is None else frame)
        if key not in seen:
            seen[key] = _windows(group if group is not None else ds, notes)
        per_slice.append(seen[key])
    windows = _shared(per_slice, notes)
    middle = frames[len(frames) // 2]
    luts = _luts(headers[middle[0]], notes)
    if luts and any(_lut_bytes(headers[i]) != _lut_bytes(headers[middle[0]]) for i in {i for i, _ in frames}):
        notes.append(("voi-lut-varies", "The VOI LUT differs between slices: the middle slice's is used for all."))
    return (*luts, *windows), list(dict.fromkeys(notes))


def carried(window: Display, rescale: Rescale) -> Display | None:
    """Return a display given for other units in the units that ``rescale`` makes of them; None for a table."""
    if not isinstance(window, Window) or rescale.slope <= 0:
        return None
    if window.function is WindowFunction.LINEAR:  # its "- 1" is one stored unit: say the same bounds exactly
        low, high = window.bounds
        if high <= low:
            return None
        window = Window((low + high) / 2, high - low, WindowFunction.LINEAR_EXACT, window.name)
    center, width = window.center * rescale.slope + rescale.intercept, window.width * rescale.slope
    return Window(center, width, window.function, window.name)


def _windows(place: Any, notes: list[Note]) -> list[Window]:
    centers, widths = header.numbers(place, "WindowCenter"), header.numbers(place, "WindowWidth")
    if not centers and not widths:
        return []
    if len(centers) != len(widths):
        notes.append(("window-incomplete", "Window centers and widths differ in number: the surplus is ignored."))
    names = [str(x).strip() for x in header.values(place, "WindowCenterWidthExplanation")]
    said = header.text(place, "VOILUTFunction").upper() or "LINEAR"
    try:
        function = WindowFunction(said)
    except ValueError:
        notes.append(("window-function-unknown", "An unknown VOI LUT function is shown as LINEAR."))
        function = WindowFunction.LINEAR
    windows: list[Window] = []
    for n, (center, width) in enumerate(zip(centers, widths, strict=False)):
        least = 1 if function is WindowFunction.LINEAR else 0
        if not (math.isfinite(center) and math.isfinite(width)) or width <= 0 or width < least:
            notes.append(
                (
                    "window-invalid",
                    f"A {function} window needs a width {'of at least 1' if least else 'above 0'} and a finite center: "
                    "this one is ignored.",
                )
            )
            continue
        windows.append(Window(center, width, function, _plain(names[n]) if n < len(names) else ""))
    return windows


def _plain(name: str) -> str:
    """Keep a window's name short and printable."""
    return "".join(c for c in name if c.isprintable())[:32]


def _shared(per_slice: Sequence[Sequence[Window]], notes: list[Note]) -> tuple[Window, ...]:
    most = max((len(w) for w in per_slice), default=0)
    result: list[Window] = []
    for n in range(most):
        column = [w[n] for w in per_slice if len(w) > n]
        distinct = {(w.center, w.width, w.function) for w in column}
        if len(distinct) == 1:
            result.append(column[0])
            continue
        center, width = (float(np.median([getattr(w, what) for w in column])) for what in ("center", "width"))
        result.append(Window(center, width, column[0].function, column[0].name))
        if n == 0:
            notes.append(
                (
                    "window-varies",
                    f"Slices ask for {len(distinct)} different windows: their median, C {center:g} W {width:g}, "
                    "is used for all.",
                )
            )
    return tuple(dict.fromkeys(result))


def _luts(ds: Any, notes: list[Note]) -> tuple[VoiLut, ...]:
    result = []
    for item in header.items(ds, "VOILUTSequence"):
        table = _lut(item)
        if table is None:
            notes.append(("voi-lut-invalid", "A VOI LUT does not fit its descriptor: it is ignored."))
        else:
            result.append(table)
    return tuple(result)


def _lut_bytes(ds: Any) -> list[tuple[Any, bytes]]:
    return [(header.values(i, "LUTDescriptor"), _entries_raw(i)) for i in header.items(ds, "VOILUTSequence")]


def _entries_raw(item: Any) -> bytes:
    data = header.value(item, "LUTData")
    return bytes(data) if isinstance(data, bytes | bytearray) else repr(data).encode()


def _lut(item: Any) -> VoiLut | None:
    descriptor = header.numbers(item, "LUTDescriptor")
    data = header.value(item, "LUTData")
    if len(descriptor) != 3 or data is None or any(math.isnan(d) for d in descriptor):
        return None
    count, first, bits = (int(d) for d in descriptor)
    count = (count % 65536) or 65536  # 0 stands for 65536; a count read as signed wraps
    if not 1 <= bits <= 16:
        return None
    if first >= 32768 and _is_signed(item):
        first -= 65536
    entries = _entries(item, data, count, bits)
    if entries is None:
        return None
    top = max((1 << bits) - 1, int(entries.max()))
    table = ((entries.astype(np.int64) * 510 + top) // (2 * top)).astype(np.uint8)
    return VoiLut(float(first), table, _plain(header.text(item, "LUTExplanation")))


def _entries(item: Any, data: Any, count: int, bits: int) -> NDArray[Any] | None:
    if isinstance(data, bytes | bytearray):
        order = "<" if getattr(item, "is_little_endian", True) in (True, None) else ">"
        if bits <= 8 and len(data) in (count, count + 1):
            entries: NDArray[Any] = np.frombuffer(data, np.uint8)
        else:
            entries = np.frombuffer(data, f"{order}u2", len(data) // 2)
    else:
        try:
            entries = np.atleast_1d(np.asarray(data, dtype=np.int64)) & 0xFFFF
        except (TypeError, ValueError, OverflowError):
            return None
        if bits <= 8 and entries.size == (count + 1) // 2 < count:  # two 8-bit entries in each word
            entries = entries.astype("<u2").view(np.uint8)
    return entries[:count] if entries.size >= count else None


def _is_signed(item: Any) -> bool:
    """Whether the descriptor's first value means a negative input (PS3.3 C.11.2.1.1: signed where the input is)."""
    try:
        return str(item.get_item("LUTDescriptor").VR) == "SS" or bool(
            item.parent_seq.parent_dataset.PixelRepresentation
        )
    except Exception:
        return False
