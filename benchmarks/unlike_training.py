"""Whether physics or the learned colorizer is the safer one on images unlike any of the training.

Run:  python benchmarks/unlike_training.py [--data FOLDER] [--cache DIR] [MR] [PT] [XR]

- MR: test patients with the gray inside the body turned (fat dark, as on T2) or bent (no longer monotone). The packs
  hold T1 only. And small pieces of brain round the hippocampus, of a collection that trains no shipped weights.
- PET: a whole body, with organs and a bladder. Training saw pieces round a tumour, and two whole bodies without SUV.
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
from medcolor.io import read
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


def pieces_of_brain(packs: Path, cache: Path) -> Iterator[LabeledScan]:
    """Yield the test patients of the hippocampus collection."""
    cases = [c for c in find_cases(packs, family="MR", shipped=False) if c.source == "mri_hippocampus"]
    for case in labeled_scans(TissueDataset(cases, cache=cache, split="test")):
        yield with_target(case.key, case.scan, contiguous=case.contiguous)


def pictures(path: Path) -> Iterator[LabeledScan]:
    """Yield small radiographs of a pack, spread evenly."""
    with np.load(path) as pack:
        images: NDArray[np.uint8] = pack["images"]
    for n in np.linspace(0, len(images) - 1, PICTURES).astype(int):
        grid = Geometry((images.shape[2], images.shape[1], 1), np.eye(4))
        scan = Scan(from_slices(images[n][None]), grid, modality="CR", units=GRAY_LEVEL)
        yield with_target(str(n), scan, contiguous=False)


Named = Iterator[tuple[str, LabeledScan]]


def other_mr(_: Path, packs: Path, cache: Path) -> Named:
    """Yield test patients in other contrasts, and pieces of brain."""
    for whole in labeled_scans(TissueDataset(find_cases(packs, family="MR"), cache=cache, split="test")):
        yield from other_contrasts(whole)
    for piece in pieces_of_brain(packs, cache):
        yield "MR, hippocampus", piece


def whole_body(data: Path, _: Path, __: Path) -> Named:
    """Yield a whole body, where the folder of DICOM series is there."""
    if (body := data / "dicom" / "pet_wholebody").is_dir():
        yield "PET, whole body", with_target("it", read(body), contiguous=True)


def other_radiographs(_: Path, packs: Path, __: Path) -> Named:
    """Yield hands and chests."""
    for part in ("hand", "cxr"):
        for case in pictures(packs / f"mednist_{part}.npz"):
            yield f"X-ray, {part}", case


def told(name: str, errors: list[tuple[float, float]]) -> str:
    """Return one line of the table."""
    columns = np.asarray(errors, np.float64).T
    cells = [f"{i.value:6.2f} [{i.low:.2f}, {i.high:.2f}]" for i in (bootstrap(column) for column in columns)]
    return f"{name:<17}{len(errors):>4}   physics {cells[0]:<22}learned {cells[1]}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("MEDCOLOR_DATA"))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "medcolor-targets")
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="of MR, PT, XR; all three when left out")
    asked = parser.parse_args()
    if unknown := set(asked.families) - {"MR", "PT", "XR"}:
        parser.error(f"families are MR, PT and XR; got {', '.join(sorted(unknown))}")
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

    for family, unlike in (("MR", other_mr), ("PT", whole_body), ("XR", other_radiographs)):
        if family in (asked.families or (family,)):
            both = arms(family)
            for name, case in unlike(asked.data, packs, asked.cache):
                add(name, case, family, both)
    for name, errors in found.items():
        print(told(name, errors))


if __name__ == "__main__":
    main()
