"""Pictures that are no scan: what the recognizer must not take for one.

Photographs are those that scikit-image brings along (credits in its ``data/README.txt``); they are split by picture,
two pictures of one scene on one side. The rest is drawn by rule: noise, gradients, patterns, text, plots, heaps of
shapes. Some rules are kept for the test alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import TrainingError

Gray = NDArray[np.floating[Any]]
Rng = np.random.Generator
_SIDE = 160

TRAIN_PHOTOS = (
    "brick.png", "camera.png", "cell.png", "chelsea.png", "chessboard_GRAY.png", "clock_motion.png", "color.png",
    "grass.png", "horse.png", "logo.png", "microaneurysms.png", "moon.png", "motorcycle_left.png",
    "motorcycle_right.png", "retina.jpg", "text.png",
)  # fmt: skip
TEST_PHOTOS = (
    "astronaut.png", "coffee.png", "coins.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "page.png",
    "rocket.jpg",
)  # fmt: skip
"""Shepp and Logan's phantom is left out: it is drawn to look like a scan."""


def photo(name: str) -> NDArray[np.uint8]:
    """Return a picture of scikit-image's, (h, w, 3); nothing is downloaded.

    Raises
    ------
    TrainingError
        scikit-image is not installed, or this release has no such picture.
    """
    try:
        import skimage.data
        from PIL import Image
    except ImportError as error:
        raise TrainingError("Pictures that are no scan come from scikit-image: pip install scikit-image.") from error
    path = Path(skimage.data.__file__).parent / name
    if not path.is_file():
        raise TrainingError(f"The installed scikit-image brings no {name}. Releases 0.20 to 0.26 do.")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def crops(picture: NDArray[np.uint8], rng: Rng, count: int) -> Iterator[NDArray[np.float32]]:
    """Yield most of the picture, then random parts of it, gray in several ways, 0..1."""
    h, w, _ = picture.shape
    for n in range(count):
        share = 1.0 if n == 0 else float(np.exp(rng.uniform(np.log(0.12), 0)))
        ch, cw = (max(24, int(size * min(1.0, share * rng.uniform(0.75, 1.33)))) for size in (h, w))
        ch, cw = min(ch, h), min(cw, w)
        j, i = rng.integers(h - ch + 1), rng.integers(w - cw + 1)
        weights = np.array([0.3, 0.59, 0.11]) if n == 0 else rng.dirichlet([0.7, 0.7, 0.7])
        gray = (picture[j : j + ch, i : i + cw] / 255.0) @ weights
        yield np.ascontiguousarray(gray, np.float32)


def _grid() -> tuple[Gray, Gray]:
    j, i = np.mgrid[:_SIDE, :_SIDE].astype(np.float32) / _SIDE - 0.5
    return j, i


def _noise(rng: Rng) -> Gray:
    """Noise of a random color: white to clouds."""
    white = rng.standard_normal((_SIDE, _SIDE)) if rng.random() < 0.7 else rng.exponential(size=(_SIDE, _SIDE))
    slope = rng.choice([0.0, rng.uniform(0.3, 2.4)])
    f = np.hypot(np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)[None])
    f[0, 0] = 1 / _SIDE
    return np.fft.irfft2(np.fft.rfft2(white) * f**-slope, (_SIDE, _SIDE)).astype(np.float32)


def _gradient(rng: Rng) -> Gray:
    j, i = _grid()
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * i + np.sin(angle) * j
    if rng.random() < 0.4:
        ramp = np.hypot(j - rng.uniform(-0.4, 0.4), i - rng.uniform(-0.4, 0.4))
    if rng.random() < 0.3:
        ramp = np.floor(ramp * rng.integers(3, 12))
    return ramp + rng.choice([0.0, 0.02]) * rng.standard_normal(ramp.shape).astype(np.float32)


