"""Where the colours of configs/palettes come from: sampling, optimization, and the table of figures.

    python benchmarks/derive_palettes.py --data DIR     colours of the cryosection photograph (NLM Visible Human)
    python benchmarks/derive_palettes.py --optimize     contrast, protan, deutan and tritan styles from the design below
    python benchmarks/derive_palettes.py --table        separability of the palettes as they are (Markdown)

``--check`` with the first two compares with the palettes and exits with 1 where they differ. No randomness anywhere.
"""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcolor.cielab import delta_e_2000, in_gamut, rgb_to_lab, shrink_to_gamut
from medcolor.palettes import STYLES, list_palettes, load_palette
from medcolor.scan import MODALITIES
from medcolor.vision import LIGHTNESS_LEVELS, Deficiency, separability, simulate_linear

Floats = NDArray[np.float64]

# --- sampled: boxes (x0, y0, x1, y1) in the 2048 x 1216 photograph, chosen by eye, away from borders and highlights.
PHOTOGRAPH = Path("packs") / "visible_female_rgb_slice.npz"
REGIONS: dict[str, list[tuple[int, int, int, int]]] = {
    "fat": [(620, 720, 760, 780), (1290, 720, 1400, 790), (1360, 760, 1420, 800), (300, 250, 330, 320),
            (1810, 250, 1835, 320)],
    "skeletal muscle": [(360, 300, 430, 345), (390, 410, 450, 480), (1710, 260, 1790, 330), (1640, 420, 1700, 470)],
    "heart muscle": [(1180, 390, 1300, 450), (1180, 520, 1240, 560)],
    "lung": [(760, 330, 880, 560), (1290, 260, 1400, 350)],
    "spongy bone": [(1020, 330, 1040, 350), (1060, 360, 1085, 370)],
    "cortical bone": [(415, 378, 424, 388), (410, 362, 420, 372), (452, 362, 462, 378), (1690, 368, 1696, 385),
                      (1735, 365, 1741, 375), (1700, 386, 1725, 393)],
    "skin": [(284, 310, 288, 380), (905, 823, 925, 826)],
    "gray card": [(1060, 1050, 1075, 1080)],
}  # fmt: skip
SAMPLED = {
    "fat": [("CT", "fat"), ("MG", "fat")],
    "skeletal muscle": [("CT", "soft_tissue"), ("XR", "soft_tissue"), ("MG", "pectoral")],
    "heart muscle": [("XR", "dense")],
    "lung": [("CT", "lung")],
    "spongy bone": [("CT", "spongy_bone")],
    "cortical bone": [("CT", "cortical_bone"), ("XR", "bone")],
    "skin": [("MG", "skin")],
}
REFERENCE_LIGHTNESS = 50.0

# --- designed: what each class should look like to normal vision; optimization stays as near as the figures allow.
UPTAKE = {"outside": (0, 0), "background": (24, -52), "low": (48, -30), "moderate": (60, 10), "high": (44, 46),
          "intense": (0, 66)}  # fmt: skip
DESIGN: dict[str, dict[str, tuple[int, int]]] = {
    "CT": {"outside": (0, 0), "gas": (8, -20), "lung": (-26, -4), "fat": (0, 52), "fluid": (2, -44),
           "soft_tissue": (44, 14), "enhanced": (66, 52), "spongy_bone": (14, 30), "cortical_bone": (-2, 12),
           "metal": (-48, 40)},
    "MR": {"outside": (0, 0), "dark": (36, -60), "low": (4, -36), "intermediate": (-28, -2), "high": (-36, 40),
           "bright": (0, 66)},
    "PT": UPTAKE,
    "NM": UPTAKE,
    "US": {"outside": (0, 0), "anechoic": (2, -44), "hypoechoic": (40, -24), "isoechoic": (40, 14),
           "hyperechoic": (22, 40), "bright": (-6, 56)},
    "XR": {"outside": (0, 0), "air": (0, -36), "soft_tissue": (44, 14), "dense": (50, -28), "bone": (-2, 20),
           "metal": (-48, 40)},
    "MG": {"air": (0, 0), "skin": (16, 28), "fat": (-4, 52), "fibroglandular": (50, -4), "pectoral": (44, 44),
           "calcification": (-30, -12)},
}  # fmt: skip
GOALS = {"contrast": (None, 13.0, 10.0)} | {str(d): (d, 8.5, 6.0) for d in Deficiency}
"""Style: for whom, CIEDE2000 that neighbours must have, and what other pairs are pulled toward."""
NORMAL_GOAL = 10.0  # neighbours under normal vision in styles made for a deficiency
CROWDING = 4.0  # weight of pairs that are no neighbours against nearness to the design
STEP = 4.0


