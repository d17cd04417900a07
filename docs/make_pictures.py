"""Make the picture of README.md from the demo's samples: each half gray, half colour.

Run:  python docs/make_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from medcolor.color import restore_gray
from medcolor.colorizers import load_colorizer
from medcolor.demo import SAMPLES
from medcolor.report.figures import half_of_image
from medcolor.scan import to_slices

TILE = 300
SHOWN = ("ct", "mr", "mr-brain", "pt", "nm", "us-doppler", "xr", "mg")


def tile(slug: str) -> Image.Image:
    """Return one sample, gray left of the middle of its light and colour right of it."""
    sample = next(sample for sample in SAMPLES if sample.slug == slug)
    rgb = to_slices(load_colorizer("auto")(sample.read()).rgb)
    picture = rgb[len(rgb) // 2].copy()
    gray = restore_gray(picture)
    split = round(half_of_image(gray) / 100 * picture.shape[1])
    picture[:, :split] = gray[:, :split, None]
    image = Image.fromarray(np.ascontiguousarray(picture))
    image.thumbnail((TILE, TILE), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (TILE, TILE))
    canvas.paste(image, ((TILE - image.width) // 2, (TILE - image.height) // 2))
    return canvas


def main() -> None:
    """Write docs/images/demo.png."""
    columns = len(SHOWN) // 2
    sheet = Image.new("RGB", (columns * TILE, 2 * TILE))
    for n, slug in enumerate(SHOWN):
        sheet.paste(tile(slug), (n % columns * TILE, n // columns * TILE))
    path = Path(__file__).parent / "images" / "demo.png"
    path.parent.mkdir(exist_ok=True)
    sheet.save(path, optimize=True)


if __name__ == "__main__":
    main()
