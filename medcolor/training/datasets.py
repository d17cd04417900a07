"""Samples for training: slices of scans with their targets, by patient, whatever they come from.

A *case* is one scan that can be had again; a :class:`TissueDataset` is the slices of some cases. Targets are made
once, when a slice of their scan is first asked for, and kept in a cache folder under the hash of everything they
depend on; after that a sample costs two small reads, in any number of loader processes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from medcolor.errors import TrainingError
from medcolor.io.atomic import atomic_files
from medcolor.scan import Scan
from medcolor.tissue.model import CLASSES, Posteriors
from medcolor.tissue_map import Segmentation
from medcolor.training.splits import SPLITS
from medcolor.training.stored_slices import filled_slices, neighbour_of, packed, plane, reference_values, unpacked
from medcolor.training.targets import CleanTargets, content_hash, contiguous_slices
from medcolor.windowing import display_bounds

Sample = dict[str, Any]
STILL_GRAY = 0.04  # of the window: gray that changes less between slices counts as unchanged
_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A scan and what is known of it.

    Parameters
    ----------
    scan : Scan
    masks : Segmentation, optional
        What an expert drew.
    truth : ndarray of float32, (K, nk, nj, ni), optional
        The answer itself, of simulated scans; used instead of targets.
    """

    scan: Scan
    masks: Segmentation | None = None
    truth: Posteriors | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One scan that samples are taken from.

    Parameters
    ----------
    key : str
        Names it among others; no patient's name.
    patient : str
        Who may be on one side only. A pseudonym where it came from a DICOM header.
    family : str
    split : str
        "train", "val" or "test".
    slices : int
    load : callable
        Returns it; called once for each run of a dataset.
    contiguous : bool, optional
        Whether slices are neighbours in space; None asks the scan.
    source, licence : str
        Where it is from and under what terms, for the model card.
    """

    key: str
    patient: str
    family: str
    split: str
    slices: int
    load: Callable[[], Loaded]
    contiguous: bool | None = None
    source: str = "own scans"
    licence: str = "not stated"


@dataclass(frozen=True, slots=True)
class _Stored:
    """Where the arrays of a case are in the cache, and the facts its samples carry."""

    image: Path
    target: Path
    reference: Path
    facts: Mapping[str, Any] = field(hash=False)


class TissueDataset(Dataset[Sample]):
    """Slices with targets; for torch's and MONAI's DataLoader.

    A sample is a dict: "image" (1, H, W) float32 in scan units; "target" (K, H, W) float32, posteriors that sum to
    1; "patient", "family", "units", "key" (case and slice: names the sample for seeds); "window" (2,) float32, the
    values shown as black and as white by the scan's default display; "inverted", 1 where low values are shown
    bright (values are not turned); "reference" (128, 128) float32, values that stand for the whole volume, in no
    order. With ``neighbors`` also "neighbour" (1, H, W), the next slice (the previous one of the last), and "still"
    (H, W), 1 where gray and most probable class are the same in both; where slices are no neighbours in space, the
    image itself and 0 everywhere.

    Sizes differ between cases: batches need :class:`medcolor.training.views.CropOrPad` in ``transform``.

    Parameters
    ----------
    cases : sequence of Case
    cache : Path
        Folder for targets. Never inside the source tree of the package.
    split : str, optional
        Only cases of this side.
    neighbors : bool
    transform : callable, optional
        Sample to sample.

    Raises
    ------
    TrainingError
        Nothing left, several families, a patient on two sides, or a cache inside the package's own source tree.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        *,
        cache: Path | str,
        split: str | None = None,
        neighbors: bool = False,
        transform: Callable[[Sample], Sample] | None = None,
    ) -> None:
        require_apart(cases)
        if split is not None and split not in SPLITS:
            raise TrainingError(f'"{split}" is no split; there are {", ".join(SPLITS)}.')
        self.cases = tuple(c for c in cases if split is None or c.split == split)
        families = {c.family for c in self.cases}
        if len(families) != 1:
            raise TrainingError(
                f"A dataset is of one modality family and not empty; {split or 'these cases'}: "
                f"{len(self.cases)} scans, families {', '.join(sorted(families)) or 'none'}."
            )
        self.family = families.pop()
        self.classes = CLASSES[self.family]
        self.cache = _outside_source(Path(cache))
        self.neighbors, self.transform = neighbors, transform
        self._ends = np.cumsum([c.slices for c in self.cases])
        self._stored: dict[int, _Stored] = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def patients(self) -> tuple[str, ...]:
        """Patients in it, sorted."""
        return tuple(sorted({c.patient for c in self.cases}))

    def prepare(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Make all targets that the cache does not hold; ``progress`` is called with (scans done, scans in all)."""
        for n in range(len(self.cases)):
            self._open(n)
            if progress is not None:
                progress(n + 1, len(self.cases))

    def facts(self) -> list[tuple[Case, Mapping[str, Any]]]:
        """Return each case with what the cache says of it.

        "class_pixels" (sums of posteriors), "masks" (names of expert masks), "simulated", "units", "contiguous".
        """
        return [(case, self._open(n).facts) for n, case in enumerate(self.cases)]

    def place(self, index: int) -> tuple[int, int]:
        """Return (case, slice) of a sample."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        index %= len(self)
        case = int(np.searchsorted(self._ends, index, side="right"))
        return case, index - int(self._ends[case] - self.cases[case].slices)

    def __getitem__(self, index: int) -> Sample:
        n, k = self.place(index)
        case, stored = self.cases[n], self._open(n)
        images = np.load(stored.image, mmap_mode="r")
        targets = np.load(stored.target, mmap_mode="r")
        sample: Sample = {
            "image": plane(images[k]),
            "target": unpacked(targets[k]),
            "patient": case.patient,
            "family": case.family,
            "key": f"{case.key}/{k}",
            "units": stored.facts["units"],
            "window": torch.tensor(stored.facts["window"], dtype=torch.float32),
            "inverted": int(stored.facts["inverted"]),
            "reference": torch.from_numpy(np.load(stored.reference)),
        }
        if self.neighbors:
            other = neighbour_of(k, len(images), contiguous=stored.facts["contiguous"])
            sample["neighbour"] = plane(images[k if other is None else other])
            low, high = stored.facts["window"]
            same_gray = (sample["image"] - sample["neighbour"])[0].abs() < STILL_GRAY * (high - low)
            same_class = np.False_ if other is None else targets[k].argmax(axis=0) == targets[other].argmax(axis=0)
            sample["still"] = (same_gray & torch.as_tensor(same_class)).float()
        return sample if self.transform is None else self.transform(sample)

    def _open(self, n: int) -> _Stored:
        if n not in self._stored:
            case = self.cases[n]
            loaded = case.load()
            if loaded.scan.shape[2] != case.slices or loaded.scan.family != case.family:
                raise TrainingError(
                    f"{case.key}: {loaded.scan.shape[2]} slices of {loaded.scan.modality} where {case.slices} of "
                    f"{case.family} were announced. Did the data change?"
                )
            self._stored[n] = _store(loaded, self.cache, case.contiguous)
        return self._stored[n]


def require_apart(cases: Sequence[Case]) -> None:
    """Raise :class:`TrainingError` if a patient is on two sides."""
    sides: dict[str, str] = {}
    for case in cases:
        if sides.setdefault(case.patient, case.split) != case.split:
            raise TrainingError(
                f"{case.key}: its patient is in {case.split} and in {sides[case.patient]}. Slices of one patient on "
                "two sides make every figure too good."
            )


def _outside_source(cache: Path) -> Path:
    source = _PACKAGE.parent if (_PACKAGE.parent / "pyproject.toml").is_file() else _PACKAGE
    if cache.resolve().is_relative_to(source):
        raise TrainingError(f"{cache} lies in medcolor's own source tree. Targets of patients do not belong there.")
    return cache


def _store(loaded: Loaded, cache: Path, contiguous: bool | None) -> _Stored:
    """Find a scan's arrays in the cache, or make them; two processes may do so at once, both write the same."""
    scan = loaded.scan
    contiguous = contiguous_slices(scan) if contiguous is None else contiguous
    name = content_hash(scan, loaded.masks, contiguous=contiguous)
    if loaded.truth is not None:
        name = hashlib.sha256(name.encode() + np.ascontiguousarray(loaded.truth).tobytes()).hexdigest()
    folder = cache / name[:2] / name
    image, target, facts = folder / "image.npy", folder / "target.npy", folder / "facts.json"
    reference = folder / "reference.npy"
    if not (facts.is_file() and reference.is_file()):
        model = None if loaded.truth is not None else CleanTargets(scan, loaded.masks, contiguous=contiguous)
        ni, nj, nk = scan.shape
        known = {
            "units": scan.units,
            "window": display_bounds(scan),
            "inverted": scan.inverted,
            "contiguous": contiguous,
        }
        masks = [] if loaded.masks is None else sorted(loaded.masks.names.values())
        with atomic_files((image, target, reference, facts), force=True) as files:
            with files.open(image) as stream:
                np.save(stream, filled_slices(scan))
            with files.open(reference) as stream:
                np.save(stream, reference_values(scan))
            with files.open(target) as stream:
                target_bytes = np.empty((nk, len(CLASSES[scan.family or ""]), nj, ni), dtype=np.uint8)
                for k in range(0, nk, 4):
                    block = slice(k, min(k + 4, nk))
                    p = loaded.truth[:, block] if loaded.truth is not None else None
                    target_bytes[block] = packed(p if p is not None else _of(model).posteriors(block))
                np.save(stream, target_bytes)
            with files.open(facts) as stream:
                pixels = [int(target_bytes[:, c].sum(dtype=np.int64)) / 255 for c in range(target_bytes.shape[1])]
                more = {"class_pixels": pixels, "masks": masks, "simulated": loaded.truth is not None}
                stream.write(json.dumps(known | more).encode())
    return _Stored(image, target, reference, json.loads(facts.read_text(encoding="utf-8")))


def _of(model: CleanTargets | None) -> CleanTargets:
    if model is None:
        raise TypeError("no target model")
    return model
