"""How the channels of an arm are computed: a scan as displayed, as CIELAB / 100, and what trained bundles say of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.cielab import gray_to_lightness, rgb_to_lab
from medcolor.comparison.controls import Channels
from medcolor.errors import SettingError
from medcolor.scan import Scan, to_slices
from medcolor.windowing import grayscale, resolve_display

Render = Callable[[Scan, np.random.Generator], Channels]
SCALE = 100.0  # CIELAB steps of one unit of a channel


def lightness(scan: Scan) -> Channels:
    """Return the lightness of a scan as displayed, L* / 100, (nk, nj, ni)."""
    table = (gray_to_lightness() / SCALE).astype(np.float32)
    return np.asarray(table[grayscale(scan, resolve_display(scan, None))(slice(None))])


def shown(rgb: NDArray[np.uint8]) -> Channels:
    """Return 8-bit sRGB (ni, nj, nk, 3) as CIELAB / 100, (nk, 3, nj, ni)."""
    pixels = np.ascontiguousarray(to_slices(rgb))
    flat = pixels.reshape(-1, 3).astype(np.uint32)
    colors, place = np.unique(flat[:, 0] << 16 | flat[:, 1] << 8 | flat[:, 2], return_inverse=True)
    triples = np.stack([colors >> 16, colors >> 8 & 255, colors & 255], axis=-1).astype(np.uint8)
    lab = (rgb_to_lab(triples) / SCALE).astype(np.float32)
    return np.ascontiguousarray(lab[place].reshape(pixels.shape).transpose(0, 3, 1, 2))


def gray(scan: Scan, rng: np.random.Generator) -> Channels:
    """Render the displayed gray, one channel."""
    return lightness(scan)[:, None]


def gray3(scan: Scan, rng: np.random.Generator) -> Channels:
    """Render the displayed gray three times."""
    return np.repeat(lightness(scan)[:, None], 3, axis=1)


def neutral(scan: Scan) -> Channels:
    """Return the displayed gray with no chroma, (nk, 3, nj, ni)."""
    out = np.zeros((scan.shape[2], 3, scan.shape[1], scan.shape[0]), np.float32)
    out[:, 0] = lightness(scan)
    return out


def there(scan: Scan) -> NDArray[np.bool_]:
    """Return where a scan has an image, (nk, nj, ni)."""
    return ~scan.padded(slice(None))


_KEPT: dict[tuple[str, str], Any] = {}


def colorizer_of(spec: str, device: str = "auto") -> Any:
    """Return a colorizer, the palette being one that tells classes apart; kept, so that it is loaded once."""
    if (spec, device) not in _KEPT:
        from medcolor.bundles import method_of
        from medcolor.colorizers import load_colorizer

        method = None if spec == "physics" or spec.startswith("lut:") else method_of(spec)
        styled = spec == "physics" or method == "tissue"
        where: dict[str, Any] = {} if method is None else {"device": device, "trust": Path(spec).is_dir()}
        _KEPT[spec, device] = load_colorizer(spec, palette="contrast" if styled else None, **where)
    return _KEPT[spec, device]


def coloring(spec: str, device: str) -> Render:
    """Return a render of what a colorizer shows."""

    def color(scan: Scan, rng: np.random.Generator) -> Channels:
        return shown(_quietly(colorizer_of(spec, device), scan).rgb)

    return color


def _quietly(colorizer: Any, scan: Scan) -> Any:
    """Colour without the look at whether the scan is of its modality: the task says that it is."""
    unchecked = replace(colorizer, check=False) if hasattr(colorizer, "check") else colorizer
    return unchecked(scan)


def posteriors_of(spec: str, scan: Scan, device: str = "auto") -> NDArray[np.float32]:
    """Return what a tissue bundle says of a scan, (K, nk, nj, ni)."""
    return np.asarray(colorizer_of(spec, device).predict(scan).posteriors(slice(0, scan.shape[2])))


def posteriors(spec: str, device: str) -> Render:
    """Return a render of the gray and of what a tissue bundle says of each class."""

    def render(scan: Scan, rng: np.random.Generator) -> Channels:
        found = posteriors_of(spec, scan, device).swapaxes(0, 1)
        return np.concatenate([lightness(scan)[:, None], found], axis=1)

    return render


def sure(spec: str, device: str) -> Render:
    """Return a render of the colour of a tissue bundle and of how sure it is."""

    def render(scan: Scan, rng: np.random.Generator) -> Channels:
        colorizer = colorizer_of(spec, device)
        confidence = colorizer.predict(scan).confidence(slice(0, scan.shape[2]))
        return np.concatenate([shown(_quietly(colorizer, scan).rgb), confidence[:, None]], axis=1)

    return render


def as_brought(scan: Scan, rng: np.random.Generator) -> Channels:
    """Render the RGB volume that somebody brought."""
    if scan.rgb is None:
        raise SettingError("This patient has no RGB volume.")
    return shown(scan.rgb)


__all__ = [
    "SCALE",
    "Render",
    "as_brought",
    "coloring",
    "colorizer_of",
    "gray",
    "gray3",
    "lightness",
    "neutral",
    "posteriors",
    "posteriors_of",
    "shown",
    "sure",
    "there",
]
