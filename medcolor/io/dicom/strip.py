"""The burned-in strip: a label that survives screenshots, for those who ask for it.

Rows are added below the picture, so that no pixel of the picture changes and the position of its first row stays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import WriteError

_NARROWEST = 48  # columns; below, not even one word of the label fits
_HEIGHT = 0.04  # of the picture, where the text is legible at that


def label_strip(text: str, rows: int, columns: int) -> NDArray[np.uint8]:
    """Draw ``text`` white on black, wrapped to ``columns``.

    Parameters
    ----------
    text : str
        ASCII.
    rows, columns : int
        Size of the picture.

    Returns
    -------
    ndarray of uint8, (height, columns, 3)

    Raises
    ------
    WriteError
        The picture is too narrow.
    """
    from PIL import Image, ImageDraw, ImageFont

    if columns < _NARROWEST:
        raise WriteError(
            f"A burned-in label needs at least {_NARROWEST} columns, the image has {columns}. Leave burn_in off."
        )
    font = ImageFont.load_default_imagefont()  # a bitmap: the same pixels in every Pillow

    def width(line: str) -> int:
        return int(font.getbbox(line)[2])

    scale = max(1, min(int(_HEIGHT * rows) // 13, columns // (width(text) + 8)))
    lines, room = [""], columns // scale - 4
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if width(longer) <= room or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    image = Image.new("L", (columns // scale, 2 + 11 * len(lines)))
    pen = ImageDraw.Draw(image)
    for n, line in enumerate(lines):
        pen.text((max(0, (image.width - width(line)) // 2), 1 + 11 * n), line, fill=255, font=font)
    block = np.kron(np.asarray(image), np.ones((scale, scale), np.uint8))
    strip = np.zeros((block.shape[0], columns, 3), np.uint8)
    strip[:, : block.shape[1]] = block[..., None]
    return strip