def sample(folder: Path) -> dict[str, tuple[int, Floats, Floats, Floats]]:
    """Return for each region: pixels, median Lab, interquartile range, and a*, b* at the reference lightness.

    Tissue under more light keeps its chromaticity; in CIELAB (above L* 8) a* and b* then scale with L* + 16.
    """
    image = np.load(folder / PHOTOGRAPH, allow_pickle=False)["images"][0]
    found = {}
    for name, boxes in REGIONS.items():
        lab = np.concatenate([rgb_to_lab(image[y0:y1, x0:x1]).reshape(-1, 3) for x0, y0, x1, y1 in boxes])
        median = np.median(lab, axis=0)
        spread = np.percentile(lab, 75, axis=0) - np.percentile(lab, 25, axis=0)
        found[name] = (len(lab), median, spread, median[1:] * (REFERENCE_LIGHTNESS + 16) / (median[0] + 16))
    return found


def print_sample(folder: Path, *, check: bool) -> int:
    wrong = 0
    print("| region | pixels | median L*, a*, b* | interquartile range | a*, b* at L* 50 |\n|---|---|---|---|---|")
    for name, (count, median, spread, ab) in sample(folder).items():
        print(f"| {name} | {count} | {_list(median)} | {_list(spread)} | {_list(ab)} |")
        for family, entry in SAMPLED.get(name, []) if check else []:
            palette = load_palette(family, "anatomical")
            stored = palette.ab[palette.names.index(entry)]
            if np.abs(stored - ab).max() > 0.06:
                print(f"differs: {family} {entry} has {_list(stored)}")
                wrong += 1
    return wrong


def optimize(family: str, style: str) -> dict[str, tuple[int, int]]:
    """Find the colours nearest to the design whose neighbours are far enough apart.

    Exact along the chain of neighbours (dynamic programming over a grid of colours), then class by class with all
    pairs in view.
    """
    viewer, goal, wide = GOALS[style]
    design = np.array(list(DESIGN[family].values()), dtype=np.float64)
    every, start = _candidates()
    own = np.concatenate([start[family] + np.arange(len(design)), np.arange(start["grid"], len(every))])
    colors = every[own]
    distance = _candidate_distances(viewer)[np.ix_(own, own)]
    near = distance < goal
    if viewer is not None:
        near |= _candidate_distances(None)[np.ix_(own, own)] < NORMAL_GOAL
    unlike = np.stack([_from_design(colors, k) for k in range(len(design))])
    unlike[0, 1:] = np.inf  # outside stays gray
    chosen = _chain(unlike, np.where(near, np.inf, 0.0))
    crowding = CROWDING * np.maximum(0, wide - distance) ** 2
    for _ in range(20):
        before = list(chosen)
        for k in range(1, len(chosen)):
            others = [m for m in range(len(chosen)) if abs(m - k) > 1]
            neighbors = [m for m in (k - 1, k + 1) if m < len(chosen)]
            cost = unlike[k] + crowding[[chosen[m] for m in others]].sum(axis=0)
            cost[near[[chosen[m] for m in neighbors]].any(axis=0)] = np.inf
            chosen[k] = int(np.argmin(np.round(cost, 6)))
        if chosen == before:
            break
    pairs = [(int(a), int(b)) for a, b in colors[chosen]]
    return dict(zip(DESIGN[family], pairs, strict=True))


def _chain(unlike: Floats, forbidden: Floats) -> list[int]:
    total, came = unlike[0], []
    for own in unlike[1:]:
        steps = total[:, None] + forbidden
        came.append(np.argmin(steps, axis=0))
        total = steps.min(axis=0) + own
    chosen = [int(np.argmin(np.round(total, 6)))]
    for step in reversed(came):
        chosen.append(int(step[chosen[-1]]))
    return chosen[::-1]


