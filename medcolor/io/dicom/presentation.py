"""Pseudo-color softcopy presentation states: the colours of a table, for viewers to put on the source (PS3.3 A.33.3).

A state says how stored values become gray (Modality LUT, then window or VOI LUT) and gray becomes colour (palette of
256 entries). It holds no pixel. One state has one Modality LUT: a series whose slices are rescaled each in its own way
(PET) gets a state for each way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medcolor.color_scan import ColorScan
from medcolor.errors import WriteError
from medcolor.io.atomic import OpenFiles, atomic_files
from medcolor.io.dicom.companions import begin, content_date, referenced, settings_of
from medcolor.io.dicom.icc import SRGB_PROFILE
from medcolor.io.dicom.identity import copied
from medcolor.io.dicom.parse import quiet_pydicom
from medcolor.io.dicom.planes import decimal, decimals, same_grid
from medcolor.io.dicom.rescale import Rescale, rescale_of, settle
from medcolor.io.dicom.suv import suv_factors
from medcolor.io.dicom.uids import derived_uid
from medcolor.io.dicom.write import earlier_output, encode, file_head, source_key
from medcolor.io.tables import lut_table
from medcolor.scan import Scan
from medcolor.voi import Display, VoiLut, Window, WindowFunction

if TYPE_CHECKING:
    from pydicom import Dataset

_PSEUDO_COLOR = "1.2.840.10008.5.1.4.1.1.11.3"


class _Group(NamedTuple):
    """Slices that one state can show."""

    rescale: Rescale
    spacing: tuple[str, ...]
    slices: list[int]


def write_presentation(
    colored: ColorScan,
    folder: Path,
    *,
    scan: Scan,
    display: Display,
    force: bool = False,
    beside: Mapping[Path, Callable[[list[Path], OpenFiles], None]] | None = None,
) -> list[Path]:
    """Write the colours of a table as presentation states of the source.

    Parameters
    ----------
    colored : ColorScan
        Made by a ``lut:`` colorizer from a DICOM source.
    folder : Path
        Made if needed; receives 0001.dcm and, where slices are rescaled each in its own way, 0002.dcm ...
    scan : Scan
        What was coloured: its units and polarity.
    display : Window or VoiLut
        What it was shown with, in the units of the scan.
    force, beside
        As in ``write_dicom``.

    Returns
    -------
    list of Path
        Equal inputs give equal bytes.

    Raises
    ------
    OutputExistsError
    WriteError
        The colours are no table, the source is no DICOM object or has colours of its own, or its display cannot be
        said in DICOM.
    """
    table = lut_table(colored.provenance)
    if table is None:
        raise WriteError(
            f"A presentation state holds a colour table, and {colored.provenance.colorizer} is none: its colours "
            "depend on more than the gray. Write dicom."
        )
    if not same_grid(colored):
        raise WriteError("A presentation state belongs to DICOM images, and this image is not on the grid of any.")
    if scan.rgb is not None:
        raise WriteError("The source has colours of its own; a presentation state can colour gray images only.")
    with quiet_pydicom():
        groups = _groups(colored, scan)
        heads = [_encoded(colored, scan, display, table, group, n) for n, group in enumerate(groups)]
    width = max(4, len(str(len(heads))))
    paths, more = [folder / f"{n + 1:0{width}d}.dcm" for n in range(len(heads))], dict(beside or {})
    with atomic_files([*paths, *more], force=force, obsolete=earlier_output(folder) if force else ()) as files:
        for path, head in zip(paths, heads, strict=True):
            with files.open(path) as file:
                file.write(head)
        for write_more in more.values():
            write_more(paths, files)
    return paths


def _groups(colored: ColorScan, scan: Scan) -> list[_Group]:
    """Sort slices by how their stored values become those of the scan."""
    headers, frames = colored.source.headers, colored.source.frames
    rescales, _ = settle([rescale_of(headers[n], f) for n, f in frames], "the source")
    if scan.units.startswith("SUV") and rescales[0].origin != "mapping":
        factors, _, _ = suv_factors([headers[n] for n, _ in frames])
        if factors is None:
            raise WriteError("SUV cannot be computed again from the headers; write dicom.")
        rescales = [r.scaled(f) for r, f in zip(rescales, factors, strict=True)]
    groups: dict[Any, _Group] = {}
    for k, rescale in enumerate(rescales):
        header = headers[frames[k][0]]
        found = header.get("PixelSpacing") or header.get("ImagerPixelSpacing")
        spacing = decimals(found) if found and len(found) == 2 else ()
        # a table is the same one where all its entries are
        lut = None if rescale.lut is None else _table_key(rescale.lut.ModalityLUTSequence[0])
        key = (rescale.slope, rescale.intercept, rescale.kind, lut, spacing)
        groups.setdefault(key, _Group(rescale, spacing, [])).slices.append(k)
    return list(groups.values())


def _table_key(item: Any) -> tuple[str, str]:
    return str(item.get("LUTDescriptor")), str(item.get("LUTData"))


def _encoded(
    colored: ColorScan, scan: Scan, display: Display, table: NDArray[np.uint8], group: _Group, number: int
) -> bytes:
    ds = _dataset(colored, scan, display, table, group, number)
    elements = encode(ds, ds.SpecificCharacterSet)
    return b"".join([file_head(_PSEUDO_COLOR, ds.SOPInstanceUID), *(elements[tag] for tag in sorted(elements))])


def _dataset(
    colored: ColorScan, scan: Scan, display: Display, table: NDArray[np.uint8], group: _Group, number: int
) -> Dataset:
    key = source_key(colored, colored.rgb)
    settings = settings_of(colored, "presentation", {"display": str(display)})
    ds = begin(
        colored, source_key=key, settings=settings, modality="PR", title="COLOR TABLE", number=9000, placed=False
    )
    ds.SOPClassUID = _PSEUDO_COLOR
    ds.SOPInstanceUID = derived_uid(f"{key} {group.slices[0]}", "instance", settings)
    ds.InstanceNumber = number + 1
    ds.ContentLabel = "COLOR TABLE"
    ds.ContentDescription = "Generated colours, not for diagnosis"
    ds.ContentCreatorName = None
    ds.PresentationCreationDate, ds.PresentationCreationTime = content_date(colored)
    for keyword in ("ContentDate", "ContentTime"):  # a state has its own words for them
        if keyword in ds:
            delattr(ds, keyword)
    ds.ReferencedSeriesSequence = _references(colored, group.slices)
    ds.DisplayedAreaSelectionSequence = [_area(colored, group)]
    _modality_lut(ds, scan, group.rescale)
    ds.SoftcopyVOILUTSequence = [_voi(display, group.rescale, scan)]
    # MONOCHROME1 is shown turned over; a state takes no notice of that word, so its table is turned
    _palette(ds, table[::-1] if scan.inverted else table)
    ds.ICCProfile = SRGB_PROFILE
    ds.ColorSpace = "SRGB"
    return ds


def _references(colored: ColorScan, slices: list[int]) -> list[Dataset]:
    """Return the images by series, in the words of a presentation state (PS3.3 C.11.11)."""
    from pydicom import Dataset

    found = referenced(colored, slices, in_place=True)
    frames = {
        item.ReferencedSOPInstanceUID: item.ReferencedFrameNumber
        for item in found.get("SourceImageSequence", ())
        if "ReferencedFrameNumber" in item
    }
    out = []
    for series in found.get("ReferencedSeriesSequence", ()):
        item = Dataset()
        item["SeriesInstanceUID"] = series["SeriesInstanceUID"]
        images = list(series.ReferencedInstanceSequence)
        for image in images:
            if image.ReferencedSOPInstanceUID in frames:
                image.ReferencedFrameNumber = frames[image.ReferencedSOPInstanceUID]
        item.ReferencedImageSequence = images
        out.append(item)
    if not out:
        raise WriteError("The source images do not say which they are; a presentation state could not name them.")
    return out


def _area(colored: ColorScan, group: _Group) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    item.DisplayedAreaTopLeftHandCorner = [1, 1]
    item.DisplayedAreaBottomRightHandCorner = [colored.shape[0], colored.shape[1]]
    item.PresentationSizeMode = "SCALE TO FIT"
    if group.spacing:
        item.PresentationPixelSpacing = list(group.spacing)
    else:
        item.PresentationPixelAspectRatio = [1, 1]
    return item


def _modality_lut(ds: Dataset, scan: Scan, rescale: Rescale) -> None:
    if rescale.lut is not None:
        element = copied(rescale.lut["ModalityLUTSequence"])
        ds[element.tag] = element
    elif not rescale.identity:
        ds.RescaleIntercept, ds.RescaleSlope = decimal(rescale.intercept), decimal(rescale.slope)
        ds.RescaleType = "HU" if scan.units == "HU" else "US"


def _voi(display: Display, rescale: Rescale, scan: Scan) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    if isinstance(display, Window):
        item.WindowCenter, item.WindowWidth = decimal(display.center), decimal(display.width)
        if display.function is not WindowFunction.LINEAR:
            item.VOILUTFunction = str(display.function)
        return item
    lut, signed = Dataset(), _signed(rescale, scan)
    first = round(display.first)
    if first != display.first or not (-(1 << 15) if signed else 0) <= first < (1 << 15 if signed else 1 << 16):
        raise WriteError("The display table starts at a value that DICOM cannot say; choose a window instead.")
    # 16 bits, which all that read tables know: v * 257 is exactly v / 255 of the range
    lut.add_new(0x00283002, "SS" if signed else "US", [_length(display), first, 16])
    lut.add_new(0x00283006, "OW", (display.table.astype("<u2") * 257).tobytes())
    item.VOILUTSequence = [lut]
    return item


def _length(display: VoiLut) -> int:
    if display.table.size > 1 << 15:
        raise WriteError("The display table has more entries than a presentation state holds; choose a window instead.")
    return int(display.table.size)


def _signed(rescale: Rescale, scan: Scan) -> bool:
    """Whether rescaled values may be below 0 (PS3.3 C.11.2.1.1)."""
    return rescale.intercept < 0 or bool(scan.voxels.min() < 0)


def _palette(ds: Dataset, table: NDArray[np.uint8]) -> None:
    """Add a palette of 256 entries of 16 bits: v * 257 is exactly v / 255 of the range."""
    for channel in range(3):  # red, green, blue: descriptors from (0028,1101), data from (0028,1201)
        ds.add_new(0x00281101 + channel, "US", [256, 0, 16])
        ds.add_new(0x00281201 + channel, "OW", (table[:, channel].astype("<u2") * 257).tobytes())


__all__ = ["write_presentation"]
