"""PNG and TIFF: pixels only, with the record in text fields; no resizing, no legend, no time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import medcolor
from medcolor.errors import WriteError
from medcolor.io.atomic import OpenFiles
from medcolor.io.picture import Picture, canonical
from medcolor.io.raster import TEXT_KEY
from medcolor.io.tiff import TIFF_MARK

_BIG_TIFF = (1 << 32) - (1 << 25)


def png_paths(picture: Picture, folder: Path) -> list[Path]:
    """Return 0001.png, 0002.png ... in slice order."""
    return [folder / f"{k + 1:04d}.png" for k in range(len(picture.slices))]


def check_png(picture: Picture) -> None:
    """Refuse what PNG cannot hold exactly."""
    if picture.slices.dtype not in (np.uint8, np.uint16):
        raise WriteError(
            f"PNG holds 8- or 16-bit gray, and these values are {picture.slices.dtype} in "
            f"{picture.record.get('units', 'no unit')}. Window them first (medcolor.windowing.display_gray), or write "
            "nifti, nrrd or tiff."
        )


def write_pngs(picture: Picture, paths: list[Path], files: OpenFiles) -> None:
    """Write one PNG a slice; a row of pixels is a row of the file."""
    from PIL import Image

    for k, path in enumerate(paths):
        image = Image.fromarray(np.ascontiguousarray(picture.slices[k]))
        with files.open(path) as stream:
            image.save(stream, format="PNG", pnginfo=_chunks(picture, k), optimize=False, compress_level=6)


def _chunks(picture: Picture, k: int) -> Any:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    if picture.color:
        info.add(b"sRGB", b"\x00")  # rendering intent: perceptual
    info.add_text("Software", f"medcolor {medcolor.__version__}")
    if "statement" in picture.record:
        info.add_text("Comment", str(picture.record["statement"]))
    info.add_text(TEXT_KEY, canonical(picture.record | {"slice": k}))
    return info


def check_tiff(picture: Picture) -> None:
    """Refuse what TIFF readers would not understand."""
    if picture.slices.dtype.kind not in "iuf" or picture.slices.dtype.itemsize > 4:
        raise WriteError(f"TIFF is written with up to 32 bits a sample, these are {picture.slices.dtype}.")


def write_tiff(picture: Picture, path: Path, files: OpenFiles) -> None:
    """Write one TIFF, a page a slice, deflate-compressed; the first page's description is the record."""
    import tifffile

    slices = picture.slices
    with (
        files.open(path) as stream,
        tifffile.TiffWriter(stream, bigtiff=slices.nbytes > _BIG_TIFF, byteorder="<") as tiff,
    ):
        for k, part in enumerate(slices):
            tiff.write(
                np.ascontiguousarray(part),
                photometric="rgb" if picture.color else "minisblack",
                compression="zlib",
                description=TIFF_MARK + picture.text if k == 0 else None,
                software=f"medcolor {medcolor.__version__}" if k == 0 else False,
                metadata=None,
                contiguous=False,
            )
