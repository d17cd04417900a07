"""The legend as a picture, to be laid over a canvas or pasted into a screenshot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.report.legend import Legend, LegendRow

NOT_FOR_DIAGNOSIS = "Designed colours. Not for diagnosis."

_INK, _FAINT, _GROUND = (235, 235, 235), (165, 165, 165), (28, 28, 28)
_LEAST_TEXT = 9  # pixels; smaller letters cannot be read
_ROW, _LEAST, _MOST = 22, 120, 420  # pixels: a row that reads well; the least and the largest legend on a canvas


def legend_picture(
    legend: Legend,
    *,
    height: int = 320,
    title: str = "",
    ramps: NDArray[np.uint8] | None = None,
    opacity: float = 0.85,
) -> NDArray[np.uint8]:
    """Draw a legend.

    Parameters
    ----------
    legend : Legend
        Of a session, in the look it has now.
    height : int
        Pixels, at least 64. Where not all rows fit, the smallest shares are left out and counted.
    title : str
        First line, such as "CT in HU, abdomen C 40 W 400".
    ramps : ndarray of uint8, (K, 256, 3), optional
        :meth:`ColoringSession.ramps`: then each class shows its colour at every gray, from black to white, as it
        appears on the canvas; else one swatch.
    opacity : float
        Of the ground, 0 to 1; swatches and letters are opaque.

    Returns
    -------
    ndarray of uint8, (height, width, 4)
        RGBA. Swatches have the very colours of the legend or the ramps.
    """
    from PIL import Image, ImageDraw, ImageFont

    height = max(int(height), 64)
    shown, left_out = _fitting(legend, height, bool(title))
    lines = len(shown) + 2 + bool(title) + bool(left_out)
    step = height / (lines + 0.5)
    size = max(_LEAST_TEXT, min(15, int(step * 0.62)))
    font, small = ImageFont.load_default(size), ImageFont.load_default(max(_LEAST_TEXT, size - 2))
    swatch_width = 64 if ramps is not None and len(ramps) > 1 else max(12, int(step * 0.9))
    names = [row.entry.label for _, row in shown]
    amounts = [str(row) for _, row in shown]
    wide = max([font.getlength(name) for name in names] + [0])
    column = 8 + swatch_width + 8 + wide + 10
    width = column + max([small.getlength(amount) for amount in amounts] + [0]) + 8
    notes = [text for text in (f"and {left_out} more" if left_out else "", legend.measure, NOT_FOR_DIAGNOSIS) if text]
    full = int(np.ceil(max([width, font.getlength(title) + 16, *(small.getlength(text) + 16 for text in notes)])))
    picture = Image.new("RGBA", (full, height), (*_GROUND, round(255 * opacity)))
    draw = ImageDraw.Draw(picture)
    y = step * 0.25

    def line(
        text: str, x: float, ink: tuple[int, int, int], letters: ImageFont.FreeTypeFont | ImageFont.ImageFont
    ) -> None:
        draw.text((x, y + step / 2), text, fill=(*ink, 255), font=letters, anchor="lm")

    boxes: list[tuple[int, int]] = []
    if title:
        line(title, 8, _INK, font)
        y += step
    for (_, row), amount in zip(shown, amounts, strict=True):
        boxes.append((int(y + step * 0.12), int(y + step * 0.88)))
        line(row.entry.label, 8 + swatch_width + 8, _INK, font)
        line(amount, column, _FAINT, small)
        y += step
    if left_out:
        line(f"and {left_out} more", 8, _FAINT, small)
        y += step
    line(legend.measure, 8, _FAINT, small)
    y += step
    line(NOT_FOR_DIAGNOSIS, 8, _INK, small)
    pixels = np.array(picture)
    for (number, row), (top, bottom) in zip(shown, boxes, strict=True):
        pixels[top : max(bottom, top + 1), 8 : 8 + swatch_width] = _swatch(row, number, ramps, swatch_width)
    return pixels


def picture_in(
    legend: Legend,
    room: tuple[int, int],
    *,
    letter: int = 0,
    title: str = "",
    ramps: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Draw a legend for the upper corner of a canvas, clear of the letters in the middle of its edges.

    Parameters
    ----------
    legend : Legend
    room : (int, int)
        Height and width of the corner between two letters, pixels.
    letter : int
        Height of a letter: a legend that is wider than its room begins below the upper one.
    title, ramps
        As for :func:`legend_picture`.
    """
    wanted = min((len(legend.rows) + 3) * _ROW, _MOST)
    picture = legend_picture(legend, height=min(wanted, max(room[0], _LEAST)), title=title, ramps=ramps)
    if picture.shape[1] <= room[1]:
        return picture
    picture = legend_picture(legend, height=min(wanted, max(room[0] - letter, _LEAST)), title=title, ramps=ramps)
    return np.pad(picture, ((letter, 0), (0, 0), (0, 0)))


def no_picture() -> NDArray[np.uint8]:
    """Return a transparent picture; afterwards letters are loaded, and the first legend comes at once."""
    picture = legend_picture(Legend((), ""), height=64)
    picture[:] = 0
    return picture


def _swatch(row: LegendRow, number: int, ramps: NDArray[np.uint8] | None, width: int) -> NDArray[np.uint8]:
    colors = np.full((width, 4), 255, np.uint8)
    if ramps is None or len(ramps) <= number or len(ramps) == 1:
        colors[:, :3] = row.entry.swatch
    else:
        colors[:, :3] = ramps[number][np.linspace(0, 255, width).round().astype(int)]
    return colors


def _fitting(legend: Legend, height: int, titled: bool) -> tuple[list[tuple[int, LegendRow]], int]:
    """Return the rows that fit with their numbers, in palette order, and how many do not."""
    numbered = list(enumerate(legend.rows))
    most = max(1, int(height / (_LEAST_TEXT * 1.4)) - 3 - titled)
    if len(numbered) <= most:
        return numbered, 0
    largest = sorted(numbered, key=lambda pair: -pair[1].share)[: most - 1]
    return sorted(largest, key=lambda pair: pair[0]), len(numbered) - len(largest)


__all__ = ["NOT_FOR_DIAGNOSIS", "legend_picture", "no_picture", "picture_in"]
