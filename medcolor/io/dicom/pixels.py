"""What a DICOM header says about its pixels, checked before a byte is allocated or decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medcolor.errors import ReadCode, ReadError
from medcolor.io.dicom import header

MAX_INSTANCE_BYTES = 2 << 30  # decoded; larger than any clinical instance, small enough for a workstation
MAX_FRAMES = 4000
GRAY = frozenset({"MONOCHROME1", "MONOCHROME2"})
COLOR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"})
PALETTE = "PALETTE COLOR"
FLOAT_KEYWORDS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
_ENCAPSULATED_LENGTH = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Layout:
    """The Image Pixel module of one instance, checked (PS3.3 C.7.6.3).

    Parameters
    ----------
    rows, columns, frames, samples : int
    allocated, stored : int
        Bits per sample in the file, and how many of them carry the value.
    signed : bool
    planar : int
        1 when colour planes follow each other.
    photometric : str
    keyword : str
        "PixelData", "FloatPixelData" or "DoubleFloatPixelData".
    syntax : str
        Transfer syntax UID.
    encapsulated, big_endian : bool
    words : bool
        The element's VR is OW: 8-bit samples of a big endian file are then swapped in pairs.
    """

    rows: int
    columns: int
    frames: int
    samples: int
    allocated: int
    stored: int
    signed: bool
    planar: int
    photometric: str
    keyword: str
    syntax: str
    encapsulated: bool
    big_endian: bool
    words: bool

    @property
    def is_color(self) -> bool:
        """Whether a frame becomes RGB."""
        return self.samples == 3 or self.photometric == PALETTE

    @property
    def frame_samples(self) -> int:
        """Samples in one decoded frame."""
        return self.rows * self.columns * self.samples

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native dtype of decoded samples."""
        if self.keyword in FLOAT_KEYWORDS:
            return np.dtype(f"f{self.allocated // 8}")
        return np.dtype(f"{'i' if self.signed else 'u'}{max(self.allocated, 8) // 8}")

    @property
    def stored_range(self) -> tuple[int, int]:
        """Least and greatest integer that ``stored`` bits can hold."""
        if self.signed:
            return -(1 << (self.stored - 1)), (1 << (self.stored - 1)) - 1
        return 0, (1 << self.stored) - 1

    @property
    def native_bits(self) -> int:
        """Bits of all frames uncompressed, without padding."""
        per_pixel = 2 * self.allocated if self.subsampled else self.samples * self.allocated
        columns = self.columns + self.columns % 2 if self.subsampled else self.columns
        return self.rows * columns * self.frames * per_pixel

    @property
    def subsampled(self) -> bool:
        """Whether two pixels share one pair of chroma samples in the file."""
        return self.photometric == "YBR_FULL_422" and not self.encapsulated


def check_header(
    ds: Any, path: Path | str, *, max_frames: int = MAX_FRAMES, max_bytes: int = MAX_INSTANCE_BYTES
) -> Layout:
    """Check that pixels can be there, are of a kind we read, and fit the caps; nothing is allocated or decoded.

    Parameters
    ----------
    ds : pydicom.Dataset
        With pixel data present or deferred.
    path : Path or str
        Named in errors.
    max_frames, max_bytes : int
        Caps; segmentations have many frames of few bits.

    Returns
    -------
    Layout

    Raises
    ------
    ReadError
        NO_PIXEL_DATA, MISSING_ATTRIBUTE, UNSUPPORTED_PIXEL, TOO_LARGE, TRUNCATED or CORRUPT.
    """
    layout = _layout(ds, path)
    _check_kind(layout, path)
    _check_caps(layout, path, max_frames, max_bytes)
    check_length(layout, pixel_length(ds, layout.keyword), path)
    return layout


def pixel_length(ds: Any, keyword: str) -> int | None:
    """Return the number of bytes of pixel data, None where only decoding would tell (deferred, encapsulated)."""
    element = ds.get_item(keyword, keep_deferred=True)
    found = element.value
    if found is not None:
        return len(found)
    length = int(getattr(element, "length", 0))
    return None if length == _ENCAPSULATED_LENGTH else length


