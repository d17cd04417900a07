"""Designs of the tissue network against each other, after the same few steps on the same samples: the tables of ADR 6.

Run:  python benchmarks/compare_networks.py --data DIR [--family CT] [--steps 500] [--seed 0] [--side val] [DESIGN ...]

A DESIGN is a name of ``medcolor.networks.VARIANTS``; ``slice_alone`` is quarter_refined without the volume's summary,
``direct`` is quarter_refined with two outputs that regress (a*, b*) by the Huber loss alone. Left out: quarter_refined,
slice_alone and direct. Prints for each the CIEDE2000 to the target inside the body, mean over patients, for clean input
and for the middle level of the table of degradations, and the chroma as a part of the target's.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medcolor.colorizers.prediction import network_input, volume_input
from medcolor.networks import VARIANTS, TissueUNet
from medcolor.palettes import load_palette
from medcolor.scan import Scan
from medcolor.training import metrics
from medcolor.training.conditions import evaluation_table, training_degradations
from medcolor.training.datasets import TissueDataset
from medcolor.training.drawing import DrawnSamples, stack_samples
from medcolor.training.evaluate import labeled_scans
from medcolor.training.losses import color_huber, pixel_weights, target_ab, tissue_loss
from medcolor.training.options import FitOptions
from medcolor.training.preparing import Prepare
from medcolor.training.recipe import read_recipe
from medcolor.training.sources import find_cases
from medcolor.training.views import CropOrPad
from medcolor.windowing import default_display, grayscale

BATCH, CROP = 8, 128
AB_REACH = 40.0  # an output of 1 is so much (a*, b*)
BASE = VARIANTS["quarter_refined"]
Colors = Callable[[Scan], NDArray[np.float32]]


def design(name: str, classes: int) -> TissueUNet:
    """Build a network by its name here."""
    if name == "direct":
        return TissueUNet(2, **BASE)
    if name == "slice_alone":
        return TissueUNet(classes, **{**BASE, "summary": 0})
    return TissueUNet(classes, **VARIANTS[name])


def samples(dataset: TissueDataset, family: str, normalization: Any, seed: int) -> DrawnSamples:
    """Return what every design is trained on, the same for all."""
    from monai.transforms import Compose

    wide, last = CropOrPad((CROP * 3 // 2,) * 2, pad=False), CropOrPad((CROP, CROP))
    steps = [wide, *training_degradations(family).transforms, Prepare(normalization), last]
    return DrawnSamples(dataset, Compose(steps), seed=seed)


def trained(network: TissueUNet, drawn: DrawnSamples, family: str, *, steps: int, seed: int) -> TissueUNet:
    """Train and return the running mean of the weights."""
    palette = torch.from_numpy(np.array(load_palette(family, "contrast").ab))
    loss, direct = tissue_loss(family), network.classes == 2
    options = FitOptions(steps=steps, batch=BATCH)
    network.train().to(memory_format=torch.channels_last)
    mean = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    torch.manual_seed(seed)
    for step in range(steps):
        batch = stack_samples([drawn[step * BATCH + n] for n in range(BATCH)])
        optimizer.param_groups[0]["lr"] = options.learning_rate_at(step)
        out = network(batch["image"], *([batch["volume"]] if network.summary else []))
        target = batch["target"]
        if direct:
            total = color_huber(out.logits * AB_REACH, target_ab(target, palette), pixel_weights(target))
        else:
            total = loss(out.logits, out.log_scale, target).total
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), options.clip_norm)
        optimizer.step()
        decay = min(0.998, (1 + step) / (10 + step))
        with torch.no_grad():
            for old, new in zip(mean.state_dict().values(), network.state_dict().values(), strict=True):
                old.lerp_(new, 1 - decay) if old.is_floating_point() else old.copy_(new)
    return mean.eval()


def colors_by(network: TissueUNet, normalization: Any, palette_ab: NDArray[np.float32]) -> Colors:
    """Return what gives (a*, b*), (nk, nj, ni, 2), of a scan."""

    def colors(scan: Scan) -> NDArray[np.float32]:
        fitted = normalization.fit(scan)
        extra, planes = volume_input(network, fitted, scan), []
        for k in range(scan.shape[2]):
            values, _ = network_input(scan, fitted, slice(k, k + 1))
            with torch.inference_mode():
                logits = network(torch.from_numpy(np.ascontiguousarray(values))[:, None], *extra).logits[0]
            if network.classes == 2:
                planes.append((logits * AB_REACH).permute(1, 2, 0).numpy())
            else:
                planes.append(metrics.expected_ab(torch.softmax(logits, dim=0).numpy(), palette_ab))
        return np.stack(planes)

    return colors


def judged(colors: Colors, dataset: TissueDataset, family: str) -> dict[str, tuple[float, float]]:
    """Return {condition: (error, part of the target's chroma)}, means over patients."""
    palette = load_palette(family, "contrast")
    conditions = [c for c in evaluation_table(family) if c.severity == "middle" or c.name == "lost_units"]
    found: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for case in labeled_scans(dataset):
        body = (case.target.argmax(axis=0) > 0) & (case.target.sum(axis=0) > 0.5)
        gray = grayscale(case.scan, default_display(case.scan))(slice(None))[body]
        wanted = metrics.expected_ab(case.target, palette.ab)[body]
        degraded = {c.name: c.on_scan(case.scan, key=case.key or case.patient) for c in conditions}
        for name, scan in {"clean": case.scan, **degraded}.items():
            ab = colors(scan)[body]
            chroma = np.linalg.norm(ab, axis=-1).mean() / np.linalg.norm(wanted, axis=-1).mean()
            error = metrics.color_error(gray, ab, wanted).mean()
            found[name][case.patient].append((float(error), float(chroma)))
    means = {n: np.mean([np.mean(rows, axis=0) for rows in by.values()], axis=0) for n, by in found.items()}
    return {name: (float(error), float(chroma)) for name, (error, chroma) in means.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("designs", nargs="*", metavar="DESIGN", default=["quarter_refined", "slice_alone", "direct"])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--family", default="CT")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side", choices=["val", "test"], default="val")
    parser.add_argument("--cache", type=Path, help="folder for targets; a temporary one when left out")
    given = parser.parse_args(arguments)
    if unknown := set(given.designs) - {*VARIANTS, "slice_alone", "direct"}:
        parser.error(
            f"no such design: {', '.join(sorted(unknown))}; there are {', '.join(VARIANTS)}, slice_alone, direct"
        )
    normalization = read_recipe([f"{given.family.lower()}_tissue"]).get("normalization")
    palette_ab = np.array(load_palette(given.family, "contrast").ab)
    with tempfile.TemporaryDirectory() as scratch:
        cases, cache = find_cases(given.data, family=given.family), given.cache or Path(scratch)
        sides = {}
        for side in ("train", given.side):
            chosen = [case for case in cases if case.split == side]
            sides[side] = TissueDataset(chosen, cache=cache, neighbors=False)
            sides[side].prepare(None)
        for name in given.designs:
            torch.manual_seed(given.seed)
            network = design(name, len(palette_ab))
            drawn = samples(sides["train"], given.family, normalization, given.seed)
            network = trained(network, drawn, given.family, steps=given.steps, seed=given.seed)
            rows = judged(colors_by(network, normalization, palette_ab), sides[given.side], given.family)
            print(f"{name:18s}", "  ".join(f"{n} {error:.2f} ({chroma:.2f})" for n, (error, chroma) in rows.items()))


if __name__ == "__main__":
    main()
