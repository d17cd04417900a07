"""Numbers as pictures with a scale: PNG data URIs, colour tables, ticks."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcolor.luts import load_lut


@dataclass(frozen=True, slots=True)
class Scale:
    """How a number becomes a colour.

    Parameters
    ----------
    table : str
        Colour table, for ``low`` to ``high``; beyond, its ends.
    low, high : float
    ticks : tuple of str
        Evenly spaced, from ``low`` to ``high``.
    meaning : str
        What the number is.
    """

    table: str
    low: float
    high: float
    ticks: tuple[str, ...]
    meaning: str

    def picture(self, values: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Return (..., 3) for values (...); what is not finite looks like ``low``."""
        place = (np.nan_to_num(values, nan=self.low) - self.low) * (255 / (self.high - self.low))
        return load_lut(self.table)[np.rint(np.clip(place, 0, 255)).astype(np.uint8)]

    def to_html(self) -> str:
        """Return the ramp, its ticks and its meaning."""
        ramp = load_lut(self.table)[None].repeat(16, axis=0)
        marks = "".join(f"<span>{html.escape(tick)}</span>" for tick in self.ticks)
        return (
            f'<img class="ramp" alt="scale" src="{data_uri(ramp)}"><div class="ticks">{marks}</div>'
            f"<p>{html.escape(self.meaning)}</p>"
        )


DIFFERENCE = Scale("inferno", 0, 20, ("0", "5", "10", "15", "20 and more"), "CIEDE2000 between the two colourings")


def confidence_scale(meaning: str) -> Scale:
    """Return the scale of a confidence, 0 to 1."""
    return Scale("cividis", 0, 1, ("0", "0.25", "0.5", "0.75", "1"), meaning)


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """Return a lossless PNG of (h, w) gray or (h, w, 3) RGB as a data URI."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", optimize=False, compress_level=6)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def panel(picture: str, caption: str, scale: Scale | None = None) -> str:
    """Return one captioned picture of a row; ``picture`` is an ``img`` element."""
    legend = "" if scale is None else scale.to_html()
    return f"<figure>{picture}<figcaption>{html.escape(caption)}</figcaption>{legend}</figure>"


def joined(panels: Sequence[str]) -> str:
    """Return panels in a row; nothing where there are none."""
    return f'<div class="panels">{"".join(panels)}</div>' if panels else ""
