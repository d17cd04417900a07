"""What colours mixed at a temperature, or another bound of gamma, would do to a shipped bundle (docs/adr/0013).

Run:  python benchmarks/temperature.py us_tissue --data PACKS -o WORK [--side val] [--scans 40] [--tone-least 0.25]

Prints for each temperature, as means over scans: CIEDE2000 on clean scans and for each line of the middle level; the
latter as a part of physics'; flicker as a part of physics' and of the target's, where slices are neighbours; the part
of the error that the most confident 80 % of the pixels have; and the expected error over the true one. Weights are
those of the bundle; its own temperature is set to 1. Targets are kept in WORK, made at the first run.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medcolor.bundles import load_bundle
from medcolor.colorizers.network import NetworkColorizer
from medcolor.colorizers.prediction import error_of
from medcolor.palettes import load_palette
from medcolor.scan import Scan
from medcolor.training import arms, metrics
from medcolor.training.conditions import evaluation_table
from medcolor.training.evaluate import LabeledScan, labeled_scans
from medcolor.training.evaluation import MIDDLE
from medcolor.training.recipe import read_recipe
from medcolor.training.sides import datasets
from medcolor.windowing import default_display, grayscale

TEMPERATURES = (1.3, 1.0, 0.8, 0.65, 0.5, 0.35)
_FAINTEST = 1e-12

Floats = NDArray[np.float32]
Told = tuple[torch.Tensor, torch.Tensor]
"""Posteriors (K, nk, nj, ni) and the network's log scale (nk, nj, ni)."""
Figures = defaultdict[tuple[str, float], list[float]]


def said(colorizer: NetworkColorizer, scan: Scan) -> Told:
    """Return what a network says of a whole scan."""
    found, (ni, nj, nk) = colorizer.predict(scan), scan.shape
    posteriors, scales = torch.empty(len(found.classes), nk, nj, ni), torch.empty(nk, nj, ni)
    for tile, likely, log_scale in found.tensors(slice(0, nk)):
        posteriors[(slice(None), *tile.kept)], scales[tile.kept] = likely.cpu(), log_scale.cpu()
    return posteriors, scales


def tempered(posteriors: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the softmax of the posteriors' logits over a temperature."""
    return torch.softmax(posteriors.clamp_min(_FAINTEST).log() / temperature, dim=0)


class Measured:
    """One labelled scan, and the figures of colours on it."""

    def __init__(self, case: LabeledScan, ab: Floats) -> None:
        self._case, self._ab, self._body = case, ab, case.body
        self._gray = grayscale(case.scan, default_display(case.scan))(slice(None))
        self._wanted = metrics.expected_ab(case.target, ab)

    def errors(self, colors: Floats) -> Floats:
        """Return CIEDE2000 of each pixel of the body."""
        body = self._body
        return metrics.color_error(self._gray[body], colors[body], self._wanted[body])

    def flicker(self, colors: Floats | None = None) -> float:
        """Return the flicker of colours where the target's class and the gray stay; of the target's without any."""
        colors = self._wanted if colors is None else colors
        labels, body, gray = self._case.target.argmax(axis=0), self._body, self._gray
        still = metrics.still_pixels(gray[:-1], gray[1:], labels[:-1], labels[1:]) & body[:-1] & body[1:]
        return metrics.flicker(colors[:-1], colors[1:], still)

    def clean(self, told: Told, physics: Floats, found: Figures) -> None:
        """Add the figures of a clean scan at each temperature."""
        posteriors, log_scale = told
        found["clean", 0].append(float(self.errors(physics).mean()))
        if neighbours := self._case.contiguous and len(self._gray) > 1:
            found["flicker", 0].append(self.flicker(physics))
            found["target's flicker", 0].append(self.flicker())
        for temperature in TEMPERATURES:
            likely = tempered(posteriors, temperature)
            colors = metrics.expected_ab(likely.numpy(), self._ab)
            errors, body = self.errors(colors), self._body
            expected = error_of(likely, log_scale, self._ab).numpy()[body]
            true = np.linalg.norm(colors[body] - self._wanted[body], axis=-1)
            found["clean", temperature].append(float(errors.mean()))
            found["risk", temperature].append(metrics.risk_coverage(errors, -expected))
            found["expected", temperature].append(float(expected.mean() / true.mean()))
            if neighbours:
                found["flicker", temperature].append(self.flicker(colors))


def measure(case: LabeledScan, colorizer: NetworkColorizer, ab: Floats, found: Figures) -> None:
    """Add the figures of one scan, clean and degraded; physics' are those of temperature 0."""
    view = Measured(case, ab)
    physics = arms.physics(case.scan).colors(ab)
    view.clean(said(colorizer, case.scan), physics, found)
    for line in evaluation_table(colorizer.bundle.card.family):
        if line.severity != MIDDLE:
            continue
        degraded = line.on_scan(case.scan, key=case.key or case.patient)
        found[line.name, 0].append(float(view.errors(arms.physics(degraded).colors(ab)).mean()))
        posteriors, _ = said(colorizer, degraded)
        for temperature in TEMPERATURES:
            colors = metrics.expected_ab(tempered(posteriors, temperature).numpy(), ab)
            found[line.name, temperature].append(float(view.errors(colors).mean()))


def show(found: Figures, family: str) -> None:
    """Print a line for each figure."""
    mean = {key: float(np.mean(values)) for key, values in found.items()}

    def row(name: str, told: str, values: Iterable[float]) -> None:
        print(f"{name:28} {told:>7}  " + "  ".join(f"{value:5.3f}" for value in values))

    lines = [line.name for line in evaluation_table(family) if line.severity == MIDDLE]
    print(f"{'temperature':28} physics  " + "  ".join(f"{t:5g}" for t in TEMPERATURES))
    for name in ("clean", "risk", "expected", *lines):
        row(name, f"{mean[name, 0]:.3f}" if (name, 0) in mean else "", (mean[name, t] for t in TEMPERATURES))
    told = sum(mean[name, 0] for name in lines)
    row("degraded, of physics'", "", (sum(mean[name, t] for name in lines) / told for t in TEMPERATURES))
    for whose, name in (("physics'", "flicker"), ("the target's", "target's flicker")):
        if (name, 0) in mean:
            row(f"flicker, of {whose}", "", (mean["flicker", t] / mean[name, 0] for t in TEMPERATURES))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="ct_tissue, mr_tissue, ...")
    parser.add_argument("--data", type=Path, required=True, help="folder of packs")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder where targets are kept")
    parser.add_argument("--side", choices=["val", "test"], default="val")
    parser.add_argument("--scans", type=int, help="at most so many, spread evenly")
    parser.add_argument("--tone-least", type=float, help="another bound of the estimated gamma")
    arguments = parser.parse_args()
    recipe = read_recipe([arguments.bundle])
    own = load_bundle(arguments.bundle)
    bundle = replace(own, card=replace(own.card, temperature=1.0))
    colorizer = NetworkColorizer(bundle, palette="contrast", device="cpu", check=False)
    if arguments.tone_least is not None:
        bundle.network.tone.least = arguments.tone_least
    cases = datasets(recipe, arguments.data, arguments.output, neighbors=False)[arguments.side]
    ab, found, count = load_palette(recipe.family, "contrast").ab, Figures(list), 0
    for case in labeled_scans(cases, limit=arguments.scans):
        measure(case, colorizer, ab, found)
        count += 1
    print(f"{arguments.bundle} (its own temperature: {own.card.temperature:g}), {arguments.side}: {count} scans")
    show(found, recipe.family)


if __name__ == "__main__":
    main()
