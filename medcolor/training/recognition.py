"""Trains the recognizer (``medcolor.recognition``): what a scan looks like, whatever its file says.

``python -m medcolor.training.recognition --data DIR -o OUT`` makes ``configs/recognizer`` again: weights, metadata with
alarm thresholds from validation patients, and a card with figures from test patients. Seeded; needs scikit-image.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

import medcolor
from medcolor.bundle_files import METADATA, WEIGHTS
from medcolor.bundle_writing import half_precision
from medcolor.errors import MedcolorWarning
from medcolor.io.atomic import atomic_files
from medcolor.networks.recognizer import CLASSES, Recognizer, as_seen
from medcolor.recognition import Judge
from medcolor.scan import MODALITIES
from medcolor.training.looks import Look, gather
from medcolor.training.recognition_figures import Figures, calm_chances, measure
from medcolor.training.variation import Varied

STEPS, BATCH = 2000, 48
FALSE_ALARMS = 0.01
"""Share of validation slices and degraded scans that may raise an alarm."""
_HIGHEST = 0.2  # what looks clean in few validation patients says little of other sites: never demand more than this
_log = logging.getLogger(__name__)


def fit(
    looks: Sequence[Look],
    *,
    steps: int = STEPS,
    batch: int = BATCH,
    seed: int = 0,
    say: Callable[[str], None] = _log.info,
) -> Recognizer:
    """Train a recognizer; equal arguments on the same computer give equal weights.

    Parameters
    ----------
    looks : sequence of Look
    steps, batch : int
    seed : int
        Of weights, order and variation.
    say : callable
        Told the loss now and then.

    Returns
    -------
    Recognizer
        In evaluation mode.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, varied = Recognizer().train(), Varied(looks, seed=seed)
        optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.15)
        losses = []
        for step in range(steps):
            thumbnails, kinds = varied.batch(step, batch)
            loss = functional.cross_entropy(network(as_seen(thumbnails)), kinds, label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            if (step + 1) % 100 == 0:
                say(f"step {step + 1} of {steps}: loss {np.mean(losses[-100:]):.3f}")
    return network.eval()


def choose_thresholds(judge: Judge, data: Path | str | None) -> dict[str, float]:
    """Return for each family the probability that all but 1 % of what must raise no alarm reach, at most 0.2.

    That is: single slices of validation patients, and their scans with each middle degradation of the evaluation
    table.
    """
    chosen = {}
    for family in MODALITIES:
        reached = calm_chances(judge, data, family, "val")[:, CLASSES.index(family)]
        chosen[family] = round(float(np.clip(np.quantile(reached, FALSE_ALARMS), 0.01, _HIGHEST)), 4)
    return chosen


def write(folder: Path, network: Recognizer, about: Mapping[str, Any], card: str, *, force: bool = False) -> None:
    """Write weights in half precision, metadata with their hash, and the card: all of them or none."""
    from safetensors.torch import save

    weights = save(half_precision(network.state_dict()))
    digest = {"weights_sha256": hashlib.sha256(weights).hexdigest()}
    metadata = {
        "description": "Says what kind of image a slice is, so that foreign scans are not coloured without a warning.",
        "version": "1.0.0",
        "made_by": f"medcolor {medcolor.__version__}, python -m medcolor.training.recognition",
        "recognizer": {"classes": CLASSES, **about, **digest},
    }
    contents = {
        WEIGHTS: weights,
        METADATA: (json.dumps(metadata, indent=2) + "\n").encode(),
        "README.md": card.encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_files([folder / name for name in contents], force=force) as files:
        for name, content in contents.items():
            with files.open(folder / name) as stream:
                stream.write(content)


def as_shipped(network: Recognizer) -> Recognizer:
    """Return a copy with weights rounded to half precision and folded: what users get, and what is measured."""
    copy = Recognizer()
    copy.load_state_dict(half_precision(network.state_dict()))
    return copy.folded()


def train(data: Path | str | None, output: Path, *, steps: int = STEPS, seed: int = 0, force: bool = False) -> Figures:
    """Gather, train, choose thresholds, measure on test patients, write.

    Raises
    ------
    TrainingError
        No folder of packs, or no scikit-image.
    OutputExistsError
        The folder has a recognizer already.
    """
    from medcolor.training.recognition_card import card

    looks = gather(data, seed=seed)
    shown = Counter((CLASSES[look.kind], look.source) for look in looks)
    for (kind, source), count in sorted(shown.items()):
        _log.info("%s: %s, %d slices", kind, source, count)
    network = fit(looks, steps=steps, seed=seed)
    shipped = as_shipped(network)
    thresholds = choose_thresholds(Judge(shipped, dict.fromkeys(MODALITIES, 0.0)), data)
    figures = measure(Judge(shipped, thresholds), data)
    about = {
        "thresholds": thresholds,
        "training": {
            "steps": steps,
            "batch": BATCH,
            "seed": seed,
            "slices": {f"{k}: {s}": n for (k, s), n in sorted(shown.items())},
        },
        "measured": figures.to_json(),
    }
    write(output, network, about, card(about, figures), force=force)
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m medcolor.training.recognition", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of image packs; else MEDCOLOR_DATA")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for weights, metadata and card")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--force", action="store_true", help="write over an older recognizer")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MedcolorWarning)
        train(chosen.data, chosen.output, steps=chosen.steps, seed=chosen.seed, force=chosen.force)
    return 0


if __name__ == "__main__":
    sys.exit(main())