def _checkerboard(rng: Rng) -> Gray:
    j, i = _grid()
    turn = rng.choice([0.0, rng.uniform(0, np.pi)])
    u, v = np.cos(turn) * i + np.sin(turn) * j, np.cos(turn) * j - np.sin(turn) * i
    cells = rng.uniform(2, 24)
    return ((np.floor(u * cells) + np.floor(v * cells * rng.choice([1, 1, 0.3]))) % 2).astype(np.float32)


def _stripes(rng: Rng) -> Gray:
    j, i = _grid()
    angle, waves = rng.uniform(0, np.pi), rng.uniform(2, 40)
    wave = np.sin(2 * np.pi * waves * (np.cos(angle) * i + np.sin(angle) * j) + rng.uniform(0, 6))
    return np.sign(wave) if rng.random() < 0.4 else wave


def _canvas(rng: Rng) -> tuple[Any, Any]:
    from PIL import Image, ImageDraw

    image = Image.new("L", (_SIDE, _SIDE), int(rng.choice([0, 255, _ink(rng)])))
    return image, ImageDraw.Draw(image)


def _ink(rng: Rng) -> int:
    return int(rng.integers(256))


def _heap(rng: Rng) -> Gray:
    """Shapes on top of each other, as things in a photograph are ("dead leaves")."""
    image, draw = _canvas(rng)
    only_boxes = rng.random() < 0.3
    for _ in range(rng.integers(3, 120)):
        x, y = rng.uniform(-20, _SIDE, 2)
        size = np.exp(rng.uniform(np.log(5), np.log(90)))
        w, h = size * rng.uniform(0.4, 1.6, 2)
        kind = 0 if only_boxes else rng.integers(3)
        if kind == 0:
            draw.rectangle((x, y, x + w, y + h), fill=_ink(rng))
        elif kind == 1:
            draw.ellipse((x, y, x + w, y + h), fill=_ink(rng))
        else:
            points = [(x + rng.uniform(0, w), y + rng.uniform(0, h)) for _ in range(rng.integers(3, 7))]
            draw.polygon(points, fill=_ink(rng))
    out = np.asarray(image, np.float32) / 255
    return out + rng.choice([0.0, rng.uniform(0, 0.08)]) * rng.standard_normal(out.shape).astype(np.float32)


