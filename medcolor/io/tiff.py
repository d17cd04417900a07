"""TIFF: pages of one size are slices in page order; pages of other sizes are further images."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import ReadCode, ReadError
from medcolor.geometry import Geometry, Space
from medcolor.io.caps import MAX_PIXELS_2D, check_size
from medcolor.io.plain import PlainImage, integers_or_floats
from medcolor.io.raster import deep_color, split_alpha
from medcolor.io.records import parse_record, recorded_axis, recorded_geometry
from medcolor.io.series import SeriesInfo
from medcolor.scan import Finding, KAxis, Scan, Severity

_NO_POSE = Finding("no-pose", "The file does not say where the image is in the patient, nor its pixel size in mm.")
_LOSSY = frozenset({"JPEG", "OJPEG"})
_FLIPS = {  # orientation tag -> (rows, columns) to flip, after transposing for 5..8 (TIFF 6.0, page 36)
    2: (False, True),
    3: (True, True),
    4: (True, False),
    5: (False, False),
    6: (False, True),
    7: (True, True),
    8: (True, False),
}
TIFF_MARK = "medcolor record: "  # bare JSON with a "shape" would be taken for tifffile's own
_REMEDY = "Save it again uncompressed or with deflate, or install the codecs: pip install imagecodecs."


def list_tiff(path: Path) -> list[SeriesInfo]:
    """Return one line for each image of the file, from the directories alone."""
    with _opened(path) as file:
        record = _record(file)
        found = []
        for n, series in enumerate(file.series):
            shape, _ = _shape(path, series)
            geometry = recorded_geometry(record, shape)
            spacing = None if geometry is None or geometry.space is Space.PIXEL else geometry.spacing
            found.append(
                SeriesInfo(
                    key=f"#{n + 1}",
                    format="tiff",
                    modality=(record or {}).get("modality", "OT"),
                    description=path.stem if len(file.series) == 1 else f"image {n + 1} of {path.stem}",
                    shape=shape,
                    spacing=spacing,
                    audit=() if geometry else (_NO_POSE,),
                    paths=(path,),
                )
            )
        return found


def read_tiff(path: Path, *, image: int = 0, modality: str | None = None) -> Scan:
    """Read one image (0-based) of a TIFF file."""
    with _opened(path) as file:
        record, several = _record(file), len(file.series) > 1
        series = file.series[image]
        (ni, nj, nk), k_axis = _shape(path, series)
        page = series.keyframe
        lossy = _name(page.compression) in _LOSSY
        block = _pixels(path, file, series).reshape(nk, nj, ni, -1)
        block, findings = _upright(*_plain_samples(path, page, block), page)
    block, padding, more = _channels(path, block)
    findings += more
    size = (block.shape[2], block.shape[1], block.shape[0])
    geometry = recorded_geometry(record, size)
    if geometry is None:
        geometry = Geometry.from_spacing(size, (1, 1, 1), Space.PIXEL)
        findings.append(_NO_POSE)
    if nk > 1 and record is None:
        findings.append(Finding("pages", f"{nk} pages of one size: taken as slices, in page order.", Severity.NOTE))
    return PlainImage(
        path=path,
        format="tiff",
        slices=block,
        geometry=geometry,
        record=record,
        findings=tuple(findings),
        k_axis=recorded_axis(record, k_axis),
        part=f"#{image + 1}" if several else "",
        paths=(path,),
        lossy=lossy,
        padding=padding,
    ).scan(modality)


def _plain_samples(path: Path, page: Any, block: NDArray[Any]) -> tuple[NDArray[Any], list[Finding]]:
    """Undo what the photometric interpretation says: palette, white is zero, one bit."""
    photometric = _name(page.photometric) if page.photometric is not None else "MINISBLACK"
    if photometric == "PALETTE":
        return _palette(path, block[..., 0], page.colormap), []
    if photometric not in {"MINISBLACK", "MINISWHITE", "RGB"} and not (
        photometric == "YCBCR" and _name(page.compression) in _LOSSY
    ):
        raise _unsupported(path, photometric)
    if block.dtype == np.bool_:
        block = block.astype(np.uint8) * np.uint8(255)
    if photometric != "MINISWHITE":
        return block, []
    if block.dtype.kind != "u":
        raise _unsupported(path, f"white-is-zero {block.dtype}")
    top = (1 << min(int(page.bitspersample), 8 * block.dtype.itemsize)) - 1 if page.bitspersample > 1 else 255
    text = "Stored with 0 as white; turned so that high values are bright."
    return np.asarray(top - block, dtype=block.dtype), [Finding("white-is-zero", text, Severity.NOTE)]


def _upright(block: NDArray[Any], findings: list[Finding], page: Any) -> tuple[NDArray[Any], list[Finding]]:
    tag = page.tags.get(274)
    if tag is None or tag.value not in _FLIPS:
        return block, findings
    note = Finding("turned", "Turned as its orientation tag says.", Severity.NOTE)
    return _turn(block, int(tag.value)), [*findings, note]


def _channels(path: Path, block: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None, list[Finding]]:
    """Take (nk, nj, ni, channels) to gray (nk, nj, ni) or 8-bit RGB; transparent pixels apart."""
    padding: NDArray[np.bool_] | None = None
    findings: list[Finding] = []
    if block.shape[-1] in {2, 4} and block.dtype.kind == "u":
        block, padding, noted = split_alpha(block, ())
        findings += noted
        block = block if block.ndim == 4 else block[..., None]
    if block.shape[-1] == 3 and block.dtype == np.uint16:
        block, noted = deep_color(block)
        findings += noted
        block = block if block.ndim == 4 else block[..., None]
    if block.shape[-1] == 1:
        return integers_or_floats(block[..., 0], 1, 0), padding, findings
    if block.shape[-1] == 3 and block.dtype == np.uint8:
        return block, padding, findings
    raise _unsupported(path, f"{block.shape[-1]} channels of {block.dtype}")


def _opened(path: Path) -> Any:
    import tifffile

    file = None
    try:
        file = tifffile.TiffFile(path)
        _ = file.series
    except Exception as error:  # tifffile raises TiffFileError, ValueError, struct.error, IndexError ...
        if file is not None:
            file.close()
        raise ReadError(
            path, ReadCode.CORRUPT, "the TIFF directories are damaged or cut off.", "Copy the file again."
        ) from error
    if not file.series:
        file.close()
        raise ReadError(path, ReadCode.EMPTY, "the TIFF holds no image.")
    return file


def _name(code: Any) -> str:
    """Return the name of a TIFF code; tifffile hands over numbers it does not know as plain integers."""
    return str(getattr(code, "name", code))


def _shape(path: Path, series: Any) -> tuple[tuple[int, int, int], KAxis]:
    """Return (ni, nj, nk), checked against the caps, and what the third axis is."""
    axes, shape = series.axes, tuple(int(n) for n in series.shape)
    page = series.keyframe
    check_size(path, shape, max(1, series.dtype.itemsize))
    if "X" not in axes or "Y" not in axes or axes.count("C") or axes.count("H"):
        raise _unsupported(path, f"axes {axes}")
    length = dict(zip(axes, shape, strict=True))
    if length["X"] * length["Y"] > MAX_PIXELS_2D:
        raise ReadError(
            path,
            ReadCode.TOO_LARGE,
            f"a page is {length['X']} x {length['Y']} pixels; up to {MAX_PIXELS_2D} in all are accepted.",
            "Crop or downsample it first.",
        )
    stored = sum(int(n) for n in page.databytecounts)
    ends = [o + n for p in series.pages if p for o, n in zip(p.dataoffsets, p.databytecounts, strict=False)]
    short = _name(page.compression) == "NONE" and stored < math.prod(page.shape) * page.bitspersample // 8
    if short or max(ends, default=0) > path.stat().st_size:
        raise ReadError(path, ReadCode.TRUNCATED, "the TIFF holds fewer pixels than it says.", "Copy it again.")
    others = [a for a in axes if a not in "XYS" and length[a] > 1]
    nk = math.prod(length[a] for a in axes if a not in "XYS")
    return (length["X"], length["Y"], nk), KAxis.TIME if others == ["T"] else KAxis.SPACE


def _pixels(path: Path, file: Any, series: Any) -> NDArray[Any]:
    """Return slices (..., nj, ni[, channels]), channels last."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            block = series.asarray()
    except Exception as error:
        block = _with_pillow(path, file, series)
        if block is None:
            codec = _name(series.keyframe.compression)
            raise ReadError(
                path, ReadCode.UNDECODABLE, f"the TIFF pixels ({codec}) cannot be decoded or are damaged.", _REMEDY
            ) from error
    axes = series.axes
    if "S" in axes and axes[-1] != "S":
        block = np.moveaxis(block, axes.index("S"), -1)
    return np.ascontiguousarray(block)


