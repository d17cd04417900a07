"""PNG and JPEG: one image a file. Sizes are checked on the header, before Pillow or a codec sees the pixels."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import ReadCode, ReadError
from medcolor.geometry import Geometry, Space
from medcolor.io.caps import MAX_PIXELS_2D, check_size
from medcolor.io.plain import PlainImage
from medcolor.io.records import parse_record, slice_geometry
from medcolor.io.series import SeriesInfo
from medcolor.scan import Finding, Scan, Severity

TEXT_KEY = "medcolor"
_JPEG_SYNTAX = {0xC1: "1.2.840.10008.1.2.4.51", 0xC3: "1.2.840.10008.1.2.4.57", 0xF7: "1.2.840.10008.1.2.4.80"}
_NO_POSE = Finding("no-pose", "The file does not say where the image is in the patient, nor its pixel size in mm.")
_AGAIN = "Copy the file again, or save it again as PNG."


@dataclass(frozen=True, slots=True)
class RasterHead:
    """What the first bytes say."""

    width: int
    height: int
    bits: int
    channels: int
    frame: int = 0  # JPEG: the start-of-frame marker


def list_raster(path: Path, form: str) -> list[SeriesInfo]:
    """Return the one line of a PNG or JPEG file."""
    head = raster_head(path, form)
    record = png_record(path) if form == "png" else None
    geometry = slice_geometry(record, (head.width, head.height))
    spacing = None if geometry is None or geometry.space is Space.PIXEL else geometry.spacing
    return [
        SeriesInfo(
            key="#1",
            format=form,
            modality=(record or {}).get("modality", "OT"),
            description=path.stem,
            shape=(head.width, head.height, 1),
            spacing=spacing,
            audit=() if geometry else (_NO_POSE,),
            paths=(path,),
        )
    ]


def read_raster(path: Path, form: str, *, modality: str | None = None) -> Scan:
    """Read a PNG or JPEG file as an image of one slice."""
    head = raster_head(path, form)
    pixels, padding, findings = read_pixels(path, form, head)
    record = png_record(path) if form == "png" else None
    geometry = slice_geometry(record, (pixels.shape[1], pixels.shape[0]))
    if geometry is None:
        findings = (*findings, _NO_POSE)
        geometry = Geometry.from_spacing((pixels.shape[1], pixels.shape[0], 1), (1, 1, 1), Space.PIXEL)
    return PlainImage(
        path=path,
        format=form,
        slices=pixels[None],
        geometry=geometry,
        record=record,
        findings=findings,
        paths=(path,),
        lossy=form == "jpeg" and head.frame != 0xC3,
        padding=None if padding is None else padding[None],
    ).scan(modality)


def raster_head(path: Path, form: str) -> RasterHead:
    """Read and check the header of a PNG or JPEG."""
    head = _png_head(path) if form == "png" else _jpeg_head(path)
    check_size(path, (head.width, head.height), max(1, head.bits // 8) * head.channels)
    if head.width * head.height > MAX_PIXELS_2D:
        raise ReadError(
            path,
            ReadCode.TOO_LARGE,
            f"the image is {head.width} x {head.height} pixels; up to {MAX_PIXELS_2D} in all are accepted.",
            "Crop or downsample it first.",
        )
    return head


def read_pixels(
    path: Path, form: str, head: RasterHead
) -> tuple[NDArray[Any], NDArray[np.bool_] | None, tuple[Finding, ...]]:
    """Return (nj, ni) or (nj, ni, 3) pixels, the fully transparent ones, and what was noticed."""
    if form == "jpeg" and (head.bits != 8 or head.frame in {0xC3, 0xF7}):
        return _deep_jpeg(path, head), None, ()
    if form == "png" and head.bits == 16 and head.channels > 1:
        return _deep_png(path, head.channels)
    return _with_pillow(path, form)


def _with_pillow(path: Path, form: str) -> tuple[NDArray[Any], NDArray[np.bool_] | None, tuple[Finding, ...]]:
    from PIL import Image, ImageOps

    findings: list[Finding] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of size (checked above) and of odd metadata
            with Image.open(path, formats=[form.upper()]) as image:
                animated = getattr(image, "n_frames", 1) > 1
                image.load()
                turned = ImageOps.exif_transpose(image)
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error, zlib.error ...
        code = ReadCode.TRUNCATED if "truncated" in str(error).lower() else ReadCode.CORRUPT
        raise ReadError(path, code, f"the {form.upper()} pixels are damaged or cut off.", _AGAIN) from error
    if animated:
        raise ReadError(path, ReadCode.UNSUPPORTED_FORMAT, "this PNG is animated.", "Save its frames as separate PNGs.")
    if image.getexif().get(0x0112, 1) not in {0, 1}:
        findings.append(Finding("turned", "Turned as its EXIF orientation says.", Severity.NOTE))
    if "transparency" in turned.info:
        turned = turned.convert("LA" if turned.mode in {"1", "L"} else "RGBA")
    match turned.mode:
        case "L" | "RGB" | "I;16":
            return np.array(turned), None, tuple(findings)
        case "1":
            return np.array(turned).astype(np.uint8) * np.uint8(255), None, tuple(findings)
        case "P":
            return np.array(turned.convert("RGB")), None, tuple(findings)
        case "LA" | "RGBA" | "PA":
            pixels = np.array(turned.convert("RGBA") if turned.mode == "PA" else turned)
            return split_alpha(pixels, tuple(findings))
        case mode:
            raise ReadError(
                path,
                ReadCode.UNSUPPORTED_PIXEL,
                f"the pixels are {mode}; gray, palette and RGB are accepted.",
                "Save it as RGB or gray.",
            )


def split_alpha(
    pixels: NDArray[Any], findings: tuple[Finding, ...]
) -> tuple[NDArray[Any], NDArray[np.bool_] | None, tuple[Finding, ...]]:
    """Take the last channel off: fully transparent pixels are padding, other transparency is ignored and said."""
    alpha = pixels[..., -1]
    rest = pixels[..., 0] if pixels.shape[-1] == 2 else pixels[..., :3]
    top = np.iinfo(alpha.dtype).max
    hidden = alpha == 0
    if np.any((alpha != top) & ~hidden):
        findings += (Finding("alpha", "The image is partly transparent; transparency was ignored."),)
    if not hidden.any() or hidden.all():
        return np.ascontiguousarray(rest), None, findings
    findings += (Finding("transparent", "Fully transparent pixels are taken as no image.", Severity.NOTE),)
    return np.ascontiguousarray(rest), hidden, findings


def _deep_png(path: Path, channels: int) -> tuple[NDArray[Any], NDArray[np.bool_] | None, tuple[Finding, ...]]:
    """16-bit PNG with several channels, which Pillow would cut to 8 bit without a word."""
    import SimpleITK

    if channels == 2:
        return split_alpha(_deep_gray_alpha(path), ())
    try:
        pixels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path), imageIO="PNGImageIO"))
    except RuntimeError as error:
        raise ReadError(path, ReadCode.CORRUPT, "the PNG pixels are damaged or cut off.", _AGAIN) from error
    pixels = pixels.reshape(*pixels.shape[-3:])
    padding: NDArray[np.bool_] | None = None
    findings: tuple[Finding, ...] = ()
    if pixels.shape[-1] == 4:
        pixels, padding, findings = split_alpha(pixels, ())
    gray, more = deep_color(pixels)
    return gray, padding, (*findings, *more)


def _deep_gray_alpha(path: Path) -> NDArray[np.uint16]:
    """16-bit gray with alpha, which neither Pillow nor ITK reads: decoded as the 8-bit RGBA its bytes also are."""
    from io import BytesIO

    from PIL import Image

    raw = bytearray(path.read_bytes())
    raw[24:26] = b"\x08\x06"
    raw[29:33] = struct.pack(">I", zlib.crc32(raw[12:29]))
    try:
        with Image.open(BytesIO(raw), formats=["PNG"]) as image:
            pixels = np.array(image)
    except Exception as error:
        raise ReadError(path, ReadCode.CORRUPT, "the PNG pixels are damaged or cut off.", _AGAIN) from error
    return pixels.view(">u2").astype(np.uint16)


def deep_color(pixels: NDArray[Any]) -> tuple[NDArray[Any], tuple[Finding, ...]]:
    """Take 16-bit RGB (..., 3) to gray where its channels are equal, else to 8 bit."""
    from medcolor.io.picture import is_color

    if not is_color(pixels):
        note = Finding("gray-as-rgb", "Gray stored as RGB: read as gray.", Severity.NOTE)
        return np.ascontiguousarray(pixels[..., 0]), (note,)
    from medcolor.io.dicom.color_space import scale_to_8

    return scale_to_8(pixels, 65_535), (Finding("deep-color", "16-bit colour was rounded to 8 bit."),)


def _deep_jpeg(path: Path, head: RasterHead) -> NDArray[Any]:
    """12-bit, lossless and near-lossless JPEG, through the codecs that DICOM has."""
    from medcolor.io.dicom.encapsulated import decode
    from medcolor.io.dicom.pixels import Layout

    if head.frame not in _JPEG_SYNTAX:
        raise ReadError(
            path,
            ReadCode.UNDECODABLE,
            f"no codec for this kind of JPEG ({head.bits} bit, SOF {head.frame:#x}).",
            _AGAIN,
        )
    layout = Layout(
        rows=head.height,
        columns=head.width,
        frames=1,
        samples=head.channels,
        allocated=8 if head.bits <= 8 else 16,
        stored=head.bits,
        signed=False,
        planar=0,
        photometric="MONOCHROME2" if head.channels == 1 else "RGB",
        keyword="PixelData",
        syntax=_JPEG_SYNTAX[head.frame],
        encapsulated=True,
        big_endian=False,
        words=False,
    )
    return decode(path.read_bytes(), layout, path)


def _png_head(path: Path) -> RasterHead:
    with path.open("rb") as stream:
        head = stream.read(33)
    if len(head) < 33 or head[12:16] != b"IHDR":
        raise ReadError(path, ReadCode.TRUNCATED, "the PNG header is cut off or damaged.", _AGAIN)
    width, height, bits, kind = struct.unpack(">IIBB", head[16:26])
    return RasterHead(width, height, bits, {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(kind, 1))


def _jpeg_head(path: Path) -> RasterHead:
    with path.open("rb") as stream:
        stream.seek(2)
        while True:
            lead = stream.read(1)
            if not lead:
                raise ReadError(path, ReadCode.TRUNCATED, "the JPEG ends before its image begins.", _AGAIN)
            if lead != b"\xff":
                continue
            code = (stream.read(1) or b"\x00")[0]
            if code in {0x00, 0x01, 0xFF} or 0xD0 <= code <= 0xD9:
                continue
            body = stream.read(2)
            length = int.from_bytes(body, "big")
            if len(body) < 2 or length < 2:
                raise ReadError(path, ReadCode.CORRUPT, "the JPEG markers are damaged.", _AGAIN)
            if (0xC0 <= code <= 0xCF and code not in {0xC4, 0xC8, 0xCC}) or code == 0xF7:
                frame = stream.read(6)
                if len(frame) < 6:
                    raise ReadError(path, ReadCode.TRUNCATED, "the JPEG ends before its image begins.", _AGAIN)
                bits, height, width, channels = struct.unpack(">BHHB", frame)
                if channels not in {1, 3}:
                    raise ReadError(
                        path,
                        ReadCode.UNSUPPORTED_PIXEL,
                        f"the JPEG has {channels} channels; gray and RGB are accepted.",
                        "Save it as RGB.",
                    )
                return RasterHead(width, height, bits, channels, code)
            stream.seek(length - 2, 1)


def png_chunks(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks before the pixels, as (type, data)."""
    with path.open("rb") as stream:
        stream.seek(8)
        while len(head := stream.read(8)) == 8:
            size, kind = struct.unpack(">I4s", head)
            if kind == b"IDAT" or size > 1 << 22:
                return
            yield kind, stream.read(size)
            stream.seek(4, 1)


def png_record(path: Path) -> dict[str, Any] | None:
    """Return the JSON record medcolor wrote as a text chunk, None in files of others."""
    for kind, data in png_chunks(path):
        key, _, text = data.partition(b"\x00")
        if kind == b"tEXt" and key == TEXT_KEY.encode():
            return parse_record(text)
    return None
