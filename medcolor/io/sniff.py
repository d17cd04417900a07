"""What a file is, by its content; its name is a hint, never proof."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from medcolor.errors import ReadCode, ReadError

_HEAD = 560

_CONVERT = "Convert it to NIfTI first, for example with "
_FOREIGN_SUFFIX = {
    ".mgz": ("FreeSurfer MGH", _CONVERT + "mri_convert in.mgz out.nii.gz."),
    ".mgh": ("FreeSurfer MGH", _CONVERT + "mri_convert in.mgh out.nii.gz."),
    ".par": ("Philips PAR/REC", _CONVERT + "parrec2nii, which comes with nibabel, or dcm2niix."),
    ".rec": ("Philips PAR/REC", _CONVERT + "parrec2nii, which comes with nibabel, or dcm2niix."),
    ".mnc": ("MINC", _CONVERT + "mnc2nii."),
    ".head": ("AFNI", _CONVERT + "3dAFNItoNIFTI."),
    ".brik": ("AFNI", _CONVERT + "3dAFNItoNIFTI."),
    ".gii": ("GIFTI surface", "It holds no image; give the volume it was made from."),
    ".trk": ("tractography", "It holds no image; give the volume it was made from."),
    ".tck": ("tractography", "It holds no image; give the volume it was made from."),
    ".nhdr": ("NRRD header with separate data", "Save it as one .nrrd file, with the data attached."),
}
_RASTER_HELP = "Convert it to PNG or TIFF first."
_FOREIGN_MAGIC = (
    (b"GIF8", "GIF", _RASTER_HELP),
    (b"BM", "BMP", _RASTER_HELP),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000", _RASTER_HELP),
    (b"\xff\x4f\xff\x51", "JPEG 2000", _RASTER_HELP),
    (b"CDF\x01", "MINC or netCDF", _CONVERT + "mnc2nii."),
    (b"\x89HDF", "HDF5 (MINC 2, or another)", _CONVERT + "mnc2nii."),
    (b"%PDF", "PDF", "It is a document; export its image as PNG."),
    (b"# === DATA DESCRIPTION FILE", "Philips PAR/REC", _CONVERT + "parrec2nii."),
)


def first_bytes(path: Path, count: int = _HEAD) -> bytes:
    """Return the first bytes of a file, through gzip where it is gzipped."""
    with path.open("rb") as stream:
        head = stream.read(count)
        if head[:2] != b"\x1f\x8b":
            return head
        stream.seek(0)
        try:
            with gzip.GzipFile(fileobj=stream) as inner:
                return inner.read(count)
        except (OSError, EOFError, zlib.error) as error:
            raise ReadError(
                path, ReadCode.CORRUPT, "the gzip stream is damaged or cut off.", "Copy the file again."
            ) from error


def nifti_version(head: bytes) -> int | None:
    """Return 1 or 2 for a NIfTI header, 0 for an Analyze 7.5 one, None for anything else."""
    for order in ("little", "big"):
        size = int.from_bytes(head[:4], order)
        if size == 540 and head[4:8] in {b"n+2\x00", b"ni2\x00"}:
            return 2
        if size == 348 and len(head) >= 348:
            return 1 if head[344:348] in {b"n+1\x00", b"ni1\x00"} else 0
    return None


def format_of(path: Path) -> str | None:
    """Return "dicom", "nifti", "nrrd", "mha", "png", "jpeg", "tiff" or "zip"; None where the content says nothing.

    Raises
    ------
    ReadError
        UNSUPPORTED_FORMAT for formats of the field that we do not read, with what to do; CORRUPT for broken gzip.
    """
    head = first_bytes(path)
    if head[128:132] == b"DICM":
        return "dicom"
    if (version := nifti_version(head)) is not None:
        if version == 0:
            raise _foreign(path, "Analyze 7.5", "It does not say left from right. " + _CONVERT + "nifti tools.")
        return "nifti"
    for magic, name in (
        (b"NRRD000", "nrrd"),
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff", "jpeg"),
        (b"II*\x00", "tiff"),
        (b"MM\x00*", "tiff"),
        (b"II+\x00", "tiff"),
        (b"MM\x00+", "tiff"),
        (b"PK\x03\x04", "zip"),
        (b"PK\x05\x06", "zip"),
    ):
        if head.startswith(magic):
            if name == "nrrd" and path.suffix.lower() == ".nhdr":
                break
            return name
    if b"ObjectType" in head[:200] or (b"NDims" in head[:200] and b"=" in head[:200]):
        return "mha"
    refuse_foreign(path, head)
    return None


def refuse_foreign(path: Path, head: bytes) -> None:
    """Raise UNSUPPORTED_FORMAT if this is a format of the field that we do not read."""
    for magic, name, remedy in _FOREIGN_MAGIC:
        if head.startswith(magic):
            raise _foreign(path, name, remedy)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        raise _foreign(path, "WebP", _RASTER_HELP)
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in {".gz", ".bz2"}]
    if suffixes and suffixes[-1] in _FOREIGN_SUFFIX:
        raise _foreign(path, *_FOREIGN_SUFFIX[suffixes[-1]])


def _foreign(path: Path, name: str, remedy: str) -> ReadError:
    return ReadError(path, ReadCode.UNSUPPORTED_FORMAT, f"this is {name}, which medcolor does not read.", remedy)