def _layout(ds: Any, path: Path | str) -> Layout:
    keyword = next((k for k in ("PixelData", *FLOAT_KEYWORDS) if k in ds), None)
    if keyword is None:
        raise ReadError(path, ReadCode.NO_PIXEL_DATA, "This DICOM object has no pixel data.", "Give an image.")
    from pydicom.uid import UID, ExplicitVRBigEndian

    raw_syntax = header.text(getattr(ds, "file_meta", None) or {}, "TransferSyntaxUID")
    if not raw_syntax:
        raise ReadError(
            path,
            ReadCode.MISSING_ATTRIBUTE,
            "Transfer Syntax UID (0002,0010) is missing, so the pixel encoding is unknown.",
            "Re-export the file with a complete file meta header.",
        )
    syntax = UID(raw_syntax)
    try:
        encapsulated = bool(syntax.is_encapsulated)
    except ValueError as error:
        raise ReadError(
            path, ReadCode.UNDECODABLE, "The transfer syntax is not one that DICOM defines for images."
        ) from error
    floating = FLOAT_KEYWORDS.get(keyword)

    def need(name: str, default: int | None = None) -> int:
        found = header.integer(ds, name)
        if found is None and default is not None and header.value(ds, name) is None:
            return default
        if found is None or found < 0:
            raise ReadError(path, ReadCode.MISSING_ATTRIBUTE, f"{name} is missing, or no whole number.")
        return found

    samples = need("SamplesPerPixel", 1)
    photometric = header.text(ds, "PhotometricInterpretation").upper()
    if not photometric:
        raise ReadError(path, ReadCode.MISSING_ATTRIBUTE, "PhotometricInterpretation is missing.")
    allocated = floating or need("BitsAllocated")
    element = ds.get_item(keyword, keep_deferred=True)
    return Layout(
        rows=need("Rows"),
        columns=need("Columns"),
        frames=max(need("NumberOfFrames", 1), 1),  # 0 is written for 1 by old software
        samples=samples,
        allocated=allocated,
        stored=floating or need("BitsStored", allocated),
        signed=False if floating else need("PixelRepresentation", 0) == 1,
        planar=need("PlanarConfiguration", 0) if samples > 1 else 0,
        photometric=photometric,
        keyword=keyword,
        syntax=str(syntax),
        encapsulated=encapsulated,
        big_endian=syntax == ExplicitVRBigEndian,
        words=str(element.VR) == "OW",
    )


def _check_kind(layout: Layout, path: Path | str) -> None:
    def refuse(reason: str) -> ReadError:
        return ReadError(path, ReadCode.UNSUPPORTED_PIXEL, reason)

    if layout.rows < 1 or layout.columns < 1:
        raise ReadError(
            path, ReadCode.CORRUPT, f"The header says {layout.rows} rows and {layout.columns} columns of pixels."
        )
    if layout.photometric not in GRAY | COLOR | {PALETTE}:
        known = ", ".join(sorted(GRAY | COLOR | {PALETTE}))
        raise refuse(f"Photometric interpretation {layout.photometric[:16]!r} is not read; accepted: {known}.")
    expected = 3 if layout.photometric in COLOR else 1
    if layout.samples != expected:
        raise refuse(f"{layout.photometric} with {layout.samples} samples per pixel; {expected} expected.")
    if layout.keyword in FLOAT_KEYWORDS:
        if layout.encapsulated or layout.samples != 1:
            raise refuse("Floating point pixels are read uncompressed and with one sample only.")
        return
    accepted = (8, 16) if layout.is_color else (1, 8, 16, 32)
    if layout.allocated not in accepted:
        listed = ", ".join(str(b) for b in accepted)
        raise refuse(f"{layout.photometric} with {layout.allocated} bits allocated; accepted: {listed}.")
    if not 1 <= layout.stored <= layout.allocated:
        raise ReadError(
            path, ReadCode.CORRUPT, f"{layout.stored} bits stored do not fit {layout.allocated} bits allocated."
        )
    if layout.planar not in (0, 1):
        raise ReadError(path, ReadCode.CORRUPT, f"Planar configuration {layout.planar}; 0 or 1 expected.")
    if layout.photometric == "YBR_FULL_422" and not layout.encapsulated and (layout.planar or layout.allocated != 8):
        raise refuse("Uncompressed YBR_FULL_422 is read with 8 bits and planar configuration 0 only.")


def _check_caps(layout: Layout, path: Path | str, max_frames: int, max_bytes: int) -> None:
    if layout.frames > max_frames:
        raise ReadError(
            path,
            ReadCode.TOO_LARGE,
            f"The header says {layout.frames} frames; up to {max_frames} are read.",
            "Split the file into shorter ones.",
        )
    size = layout.frame_samples * layout.frames * layout.dtype.itemsize
    if size > max_bytes:
        raise ReadError(
            path,
            ReadCode.TOO_LARGE,
            f"The header says {layout.columns} x {layout.rows} pixels in {layout.frames} frames, "
            f"{size / 2**30:.1f} GiB decoded; up to {max_bytes >> 30} GiB are read.",
            "Split the file into smaller ones.",
        )


def check_length(layout: Layout, length: int | None, path: Path | str) -> None:
    """Refuse pixel data whose length in bytes cannot hold what the header says; None is not known yet."""
    if length is None:
        return
    if length == 0:
        raise ReadError(path, ReadCode.TRUNCATED, "The pixel data element is empty.", "Fetch the file again.")
    if layout.encapsulated:
        return
    expected = -(-layout.native_bits // 8)
    if length >= expected or (layout.subsampled and length >= layout.rows * layout.columns * layout.frames * 2):
        return
    per_frame = max(1, layout.native_bits // layout.frames // 8)
    whole = length // per_frame
    if layout.frames > 1 and whole >= 1 and length - whole * per_frame < max(2, per_frame // 100):
        raise ReadError(
            path,
            ReadCode.CORRUPT,
            f"The header says {layout.frames} frames, the pixel data holds {whole}.",
            "Correct NumberOfFrames or fetch the file again.",
        )
    raise ReadError(
        path,
        ReadCode.TRUNCATED,
        f"The pixel data holds {length} of {expected} bytes.",
        "The file was cut off; fetch it again.",
    )
