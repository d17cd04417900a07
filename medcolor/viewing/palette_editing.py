"""A palette being edited: what its classes look like, how well eyes tell them apart, load, save, and match another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcolor.cielab import rgb_to_lab
from medcolor.color import restore_gray
from medcolor.color_scan import ColorScan, Law
from medcolor.errors import PaletteError
from medcolor.palettes import LegendEntry, Palette, legend, load_palette
from medcolor.scan import Scan, to_slices
from medcolor.viewing.live import LiveColors
from medcolor.vision import LIGHTNESS_LEVELS, Deficiency, separability

CLEAR = 10.0
"""CIEDE2000 between neighbouring classes below which they are easily confused."""

_EYES: tuple[Deficiency | None, ...] = (None, *Deficiency)
_USABLE = (40, 215)  # display gray that can carry chroma: nearly black and nearly white cannot
_MOST = 2_000_000  # pixels looked at


@dataclass(frozen=True, slots=True)
class Apart:
    """How well neighbouring classes can be told apart by one eye.

    Attributes
    ----------
    eye : str
        "normal", "protan", "deutan" or "tritan".
    least : float
        CIEDE2000 of the closest pair of neighbours.
    pair : tuple of str
        Their labels.
    """

    eye: str
    least: float
    pair: tuple[str, str]

    @property
    def clear(self) -> bool:
        """Whether that is a clear difference."""
        return self.least >= CLEAR

    def __str__(self) -> str:
        judged = "clear" if self.clear else "easily confused"
        return f"{self.eye}: {self.least:.1f} between {self.pair[0]} and {self.pair[1]} ({judged})"


class PaletteEditor:
    """Colours of a family's classes, changed one at a time; every change can be taken back.

    Parameters
    ----------
    palette : Palette
        Where editing starts.

    Attributes
    ----------
    palette : Palette
        As it is now.
    """

    def __init__(self, palette: Palette) -> None:
        self.palette = palette
        self._past: list[Palette] = []
        self._first = palette

    @property
    def changed(self) -> bool:
        """Whether it differs from where editing started."""
        return self.palette.sha256 != self._first.sha256

    def set(self, name: str, ab: tuple[float, float]) -> None:
        """Give a class another a*, b*.

        Raises
        ------
        PaletteError
            No such class, or a colour that is none.
        """
        self._become({name: ab})

    def set_rgb(self, name: str, rgb: tuple[int, int, int]) -> None:
        """Give a class the hue and chroma of an sRGB colour; its lightness belongs to the scan and is left out."""
        self.set(name, ab_of(rgb))

    def take(self, palette: Palette) -> None:
        """Become another palette of the same classes."""
        if palette.names != self.palette.names:
            raise PaletteError(f"This palette has the classes {palette.names}, and {self.palette.names} are edited.")
        self._keep(palette)

    def undo(self) -> bool:
        """Take the last change back; return whether there was one."""
        if not self._past:
            return False
        self.palette = self._past.pop()
        return True

    def legend(self) -> list[LegendEntry]:
        """Return the classes with their swatches."""
        return legend(self.palette)

    def apart(self) -> list[Apart]:
        """Return how well neighbouring classes can be told apart, for normal and for colour-deficient eyes."""
        labels = [entry.label for entry in self.palette.classes]
        if len(labels) < 2:
            return []
        found = []
        for eye in _EYES:
            least = separability(self.palette.ab, eye, lightness=LIGHTNESS_LEVELS).min(axis=0)
            worst = int(least.argmin())
            found.append(
                Apart("normal" if eye is None else str(eye), float(least[worst]), (labels[worst], labels[worst + 1]))
            )
        return found

    def load(self, path: Path) -> None:
        """Become the palette of a personal YAML file.

        Raises
        ------
        PaletteError
            As :func:`medcolor.palettes.load_palette`.
        """
        self.take(load_palette(self.palette.modality, path))

    def save(self, path: Path, *, force: bool = False) -> Path:
        """Write a personal YAML file, which :func:`medcolor.palettes.load_palette` and the command line read.

        Raises
        ------
        PaletteError
            A name that is no YAML file's.
        OutputExistsError
            It exists and ``force`` is not set.
        """
        from medcolor.io.atomic import atomic_files

        if path.suffix.lower() not in {".yaml", ".yml"}:
            raise PaletteError(f"{path}: a palette is saved as .yaml.")
        rows = [f"  {entry.name}: [{entry.ab[0]:g}, {entry.ab[1]:g}]" for entry in self.palette.classes]
        head = ["# A personal palette of medcolor: a*, b* of each class.", f"modality: {self.palette.modality}"]
        with atomic_files([path], force=force) as files, files.open(path) as stream:
            stream.write("\n".join([*head, "classes:", *rows, ""]).encode("ascii"))
        return path

    def _become(self, colors: dict[str, tuple[float, float]]) -> None:
        unknown = colors.keys() - set(self.palette.names)
        if unknown:
            raise PaletteError(f'"{min(unknown)}" is no class here. Classes: {", ".join(self.palette.names)}.')
        classes = tuple(
            replace(entry, ab=colors[entry.name], source="edited by hand") if entry.name in colors else entry
            for entry in self.palette.classes
        )
        self._keep(Palette(self.palette.modality, self.palette.style, classes))

    def _keep(self, palette: Palette) -> None:
        if palette.sha256 != self.palette.sha256:
            self._past.append(self.palette)
            self.palette = palette


def ab_of(rgb: tuple[int, int, int]) -> tuple[float, float]:
    """Return a* and b* of an sRGB colour (0..255), without its lightness."""
    lab = rgb_to_lab(np.array(rgb, np.float64) / 255)
    return round(float(lab[1]), 2), round(float(lab[2]), 2)


@dataclass(frozen=True, slots=True)
class Match:
    """A palette made after a reference.

    Attributes
    ----------
    palette : Palette
    unseen : tuple of str
        Classes that the reference hardly shows; they keep their colours.
    how : str
        What was compared.
    """

    palette: Palette
    unseen: tuple[str, ...]
    how: str


def match(session: LiveColors, reference: ColorScan | Scan) -> Match:
    """Return the session's palette with the colours that its classes have in a coloured reference.

    On the same grid, classes are taken voxel by voxel; of another patient or machine by the gray at which each class
    is displayed: a reference of the same modality and a similar window is needed then.

    Parameters
    ----------
    session : LiveColors
        All slices coloured.
    reference : ColorScan or Scan
        A coloured scan, or an image whose file is in colour.

    Raises
    ------
    PaletteError
        The session's colours have no classes, or the reference no colour.
    """
    palette = session.look.palette
    if palette is None:
        raise PaletteError("A colour table, or colours learned without tissue, have no classes to match.")
    rgb = reference.rgb
    if rgb is None:
        raise PaletteError("The reference is gray: open an image that is coloured.")
    if isinstance(reference, ColorScan) and reference.law is Law.LUT:
        raise PaletteError("The reference is coloured by a table: its colours stand for gray, not for tissue.")
    slices = to_slices(rgb)
    same = reference.geometry.matches(session.scan.geometry)
    sums = _by_place(session, slices) if same else _by_gray(session, slices)
    weight = sums[:, 2]
    seen = weight > max(1e-4 * float(weight.sum()), 20.0)
    ab = sums[:, :2] / np.maximum(weight, 1e-9)[:, None]
    if float(np.hypot(ab[seen, 0], ab[seen, 1]).max(initial=0)) < 1:
        raise PaletteError("The reference shows no colour where these classes are.")
    classes = tuple(
        replace(entry, ab=(round(float(a), 2), round(float(b), 2)), source="matched to a reference") if found else entry
        for entry, (a, b), found in zip(palette.classes, ab, seen, strict=True)
    )
    unseen = tuple(entry.name for entry, found in zip(palette.classes, seen, strict=True) if not found)
    how = "voxel by voxel: the same grid" if same else "by displayed gray: another grid"
    return Match(Palette(palette.modality, palette.style, classes), unseen, how)


def _by_place(session: LiveColors, slices: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return sums over voxels of (a*, b*, 1), weighted by what each class is there, (K, 3)."""

    def weights(k: int, stride: int, gray: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        found = session.posteriors(k)
        return None if found is None else np.square(found[:, ::stride, ::stride])

    return _summed(session, slices, weights)


def _by_gray(session: LiveColors, slices: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the same, where a class is known by the gray that it is displayed at in the session."""
    table = _gray_of_classes(session)

    def weights(k: int, stride: int, gray: NDArray[np.uint8]) -> NDArray[np.float32]:
        return table[:, gray]

    return _summed(session, slices, weights)


def _summed(
    session: LiveColors,
    slices: NDArray[np.uint8],
    weights: Callable[[int, int, NDArray[np.uint8]], NDArray[np.float32] | None],
) -> NDArray[np.float64]:
    palette = session.look.palette
    assert palette is not None
    total = np.zeros((len(palette.classes), 3))
    stride = max(1, int(np.sqrt(slices[..., 0].size / _MOST)))
    for k, picture in enumerate(slices):
        part = np.ascontiguousarray(picture[::stride, ::stride])
        gray = restore_gray(part)
        found = weights(k, stride, gray)
        if found is None:
            continue
        usable = (gray >= _USABLE[0]) & (gray <= _USABLE[1])
        ab = rgb_to_lab(part[usable] / 255.0)[:, 1:]
        chosen = found[:, usable].astype(np.float64)
        total += np.concatenate([chosen @ ab, chosen.sum(axis=1, keepdims=True)], axis=1)
    return total


def _gray_of_classes(session: LiveColors) -> NDArray[np.float32]:
    """Return how probable each class is at each displayed gray, squared, (K, 256)."""
    palette = session.look.palette
    assert palette is not None
    counts = np.zeros((len(palette.classes), 256))
    stride = max(1, int(np.sqrt(session.gray.size / _MOST)))
    for k in range(session.total):
        found = session.posteriors(k)
        if found is None:
            continue
        gray = session.gray[k, ::stride, ::stride].reshape(-1)
        for row, plane in zip(counts, found[:, ::stride, ::stride].reshape(len(counts), -1), strict=True):
            row += np.bincount(gray, weights=plane, minlength=256)
    share = counts / np.maximum(counts.sum(axis=0), 1e-9)
    return np.square(share).astype(np.float32)


__all__ = ["CLEAR", "Apart", "Match", "PaletteEditor", "ab_of", "match"]
