"""Whether physics or the learned colorizer is the safer one on images unlike any of the training.

Run:  python benchmarks/unlike_training.py [--data PACKS] [--cache DIR]

- MR: test patients with the gray inside the body turned (fat dark, as on T2) or bent (no longer monotone). The packs
  hold T1 only.
- X-ray: hands, small pictures of the MedNIST collection; and its chests, for comparison. Training saw chests only.

The target is made from the changed image by the rule that all targets follow. Prints mean CIEDE2000 to it, physics and
learned, with 95 % intervals by patient (pictures, where patients are not known).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcolor.bundles import load_bundle
from medcolor.colorizers.network import NetworkColorizer
from medcolor.geometry import Geometry
from medcolor.scan import GRAY_LEVEL, Scan, from_slices, to_slices
from medcolor.training.arms import Predict, physics, shipped
from medcolor.training.datasets import TissueDataset
from medcolor.training.evaluate import LabeledScan, labeled_scans, mean_error
from medcolor.training.sources import find_cases
from medcolor.training.statistics import bootstrap
from medcolor.training.targets import CleanTargets

PICTURES = 60


def with_target(key: str, scan: Scan, *, contiguous: bool) -> LabeledScan:
    """Return a scan with the target that training would give it."""
    target = CleanTargets(scan, None, contiguous=contiguous).posteriors(slice(0, scan.shape[2]))
    return LabeledScan(key, scan, target, contiguous, key)


def other_contrasts(case: LabeledScan) -> Iterator[tuple[str, LabeledScan]]:
    """Yield a volume as it is, turned, and bent; the background stays."""
    values = to_slices(case.scan.voxels).astype(np.float32)
    body = case.target.argmax(axis=0) > 0
    top = float(np.percentile(values[body], 99))
    kinds = {
        "MR as it is": values,
        "MR turned": np.where(body, np.maximum(1.05 * top - values, 0.08 * top), values),
        "MR bent": np.where(body, top * np.abs(np.sin(2.2 * values / top)), values),
    }
    for name, changed in kinds.items():
        voxels = from_slices(np.clip(changed, 0, 255).astype(np.float32))
        yield name, with_target(case.key, replace(case.scan, voxels=voxels), contiguous=case.contiguous)


def pictures(path: Path) -> Iterator[LabeledScan]:
    """Yield small radiographs of a pack, spread evenly."""
    with np.load(path) as pack:
        images: NDArray[np.uint8] = pack["images"]
    for n in np.linspace(0, len(images) - 1, PICTURES).astype(int):
        grid = Geometry((images.shape[2], images.shape[1], 1), np.eye(4))
        scan = Scan(from_slices(images[n][None]), grid, modality="CR", units=GRAY_LEVEL)
        yield with_target(str(n), scan, contiguous=False)


def told(name: str, errors: list[tuple[float, float]]) -> str:
    """Return one line of the table."""
    columns = np.asarray(errors, np.float64).T
    cells = [f"{i.value:6.2f} [{i.low:.2f}, {i.high:.2f}]" for i in (bootstrap(column) for column in columns)]
    return f"{name:<14}{len(errors):>4}   physics {cells[0]:<22}learned {cells[1]}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("MEDCOLOR_DATA"))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "medcolor-targets")
    asked = parser.parse_args()
    packs = asked.data / "packs" if (asked.data / "packs").is_dir() else asked.data
    warnings.simplefilter("ignore")

    def arms(family: str) -> tuple[Predict, Predict]:
        bundle = load_bundle(f"{family.lower()}_tissue")
        return physics, shipped(NetworkColorizer(bundle, palette="contrast", device="cpu", check=False))

    found: dict[str, list[tuple[float, float]]] = {}

    def add(name: str, case: LabeledScan, family: str, both: tuple[Predict, Predict]) -> None:
        errors = [mean_error([case], arm, family=family)["error"] for arm in both]
        if np.isfinite(errors).all():
            found.setdefault(name, []).append((errors[0], errors[1]))

    both = arms("MR")
    dataset = TissueDataset(find_cases(packs, family="MR"), cache=asked.cache, split="test")
    for whole in labeled_scans(dataset):
        for name, case in other_contrasts(whole):
            add(name, case, "MR", both)
    both = arms("XR")
    for part in ("hand", "cxr"):
        for case in pictures(packs / f"mednist_{part}.npz"):
            add(f"X-ray, {part}", case, "XR", both)
    for name, errors in found.items():
        print(told(name, errors))


if __name__ == "__main__":
    main()