def _with_pillow(path: Path, file: Any, series: Any) -> NDArray[Any] | None:
    """Decode page by page with Pillow (libtiff): LZW, JPEG and fax, which tifffile leaves to an optional package."""
    from PIL import Image

    if _name(series.keyframe.compression) == "NONE" or "S" in series.axes[:-1]:
        return None
    wanted = [page.index for page in series.pages if page is not None]
    pages = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=["TIFF"]) as image:
                for n in wanted:
                    image.seek(n)
                    image.load()
                    pages.append(np.array(image))
    except Exception:  # the caller says what failed, with the first error as cause
        return None
    block = np.stack(pages)
    if _name(series.keyframe.photometric) == "MINISWHITE" and block.dtype == np.uint8:
        block = 255 - block  # Pillow turns 8-bit MINISWHITE itself; the caller turns every kind
    same = block.size == math.prod(series.shape) and (
        block.dtype == series.dtype or series.dtype == np.bool_ == block.dtype
    )
    return block if same else None


def _palette(path: Path, index: NDArray[Any], colormap: NDArray[Any] | None) -> NDArray[np.uint8]:
    if colormap is None or index.dtype.kind not in "ub" or int(index.max()) >= colormap.shape[1]:
        raise ReadError(path, ReadCode.CORRUPT, "the TIFF palette does not fit its pixels.")
    table = (np.asarray(colormap, dtype=np.uint32).T // 257).astype(np.uint8)
    return table[index]


def _turn(block: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo TIFF orientation 2..8 on (nk, nj, ni, channels)."""
    flip_j, flip_i = _FLIPS[orientation]
    turned = block.swapaxes(1, 2) if orientation >= 5 else block
    turned = turned[:, ::-1] if flip_j else turned
    return np.ascontiguousarray(turned[:, :, ::-1] if flip_i else turned)


def _record(file: Any) -> dict[str, Any] | None:
    description = file.pages[0].description
    return parse_record(description.removeprefix(TIFF_MARK)) if description.startswith(TIFF_MARK) else None


def tiff_record(path: Path) -> tuple[dict[str, Any] | None, bool]:
    """Return the JSON record medcolor wrote as the image description, None in files of others; and if lossy."""
    with _opened(path) as file:
        return _record(file), any(_name(series.keyframe.compression) in _LOSSY for series in file.series)


def _unsupported(path: Path, what: str) -> ReadError:
    return ReadError(
        path,
        ReadCode.UNSUPPORTED_PIXEL,
        f"the TIFF holds {what}; gray of any depth and 8- or 16-bit RGB are accepted.",
        "Save it as gray or RGB.",
    )
