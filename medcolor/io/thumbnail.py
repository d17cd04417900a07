"""A small picture of a coloured scan: to find it again by eye, not to look at it."""

from __future__ import annotations

from io import BytesIO

import numpy as np

import medcolor
from medcolor.color_scan import ColorScan
from medcolor.errors import WriteError
from medcolor.geometry import Space
from medcolor.io.picture import STATEMENT
from medcolor.scan import to_slices

SIZE = 128


def thumbnail_png(colored: ColorScan, *, size: int = SIZE) -> bytes:
    """Return the middle slice as a PNG of true proportions, its longer side ``size`` pixels.

    Averaged where it is reduced; an image that is smaller already stays as it is where its pixels are square. The gray
    cannot be had back from it. No text but the statement that it is no diagnostic picture.

    Raises
    ------
    WriteError
        A size under 8 or over 1024.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    if not 8 <= size <= 1024:
        raise WriteError(f"The size of a thumbnail is 8 to 1024 pixels, got {size}.")
    ni, nj, nk = colored.shape
    step_i, step_j, _ = (1.0, 1.0, 1.0) if colored.geometry.space is Space.PIXEL else colored.geometry.spacing
    width, height = ni * step_i / min(step_i, step_j), nj * step_j / min(step_i, step_j)
    scale = min(1.0, size / max(width, height))
    sides = max(1, round(width * scale)), max(1, round(height * scale))
    picture = Image.fromarray(np.ascontiguousarray(to_slices(colored.rgb)[nk // 2]))
    if sides != picture.size:
        picture = picture.resize(sides, Image.Resampling.BOX)
    info = PngInfo()
    info.add(b"sRGB", b"\x00")
    info.add_text("Software", f"medcolor {medcolor.__version__}")
    info.add_text("Comment", STATEMENT)
    buffer = BytesIO()
    picture.save(buffer, format="PNG", pnginfo=info, optimize=False, compress_level=6)
    return buffer.getvalue()
