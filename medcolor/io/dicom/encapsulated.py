"""Frames of compressed pixel data: RLE, JPEG, JPEG-LS, JPEG 2000 and their kin, through whichever codec can.

A codestream is checked against the header before a codec sees it: codecs allocate what the codestream says.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import ReadCode, ReadError
from medcolor.io.dicom.color_space import to_rgb8
from medcolor.io.dicom.pixels import Layout

_RLE = "1.2.840.10008.1.2.5"
_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
_RLE_RATIO = 64  # PackBits makes at most 128 bytes of 2 (PS3.5 annex G)
_ANY_RATIO = 20_000  # no real image compresses better; blank JPEG 2000 tiles come near
_RATIO_FREE = 16 << 20  # bytes below which a ratio proves nothing
_REMEDY = "Decompress it with another tool (gdcmconv --raw, dcmdjpeg), or fetch it uncompressed."


def frames(
    raw: bytes, offsets: Sequence[Any], path: Path | str, layout: Layout, wanted: Sequence[int]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield (frame number, decoded frame) for the wanted frames, in rising order; see ``frames.stored_frames``.

    ``offsets`` is the pair of Extended Offset Table and its lengths, None where absent.
    """
    _check_ratio(len(raw), layout, path)
    last, found, chosen = (wanted[-1] if wanted else -1), -1, frozenset(wanted)
    for found, codestream in enumerate(_codestreams(raw, offsets, path, layout)):
        if found in chosen:
            yield found, decode(codestream, layout, path)
        if found >= last:
            return
    raise ReadError(
        path,
        ReadCode.CORRUPT,
        f"The header says {layout.frames} frames, the pixel data holds {found + 1}.",
        "Correct NumberOfFrames or fetch the file again.",
    )


def decode(codestream: bytes, layout: Layout, path: Path | str) -> NDArray[Any]:
    """Decode one codestream to (rows, columns) of ``layout.dtype``, or (rows, columns, 3) uint8 RGB.

    Raises
    ------
    ReadError
        UNDECODABLE when the codestream's own size is not the header's, or no codec succeeds.
    """
    _check_codestream(codestream, layout, path)
    _quiet_gdcm()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            samples, photometric = _decode(codestream, layout)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a Rust codec panics with a BaseException
        from pydicom.uid import UID

        raise ReadError(
            path,
            ReadCode.UNDECODABLE,
            f"No installed codec decodes this {UID(layout.syntax).name} pixel data ({_codecs(layout.syntax)}).",
            _REMEDY,
        ) from error
    if layout.samples == 1:
        return samples.reshape(layout.rows, layout.columns)
    return to_rgb8(samples, photometric, layout.stored)


@cache
def _quiet_gdcm() -> None:
    """Keep GDCM from writing to stderr: what goes wrong becomes a ReadError."""
    import gdcm

    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()


def _decode(codestream: bytes, layout: Layout) -> tuple[NDArray[Any], str]:
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder

    if layout.syntax == _JPEG_EXTENDED and layout.stored > 8:
        return _gdcm_jpeg(codestream, layout), layout.photometric
    options: dict[str, Any] = {} if layout.samples == 1 else {"planar_configuration": layout.planar}
    samples, said = get_decoder(layout.syntax).as_array(
        encapsulate([codestream], has_bot=False),
        raw=True,
        index=0,
        rows=layout.rows,
        columns=layout.columns,
        number_of_frames=1,
        samples_per_pixel=layout.samples,
        photometric_interpretation=layout.photometric,
        bits_allocated=layout.allocated,
        bits_stored=layout.stored,
        pixel_representation=int(layout.signed),
        pixel_keyword="PixelData",
        **options,
    )
    return samples, str(said["photometric_interpretation"])


def _gdcm_jpeg(codestream: bytes, layout: Layout) -> NDArray[Any]:
    """12-bit JPEG by GDCM itself: pydicom hands it 8-bit data only, although GDCM decodes both."""
    import gdcm

    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(codestream)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((layout.columns, layout.rows, 1))
    image.SetDataElement(element)
    photometric = gdcm.PhotometricInterpretation.GetPIType(layout.photometric)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(photometric))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(layout.syntax)))
    image.SetPixelFormat(
        gdcm.PixelFormat(layout.samples, layout.allocated, layout.stored, layout.stored - 1, int(layout.signed))
    )
    decoded = image.GetBuffer().encode("utf-8", "surrogateescape")
    return np.frombuffer(decoded, layout.dtype, layout.frame_samples)


def _codecs(syntax: str) -> str:
    from pydicom.pixels import get_decoder

    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return "no codec for it exists here"
    return "tried: " + (", ".join(decoder.available_plugins) or "none installed")


def _codestreams(raw: bytes, offsets: Sequence[Any], path: Path | str, layout: Layout) -> Iterator[bytes]:
    from pydicom.encaps import generate_frames

    first, second = offsets
    extended = (first, second) if isinstance(first, bytes) and isinstance(second, bytes) else None
    try:
        yield from generate_frames(raw, number_of_frames=layout.frames, extended_offsets=extended)
    except Exception as error:
        raise ReadError(
            path, ReadCode.CORRUPT, "The fragments of the compressed pixel data are damaged.", "Fetch the file again."
        ) from error


def _check_ratio(length: int, layout: Layout, path: Path | str) -> None:
    decoded = layout.frame_samples * layout.frames * layout.dtype.itemsize
    limit = _RLE_RATIO if layout.syntax == _RLE else _ANY_RATIO
    if decoded > limit * max(length, 1) and (layout.syntax == _RLE or decoded > _RATIO_FREE):
        raise ReadError(
            path,
            ReadCode.CORRUPT,
            f"{length} compressed bytes cannot hold the {decoded} bytes that the header says.",
            "Fetch the file again.",
        )


def _check_codestream(codestream: bytes, layout: Layout, path: Path | str) -> None:
    """Compare the codestream's own size with the header's, where it states one."""
    said = codestream_size(codestream)
    if said is not None and said != (layout.rows, layout.columns, layout.samples):
        rows, columns, samples = said
        raise ReadError(
            path,
            ReadCode.UNDECODABLE,
            f"The header says {layout.columns} x {layout.rows} pixels of {layout.samples} samples, "
            f"the compressed image is {columns} x {rows} of {samples}.",
            "Fetch the file again.",
        )


def codestream_size(data: bytes) -> tuple[int, int, int] | None:
    """Return (rows, columns, samples) that a JPEG, JPEG-LS or JPEG 2000 codestream states, None when it does not."""
    if data[:4] == b"\xff\x4f\xff\x51" and len(data) >= 42:  # SOC, SIZ (ISO/IEC 15444-1 A.5.1)
        size = [int.from_bytes(data[o : o + 4], "big") for o in (8, 12, 16, 20)]
        return size[1] - size[3], size[0] - size[2], int.from_bytes(data[40:42], "big")
    if data[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 10 <= len(data):  # markers up to a start of frame (ISO/IEC 10918-1 B.2.2, 14495-1 C.2.2)
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _START_OF_FRAME:
            rows, columns = (int.from_bytes(data[at + o : at + o + 2], "big") for o in (5, 7))
            return (rows, columns, data[at + 9]) if rows else None  # 0: the height comes later (DNL)
        elif marker in (0xDA, 0xD9):
            return None
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
