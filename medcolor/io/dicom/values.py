"""From DICOM headers and stored frames to one block of true values, with all that the file says about them."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import ReadCode, ReadError
from medcolor.io.dicom import display, header
from medcolor.io.dicom.block import ValueBlock
from medcolor.io.dicom.color_space import PaletteTable
from medcolor.io.dicom.colored import color_flow_regions, colored_pixels
from medcolor.io.dicom.frames import drop_pixels, stored_frames
from medcolor.io.dicom.padding import is_lossy, padding_of, split
from medcolor.io.dicom.pixels import PALETTE, Layout, check_header, pixel_length
from medcolor.io.dicom.rescale import rescale_of, settle
from medcolor.io.dicom.units import Units, choose_units
from medcolor.scan import GRAY_LEVEL, Finding, Severity
from medcolor.voi import VoiLut, Window

_NOTES = frozenset({"window-varies", "constant-image", "suv-from-file"})
_MG_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"


@dataclass(frozen=True, slots=True, eq=False)
class PixelBlock:
    """The pixels of one stack of frames.

    Parameters
    ----------
    voxels : ndarray, (nk, nj, ni), C-contiguous
        Values in ``units``; the luminance gray of colour images.
    units : str
    windows : tuple of Window or VoiLut
        What the file asks to be shown with, the default first.
    inverted : bool
        MONOCHROME1 or an inverting presentation LUT; voxels are left as they are.
    padding : ndarray of bool, (nk, nj, ni), or None
        Where there is no image; the voxels there hold -1024 (HU) or the least valid value.
    rgb : ndarray of uint8, (nk, nj, ni, 3), or None
        The pixels of colour images.
    colored : ndarray of bool, (nk, nj, ni), or None
        Where ``rgb`` is colour that passes through; None when nothing is.
    findings : tuple of Finding
    """

    voxels: NDArray[Any]
    units: str
    windows: tuple[Window | VoiLut, ...]
    inverted: bool
    padding: NDArray[np.bool_] | None
    rgb: NDArray[np.uint8] | None
    colored: NDArray[np.bool_] | None
    findings: tuple[Finding, ...]


def read_frames(
    headers: Sequence[Any], frames: Sequence[tuple[int, int]], paths: Sequence[Path | str], modality: str
) -> PixelBlock:
    """Decode frames instance by instance straight into one block of true values.

    Parameters
    ----------
    headers : sequence of pydicom.Dataset
        Pixel data present or deferred; it is dropped from each once used.
    frames : sequence of (int, int)
        For each slice, in final order: (index into ``headers``, 0-based frame number).
    paths : sequence of Path
        One for each header; named in errors.
    modality : str
        DICOM modality code that decides what values mean.

    Returns
    -------
    PixelBlock

    Raises
    ------
    ReadError
        Any code of :func:`~medcolor.io.dicom.pixels.check_header`, UNDECODABLE, or FOR_PROCESSING.
    """
    if not frames:
        raise ReadError(paths[0] if paths else "", ReadCode.EMPTY, "No frames to read.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings quote values, which may be the patient's
        try:
            return _read(headers, frames, paths, modality.upper())
        except MemoryError as error:
            raise ReadError(
                paths[0], ReadCode.TOO_LARGE, "The decoded images do not fit into memory.", "Read fewer slices."
            ) from error


def _read(
    headers: Sequence[Any], frames: Sequence[tuple[int, int]], paths: Sequence[Path | str], modality: str
) -> PixelBlock:
    used = list(dict.fromkeys(index for index, _ in frames))
    layouts = {index: check_header(headers[index], paths[index]) for index in used}
    _check_alike(layouts, {display.is_inverted(headers[i], layouts[i].photometric) for i in used}, paths)
    notes: list[tuple[str, str]] = []
    for index in used:
        _check_intent(headers[index], paths[index], modality, notes)
        _check_excess(headers[index], layouts[index], notes)
    slots: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for k, (index, frame) in enumerate(frames):
        slots[index][frame].append(k)
    if next(iter(layouts.values())).is_color:
        return _read_color(headers, paths, layouts, slots, len(frames), notes)
    return _read_gray(headers, frames, paths, layouts, slots, modality, notes)


def _read_gray(
    headers: Sequence[Any],
    frames: Sequence[tuple[int, int]],
    paths: Sequence[Path | str],
    layouts: dict[int, Layout],
    slots: dict[int, dict[int, list[int]]],
    modality: str,
    notes: list[tuple[str, str]],
) -> PixelBlock:
    first = frames[0][0]
    layout = layouts[first]
    rescales, found = settle([rescale_of(headers[i], f) for i, f in frames], paths[first])
    windows, window_notes = display.displays(headers, frames, rescales)
    units: Units = choose_units(headers, frames, rescales, layouts, modality)
    notes += [*found, *window_notes, *units.notes]
    block = ValueBlock((len(frames), layout.rows, layout.columns), units.rescales, hounsfield=units.name == "HU")
    for index, wanted in slots.items():
        ds, path, layout = headers[index], paths[index], layouts[index]
        for frame, raw in stored_frames(ds, path, layout, list(wanted)):
            for k in wanted[frame]:
                rescale = units.rescales[k]
                least = float(raw.min()) if units.name == "HU" and "PixelPaddingValue" in ds else None
                padding = padding_of(ds, layout, rescale, hounsfield=units.name == "HU", least=least)
                stored, mask = split(raw, layout, padding)
                block.put(k, stored, mask, path, clamp=padding is not None and padding.clamp)
        drop_pixels(ds)
    voxels, padding_mask = block.finish()
    notes += block.notes
    name = units.after(block.low, notes)
    windows = units.carry(windows, notes)
    if layout.photometric == "MONOCHROME2" and "RedPaletteColorLookupTableDescriptor" in headers[first]:
        notes.append(
            ("supplemental-palette", "The file has a supplemental palette: its colours are not used, only the grays.")
        )
    return PixelBlock(
        voxels,
        name,
        windows,
        display.is_inverted(headers[first], layout.photometric),
        padding_mask,
        None,
        None,
        _findings(notes),
    )


def _read_color(
    headers: Sequence[Any],
    paths: Sequence[Path | str],
    layouts: dict[int, Layout],
    slots: dict[int, dict[int, list[int]]],
    count: int,
    notes: list[tuple[str, str]],
) -> PixelBlock:
    from medcolor.color import restore_gray

    layout = next(iter(layouts.values()))
    shape = (count, layout.rows, layout.columns)
    rgb = np.empty((*shape, 3), np.uint8)
    voxels = np.empty(shape, np.uint8)
    colored = np.zeros(shape, np.bool_)
    for index, wanted in slots.items():
        ds, path, layout = headers[index], paths[index], layouts[index]
        palette = PaletteTable(ds, path, layout) if layout.photometric == PALETTE else None
        flow = color_flow_regions(ds, layout.rows, layout.columns)
        lossy = is_lossy(ds, layout) and palette is None
        for frame, stored in stored_frames(ds, path, layout, list(wanted)):
            pixels = stored if palette is None else palette.rgb(split(stored, layout, None)[0])
            mask = colored_pixels(pixels, lossy=lossy, flow=flow)
            gray = restore_gray(pixels)
            for k in wanted[frame]:
                rgb[k], voxels[k], colored[k] = pixels, gray, mask
        drop_pixels(ds)
    if voxels.min() == voxels.max() and rgb.min() == rgb.max():
        notes.append(("constant-image", "Every pixel has the same value."))
    return PixelBlock(voxels, GRAY_LEVEL, (), False, None, rgb, colored if colored.any() else None, _findings(notes))


def _check_alike(layouts: dict[int, Layout], polarities: set[bool], paths: Sequence[Path | str]) -> None:
    if len(polarities) > 1:
        raise ReadError(
            paths[next(iter(layouts))], ReadCode.CORRUPT, "Some slices of one stack are shown inverted, others are not."
        )
    kinds = {(x.rows, x.columns, x.is_color) for x in layouts.values()}
    if len(kinds) > 1:
        listed = ", ".join(f"{c} x {r}{' colour' if rgb else ''}" for r, c, rgb in sorted(kinds))
        raise ReadError(
            paths[next(iter(layouts))], ReadCode.CORRUPT, f"Slices of one stack differ in size or kind: {listed}."
        )


def _check_intent(ds: Any, path: Path | str, modality: str, notes: list[tuple[str, str]]) -> None:
    raw = header.text(ds, "PresentationIntentType").upper() == "FOR PROCESSING"
    if modality == "MG" and (raw or header.text(ds, "SOPClassUID") == _MG_FOR_PROCESSING):
        raise ReadError(
            path,
            ReadCode.FOR_PROCESSING,
            "This mammogram is FOR PROCESSING: raw detector data whose gray is not meant to be looked at.",
            "Use the FOR PRESENTATION image of the same view.",
        )
    if raw:
        notes.append(("for-processing", "The image is FOR PROCESSING: raw detector data, not the display image."))


def _check_excess(ds: Any, layout: Layout, notes: list[tuple[str, str]]) -> None:
    length, expected = pixel_length(ds, layout.keyword), -(-layout.native_bits // 8)
    if not layout.encapsulated and length is not None and length > expected + expected % 2:
        notes.append(("pixel-data-excess", "The pixel data is longer than the header says: the rest is ignored."))


def _findings(notes: Sequence[tuple[str, str]]) -> tuple[Finding, ...]:
    return tuple(
        Finding(code, message, Severity.NOTE if code in _NOTES else Severity.WARNING)
        for code, message in dict.fromkeys(notes)
    )