def _text(rng: Rng) -> Gray:
    from PIL import ImageFont

    image, draw = _canvas(rng)
    paper = image.getpixel((0, 0))
    ink = int(255 - paper) if abs(255 - 2 * paper) > 60 else 255
    font = ImageFont.load_default(float(rng.uniform(7, 26)))
    letters = np.array(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ,.:;-/      "))
    y = rng.uniform(0, 10)
    while y < _SIDE * rng.uniform(0.6, 1.0):
        line = "".join(rng.choice(letters, rng.integers(4, 45)))
        draw.text((rng.uniform(0, 12), y), line, fill=ink, font=font)
        y += font.size * rng.uniform(1.05, 1.5)
    return np.asarray(image, np.float32) / 255


def _plot(rng: Rng) -> Gray:
    image, draw = _canvas(rng)
    paper = image.getpixel((0, 0))
    ink = int(255 - paper) if abs(255 - 2 * paper) > 60 else 0
    left, bottom = rng.uniform(6, 25), _SIDE - rng.uniform(6, 25)
    draw.line((left, 5, left, bottom, _SIDE - 5, bottom), fill=ink)
    if rng.random() < 0.5:
        for step in np.linspace(0, 1, rng.integers(4, 10)):
            draw.line((left, 5 + step * (bottom - 5), _SIDE - 5, 5 + step * (bottom - 5)), fill=(ink + paper) // 2)
    kind, x = rng.integers(3), np.linspace(left, _SIDE - 6, rng.integers(5, 90))
    for _ in range(rng.integers(1, 4)):
        y = np.cumsum(rng.standard_normal(len(x))) if rng.random() < 0.7 else rng.standard_normal(len(x))
        y = bottom - 4 - (y - y.min()) / max(float(np.ptp(y)), 1e-6) * (bottom - 14)
        if kind == 0:
            draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=ink, width=int(rng.integers(1, 3)))
        for a, b in zip(x, y, strict=True):
            if kind == 1:
                draw.rectangle((a, b, a + 0.6 * (x[1] - x[0]), bottom), fill=ink)
            elif kind == 2:
                draw.ellipse((a - 2, b - 2, a + 2, b + 2), fill=ink)
    return np.asarray(image, np.float32) / 255


def _blobs(rng: Rng) -> Gray:
    """Thresholded or smooth clouds: cells, maps, camouflage."""
    from scipy.ndimage import gaussian_filter

    cloud = gaussian_filter(rng.standard_normal((_SIDE, _SIDE)), rng.uniform(1.5, 14), mode="wrap")
    cloud = (cloud - cloud.mean()) / cloud.std()
    if rng.random() < 0.6:
        cloud = np.digitize(cloud, np.sort(rng.uniform(-1.2, 1.2, rng.integers(1, 4))))
    out: Gray = np.asarray(cloud, np.float32)
    return out + rng.choice([0.0, 0.1]) * rng.standard_normal(out.shape).astype(np.float32)


def _shape(rng: Rng) -> Gray:
    """One plain thing on a plain ground: a logo, a disc, a frame."""
    image, draw = _canvas(rng)
    for _ in range(rng.integers(1, 4)):
        x, y = rng.uniform(0, 0.6 * _SIDE, 2)
        box = (x, y, x + rng.uniform(15, 100), y + rng.uniform(15, 100))
        paint = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        paint(box, fill=None if rng.random() < 0.3 else _ink(rng), outline=_ink(rng), width=int(rng.integers(1, 8)))
    return np.asarray(image, np.float32) / 255


def _cells(rng: Rng) -> Gray:
    """Areas nearest to random points, each of its own gray."""
    j, i = _grid()
    points = rng.uniform(-0.5, 0.5, (rng.integers(5, 60), 2)).astype(np.float32)
    nearest = np.argmin((j[..., None] - points[:, 0]) ** 2 + (i[..., None] - points[:, 1]) ** 2, axis=-1)
    return rng.random(len(points)).astype(np.float32)[nearest]


def _rings(rng: Rng) -> Gray:
    j, i = _grid()
    r = np.hypot(j - rng.uniform(-0.3, 0.3), i - rng.uniform(-0.3, 0.3))
    return np.sin(rng.uniform(60, 500) * r**2).astype(np.float32)


def _barcode(rng: Rng) -> Gray:
    bars = np.repeat(rng.integers(0, 2, _SIDE), rng.integers(1, 5, _SIDE))[:_SIDE].astype(np.float32)
    out = np.ones((_SIDE, _SIDE), np.float32)
    top = int(rng.uniform(0, 60))
    out[top : _SIDE - int(rng.uniform(0, 60))] = bars
    return out


def _maze(rng: Rng) -> Gray:
    """Quick-response codes and the like: random squares."""
    n = int(rng.integers(8, 40))
    squares = rng.integers(0, 2, (n, n)).astype(np.float32)
    return np.kron(squares, np.ones((-(-_SIDE // n),) * 2, np.float32))[:_SIDE, :_SIDE]


DRAWN: Mapping[str, Callable[[Rng], Gray]] = MappingProxyType(
    {
        "noise": _noise, "gradient": _gradient, "checkerboard": _checkerboard, "stripes": _stripes, "heap": _heap,
        "text": _text, "plot": _plot, "blobs": _blobs, "shape": _shape,
    }
)  # fmt: skip
"""What the recognizer is trained on."""
TEST_DRAWN: Mapping[str, Callable[[Rng], Gray]] = MappingProxyType(
    {"cells": _cells, "rings": _rings, "barcode": _barcode, "squares": _maze}
)
"""Kinds that it never saw."""


def drawn(kind: str, seed: int) -> NDArray[np.float32]:
    """Return a drawn picture, (160, 160); equal arguments give equal pixels."""
    make = {**DRAWN, **TEST_DRAWN}[kind]
    return np.ascontiguousarray(make(np.random.default_rng([seed, *kind.encode()])), np.float32)
