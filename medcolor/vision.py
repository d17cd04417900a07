"""Colour-vision deficiency: what others see of a palette, how well its classes stay apart, and what can be done.

About one man in twelve confuses colours that a tissue palette may rely on. Lightness belongs to the scan (the colour
law), so a remedy may only move (a*, b*): :func:`compensate` does, :func:`separability` measures.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medcolor.cielab import (
    delta_e_2000,
    in_gamut,
    lab_to_xyz,
    linear_to_srgb,
    linear_to_xyz,
    shrink_to_gamut,
    srgb_to_linear,
    xyz_to_lab,
    xyz_to_linear,
)
from medcolor.errors import PaletteError, SettingError, UnknownColorizerError
from medcolor.vision_models import Deficiency, brettel, machado

__all__ = [
    "LIGHTNESS_LEVELS",
    "Deficiency",
    "Model",
    "compensate",
    "parse_cvd",
    "separability",
    "simulate",
    "simulate_linear",
]

Model = Literal["machado", "brettel"]
LIGHTNESS_LEVELS = (30.0, 50.0, 70.0)

_GRID = 4.0  # spacing of the colours that compensation chooses from; a quarter of a clear difference
_ENOUGH = 12.0  # CIEDE2000 that consecutive classes aim at where even normal vision has less
_PLENTY = 25.0  # beyond this no eye hesitates, and a longer spring would only squeeze the others
_DISTANT = 0.1  # weight of classes that are not neighbours in the palette
_NATURALNESS = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.0)
_SWEEPS = 12


def parse_cvd(spec: str) -> tuple[Deficiency, float]:
    """Return the deficiency and severity that a text names: "deutan" (severity 1), "deutan:0.6".

    Raises
    ------
    UnknownColorizerError
        No such deficiency.
    PaletteError
        A severity that is no number from 0 to 1.
    """
    kind, _, degree = spec.partition(":")
    names = [str(d) for d in Deficiency]
    if kind not in names:
        near = difflib.get_close_matches(kind.lower(), names, n=1)
        raise UnknownColorizerError(
            f'"{kind}" is no colour-vision deficiency. Known: {", ".join(names)}, each with an optional severity '
            f'from 0 to 1, as in "deutan:0.6".' + (f' Did you mean "{near[0]}"?' if near else "")
        )
    try:
        severity = float(degree) if ":" in spec else 1.0
    except ValueError:
        severity = float("nan")
    if not 0 <= severity <= 1:
        raise PaletteError(f'The severity in "{spec}" must be a number from 0 (normal) to 1 (dichromacy).')
    return Deficiency(kind), severity


def simulate_linear(
    linear: ArrayLike, deficiency: Deficiency, severity: float = 1.0, *, model: Model = "machado"
) -> NDArray[np.float64]:
    """Show linear sRGB as someone with a colour-vision deficiency sees it.

    Parameters
    ----------
    linear : array_like of float, (..., 3)
        Linear light, 0..1.
    deficiency : Deficiency
    severity : float
        0 is normal vision, 1 dichromacy.
    model : "machado" or "brettel"
        Machado 2009 knows degrees. Brettel 1997 knows dichromacy; in between it is mixed with the original.

    Returns
    -------
    ndarray of float64, (..., 3)
        Linear light; may leave 0..1 slightly.

    Raises
    ------
    ValueError
        A severity outside 0..1, or an unknown deficiency or model.
    """
    light = np.asarray(linear, dtype=np.float64)
    kind = Deficiency(deficiency)
    if not 0 <= severity <= 1:
        raise SettingError(f"severity must lie in 0 (normal vision) to 1 (dichromacy), got {severity}.")
    if model == "machado":
        return _through(machado(kind, severity), light)
    if model != "brettel":
        raise ValueError(f'model must be "machado" or "brettel", got {model!r}.')
    first, second, normal = brettel(kind)
    side = light[..., 0] * normal[0] + light[..., 1] * normal[1] + light[..., 2] * normal[2] >= 0
    seen = np.where(side[..., None], _through(first, light), _through(second, light))
    return light + severity * (seen - light)


def simulate(
    rgb: NDArray[np.number], deficiency: Deficiency, severity: float = 1.0, *, model: Model = "machado"
) -> NDArray[np.number]:
    """Show sRGB as someone with a colour-vision deficiency sees it.

    Parameters
    ----------
    rgb : ndarray, (..., 3)
        uint8 0..255 or float 0..1.
    deficiency, severity, model
        As for :func:`simulate_linear`.

    Returns
    -------
    ndarray, (..., 3)
        uint8 for uint8, else float64 in 0..1; limited to what a display can show.
    """
    array = np.asarray(rgb)
    encoded = array / 255.0 if array.dtype == np.uint8 else np.asarray(array, dtype=np.float64)
    seen = simulate_linear(srgb_to_linear(encoded), deficiency, severity, model=model)
    shown = linear_to_srgb(np.clip(seen, 0, 1))
    return np.rint(shown * 255).astype(np.uint8) if array.dtype == np.uint8 else shown


def separability(
    ab: ArrayLike,
    deficiency: Deficiency | None = None,
    severity: float = 1.0,
    lightness: Sequence[float] = LIGHTNESS_LEVELS,
    *,
    model: Model = "machado",
) -> NDArray[np.float64]:
    """Return how different consecutive classes of a palette look, in CIEDE2000.

    Parameters
    ----------
    ab : array_like of float, (K, 2)
        a*, b* of each class, in palette order; shrunk into the gamut at each lightness first.
    deficiency : Deficiency, optional
        None is normal vision.
    severity : float
        0..1.
    lightness : sequence of float
        L* at which colours are compared.
    model : "machado" or "brettel"

    Returns
    -------
    ndarray of float64, (n lightness, K - 1)
        The figure of a palette is the smallest entry.
    """
    seen = _seen(_palette(ab), lightness, deficiency, severity, model)
    return np.asarray(delta_e_2000(seen[:, :-1], seen[:, 1:]), dtype=np.float64)


def compensate(
    ab: ArrayLike,
    deficiency: Deficiency,
    severity: float = 1.0,
    lightness: Sequence[float] = LIGHTNESS_LEVELS,
    *,
    model: Model = "machado",
) -> NDArray[np.float64]:
    """Move a palette's colours so that its classes stay apart for a given deficiency, at unchanged lightness.

    As in Kuhn 2008, colours are joined by springs whose rest length is the difference normal vision sees, and a colour
    is the heavier the less the deficiency changes it. Contrast is that at the given *degree*, and is weighed
    against naturalness. Springs between consecutive classes pull ten times stronger, and no spring pushes colours
    together. Colours are chosen from a grid, class by class until nothing moves: no randomness.
    Classes at exactly (0, 0) stay gray. Of several weights,
    the most natural one wins that gives the deficient eye the separability that normal vision had (but 12 to 25);
    if none does, the one with the largest.

    Parameters
    ----------
    ab : array_like of float, (K, 2)
        a*, b* of each class, in palette order.
    deficiency : Deficiency
    severity : float
        0..1; 0 changes nothing.
    lightness : sequence of float
        L* levels the palette is used at.
    model : "machado" or "brettel"

    Returns
    -------
    ndarray of float64, (K, 2)
        Inside the gamut of at least one of the levels (of the level, when one is given); the smallest
        :func:`separability` is never below that of ``ab``.

    References
    ----------
    Kuhn, Oliveira, Fernandes (2008), IEEE TVCG 14(6), 1747-1754. Recolouring by degree is surveyed in
    The Visual Computer (2024), doi:10.1007/s00371-024-03454-8.
    """
    wanted = _widest(_palette(ab), lightness)
    start = float(separability(wanted, deficiency, severity, lightness, model=model).min(initial=np.inf))
    if severity == 0 or len(wanted) < 2:
        return wanted
    goal = min(max(float(separability(wanted, lightness=lightness).min()), _ENOUGH), _PLENTY)
    search = _Search(wanted, Deficiency(deficiency), severity, lightness, model)
    best, figure = wanted, start
    for naturalness in _NATURALNESS:
        if figure >= goal:
            break
        found = search.run(naturalness)
        reached = float(separability(found, deficiency, severity, lightness, model=model).min())
        if reached > figure:
            best, figure = found, reached
    return best


class _Search:
    """Coordinate descent over a grid of colours; everything that does not change is computed once."""

    def __init__(
        self,
        wanted: NDArray[np.float64],
        deficiency: Deficiency,
        severity: float,
        lightness: Sequence[float],
        model: Model,
    ) -> None:
        self.count = len(wanted)
        self._known: dict[int, NDArray[np.float64]] = {}
        self.movable = np.flatnonzero(wanted.any(axis=1)).tolist()  # gray says: no colour here, to every eye
        self.choices = np.concatenate([wanted, _grid(lightness)])
        self.seen = _seen(self.choices, lightness, deficiency, severity, model)
        normal = _seen(self.choices, lightness, None, 0.0, model)
        own = normal[:, : self.count]
        rest = delta_e_2000(own[:, :, None], own[:, None, :])
        place = np.arange(self.count)
        neighbors = np.abs(place[:, None] - place[None]) == 1
        self.rest = np.where(neighbors, np.clip(rest, _ENOUGH, _PLENTY), np.minimum(rest, _ENOUGH))
        self.pull = np.where(neighbors, 1.0, _DISTANT)
        np.fill_diagonal(self.pull, 0.0)
        changed = delta_e_2000(own, self.seen[:, : self.count]).mean(axis=0)
        mass = 1 / (1 + changed / 10)
        moved = np.stack([delta_e_2000(normal, own[:, k : k + 1]) for k in range(self.count)])
        self.unnatural = mass[:, None] * (moved**2).mean(axis=1)

    def run(self, naturalness: float) -> NDArray[np.float64]:
        chosen = np.arange(self.count)
        distance = np.stack(
            [self._from(place) for place in range(self.count)]
        )  # (K, levels, choices): to each class's colour
        for _ in range(_SWEEPS):
            before = chosen.copy()
            for k in self.movable:
                short = np.maximum(self.rest[:, k].T[:, :, None] - distance, 0)
                stress = self.pull[k] @ (short**2).mean(axis=1)
                # Rounded, so that the last bits of a machine do not choose between equals.
                cost = np.round(stress + naturalness * self.unnatural[k], 6)
                place = int(np.argmin(cost))
                if cost[place] < cost[chosen[k]]:
                    chosen[k] = place
                    distance[k] = self._from(place)
            if np.array_equal(before, chosen):
                break
        return np.asarray(self.choices[chosen])

    def _from(self, place: int) -> NDArray[np.float64]:
        """Differences of all choices from one; every run begins at the same places and passes many of them again."""
        if place not in self._known:
            self._known[place] = np.asarray(delta_e_2000(self.seen, self.seen[:, place : place + 1]), dtype=np.float64)
        return self._known[place]


def _through(matrix: NDArray[np.float64], light: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([light[..., 0] * r[0] + light[..., 1] * r[1] + light[..., 2] * r[2] for r in matrix], axis=-1)


def _palette(ab: ArrayLike) -> NDArray[np.float64]:
    pairs = np.asarray(ab, dtype=np.float64)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.isfinite(pairs).all():
        raise ValueError(f"ab must be finite and of shape (K, 2), one row for each class; got shape {pairs.shape}.")
    return pairs


def _seen(
    ab: NDArray[np.float64], lightness: Sequence[float], deficiency: Deficiency | None, severity: float, model: Model
) -> NDArray[np.float64]:
    """Lab (levels, K, 3) of colours shrunk into the gamut at each level, as the eye in question sees them."""
    L = np.asarray(lightness, dtype=np.float64)[:, None]
    shown = shrink_to_gamut(L, ab[None])
    lab = np.concatenate([np.broadcast_to(L, shown.shape[:-1])[..., None], shown], axis=-1)
    if deficiency is None:
        return lab
    linear = np.clip(xyz_to_linear(lab_to_xyz(lab)), 0, 1)
    seen = np.clip(simulate_linear(linear, deficiency, severity, model=model), 0, 1)
    return np.asarray(xyz_to_lab(linear_to_xyz(seen)), dtype=np.float64)


def _widest(ab: NDArray[np.float64], lightness: Sequence[float]) -> NDArray[np.float64]:
    """Shrink each colour until one of the levels can show it; what the eye sees at each level stays the same."""
    shown = shrink_to_gamut(np.asarray(lightness, dtype=np.float64)[:, None], ab[None])
    level = np.argmax((shown**2).sum(axis=-1), axis=0)
    return np.asarray(shown[level, np.arange(len(ab))])


def _grid(lightness: Sequence[float]) -> NDArray[np.float64]:
    """All grid colours that at least one of the levels can show."""
    axis = np.arange(-27, 28) * _GRID
    ab = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    shown = [in_gamut(np.concatenate([np.full((len(ab), 1), level), ab], axis=-1)) for level in lightness]
    return np.asarray(ab[np.any(shown, axis=0)])