@cache
def _candidates() -> tuple[Floats, dict[str, int]]:
    """All designs and then the grid, and where each begins: so that distances are computed once."""
    parts = {family: np.array(list(classes.values()), dtype=np.float64) for family, classes in DESIGN.items()}
    parts["grid"] = _grid()
    starts = np.cumsum([0, *(len(part) for part in parts.values())])
    return np.concatenate(list(parts.values())), dict(zip(parts, starts.tolist(), strict=False))


@cache
def _candidate_distances(viewer: Deficiency | None) -> Floats:
    return _distances(_candidates()[0], viewer)


def _grid() -> Floats:
    axis = np.arange(-26, 27) * STEP
    ab = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    shown = [in_gamut(np.concatenate([np.full((len(ab), 1), level), ab], axis=-1)) for level in LIGHTNESS_LEVELS]
    return np.asarray(ab[np.any(shown, axis=0)])


def _seen(ab: Floats, level: float, viewer: Deficiency | None, model: str) -> Floats:
    from medcolor.cielab import lab_to_xyz, linear_to_xyz, xyz_to_lab, xyz_to_linear

    lab = np.concatenate([np.full((len(ab), 1), level), shrink_to_gamut(level, ab)], axis=-1)
    if viewer is None:
        return lab
    linear = simulate_linear(np.clip(xyz_to_linear(lab_to_xyz(lab)), 0, 1), viewer, 1.0, model=model)  # type: ignore[arg-type]
    return np.asarray(xyz_to_lab(linear_to_xyz(np.clip(linear, 0, 1))))


def _distances(ab: Floats, viewer: Deficiency | None) -> Floats:
    """Smallest CIEDE2000 of each pair over the lightness levels and, for a deficiency, over both models of it."""
    smallest = np.full((len(ab), len(ab)), np.inf)
    for model in ("machado",) if viewer is None else ("machado", "brettel"):
        for level in LIGHTNESS_LEVELS:
            lab = _seen(ab, level, viewer, model)
            np.minimum(smallest, delta_e_2000(lab[:, None], lab[None]), out=smallest)
    return smallest


def _from_design(colors: Floats, k: int) -> Floats:
    views = [_seen(colors, level, None, "machado") for level in (50.0, 70.0)]
    return np.asarray(np.mean([delta_e_2000(lab, lab[k]) ** 2 for lab in views], axis=0))


def print_optimum(*, check: bool) -> int:
    wrong = 0
    for family in MODALITIES:
        for style in GOALS:
            found = optimize(family, style)
            print(family, style, " ".join(f"{name}({a},{b})" for name, (a, b) in found.items()), flush=True)
            stored = load_palette(family, style).ab if check else None
            if stored is not None and not np.array_equal(stored, np.array(list(found.values()), np.float32)):
                print(f"differs: {family} {style} has {stored.tolist()}")
                wrong += 1
    return wrong


def print_table() -> int:
    views = [("normal", None, "machado")] + [(f"{d} {m}", d, m) for d in Deficiency for m in ("machado", "brettel")]
    print("| palette | " + " | ".join(name for name, _, _ in views) + " | all pairs, normal | all pairs, own |")
    print("|---" * (len(views) + 3) + "|")
    for family, style in list_palettes():
        ab = load_palette(family, style).ab.astype(np.float64)
        cells = [float(separability(ab, d, model=m).min()) for _, d, m in views]  # type: ignore[arg-type]
        own = Deficiency(style) if style in list(Deficiency) else None
        pairs = [_distances(ab, viewer)[np.triu_indices(len(ab), 1)].min() for viewer in (None, own)]
        print(f"| {family} {style} | " + " | ".join(f"{value:.1f}" for value in [*cells, *pairs]) + " |")
    return 0


def _list(values: NDArray[np.floating]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds packs/visible_female_rgb_slice.npz")
    parser.add_argument("--optimize", action="store_true", help=f"derive {', '.join(s for s in STYLES if s in GOALS)}")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--check", action="store_true", help="compare with configs/palettes")
    options = parser.parse_args()
    if not (options.data or options.optimize or options.table):
        parser.error("choose --data DIR, --optimize or --table")
    wrong = print_sample(options.data, check=options.check) if options.data else 0
    wrong += print_optimum(check=options.check) if options.optimize else 0
    wrong += print_table() if options.table else 0
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
