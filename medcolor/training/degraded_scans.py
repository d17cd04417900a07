"""Whole scans degraded ahead, with what physics says of each: samples for networks that correct physics.

Physics fits a whole scan, so what it says of a degraded slice is only known once the whole scan was degraded. That is
done a few times for each scan before the training, and kept in the cache; after that a sample costs a few small reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from medcolor.colorizers import altered, corrections, noise, tone
from medcolor.colorizers.corrections import Told
from medcolor.io.atomic import atomic_files
from medcolor.scan import Scan
from medcolor.training import conditions, degradations
from medcolor.training import unlike as strangeness
from medcolor.training.conditions import randomly_degraded, require_shares
from medcolor.training.datasets import Loaded, Sample, TissueDataset
from medcolor.training.degradations import REFERENCE, Chance
from medcolor.training.drawing import NEIGHBOUR_PHYSICS, PHYSICS
from medcolor.training.stored_slices import filled_slices, neighbour_of, packed, plane, reference_values, unpacked
from medcolor.training.targets import content_hash
from medcolor.training.unlike import unlike

_IMAGES, _PHYSICS, _VALUES, _FACTS = "images.npy", "physics.npy", "reference.npy", "facts.json"


class DegradedScans(Dataset[Sample]):
    """Samples of a dataset, each scan degraded at random several times, with "physics" and "neighbour_physics".

    The target stays that of the clean scan; "physics" is (K, H, W) float32, the posteriors of the tissue models fitted
    to the degraded scan, or (3 K, H, W) where the network is shown neighbours.

    Parameters
    ----------
    base : TissueDataset
        Without a transform.
    cache : Path
    told : callable
        A scan to what the network is told of it (:func:`medcolor.colorizers.corrections.told_to`).
    teller : str
        What else that depends on: other tellers make other samples.
    variants : int
        How often each scan is degraded.
    slices : int
        How many slices of each degraded scan are kept, spread evenly.
    strength, clean : float
        As of :func:`medcolor.training.conditions.training_degradations`.
    strange : float
        Share of the variants that are made strange instead (:mod:`medcolor.training.unlike`); the target of those is
        what physics says of them.
    progress : callable, optional
        Called with (scans done, scans in all).
    """

    def __init__(
        self,
        base: TissueDataset,
        *,
        cache: Path,
        told: Callable[[Scan], Told],
        teller: str = "",
        variants: int = 8,
        slices: int = 8,
        strength: float = 1.0,
        clean: float = 0.3,
        strange: float = 0.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        if variants < 1 or slices < 1:
            raise ValueError(f"variants and slices must be at least 1, got {variants} and {slices}.")
        require_shares(strength, clean)
        require_shares(strange, 0.0)
        self._base, self._classes = base, len(base.classes)
        ahead = _Ahead(variants, slices, float(strength), float(clean), float(strange), told, teller)
        starts = np.cumsum([0, *(case.slices for case in base.cases)])
        self._entries: list[_Entry] = []
        for n, (case, facts) in enumerate(base.facts()):
            for folder in _stored(case.load(), bool(facts["contiguous"]), cache, ahead):
                known = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
                slices_kept = enumerate(known["slices"])
                made = folder, known["units"], bool(known["strange"])
                self._entries += [_Entry(*made, place, int(starts[n]) + k) for place, k in slices_kept]
            if progress is not None:
                progress(n + 1, len(base.cases))

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Sample:
        folder, units, strange, place, number = self._entries[index]
        sample = dict(self._base[number])
        images, posteriors = (np.load(folder / name, mmap_mode="r") for name in (_IMAGES, _PHYSICS))
        (image, neighbour), (physics, of_neighbour) = images[place], posteriors[place]
        sample |= {
            "image": plane(image),
            PHYSICS: self._unpacked(physics),
            "units": units,
            REFERENCE: torch.from_numpy(np.load(folder / _VALUES)),
        }
        if "neighbour" in sample:
            sample |= {"neighbour": plane(neighbour), NEIGHBOUR_PHYSICS: self._unpacked(of_neighbour)}
        if strange:
            sample["target"] = sample[PHYSICS][: self._classes].clone()
            if "still" in sample:  # it is of the scan as it was
                sample["still"] = torch.zeros_like(sample["still"])
        return sample

    def _unpacked(self, kept: NDArray[np.uint8]) -> torch.Tensor:
        """Return the posteriors of a slice, and of those beside it where they were kept."""
        return torch.cat([unpacked(kept[n : n + self._classes]) for n in range(0, len(kept), self._classes)])


class _Entry(NamedTuple):
    """Where a sample is."""

    folder: Path
    units: str
    strange: bool
    place: int  # in the folder
    number: int  # in the base


class _Ahead(NamedTuple):
    """What is made of each scan."""

    variants: int
    slices: int
    strength: float
    clean: float
    strange: float
    told: Callable[[Scan], Told]
    teller: str


def _stored(loaded: Loaded, contiguous: bool, cache: Path, ahead: _Ahead) -> list[Path]:
    """Return the folders of a scan's variants, made where they are missing; two processes write the same."""
    name = content_hash(loaded.scan, loaded.masks)
    folders = []
    for variant in range(ahead.variants):
        wanted = (variant, contiguous, ahead.slices, ahead.strength, ahead.clean, ahead.strange, ahead.teller)
        digest = hashlib.sha256(f"{name} {wanted} {_code()}".encode()).hexdigest()
        folder = cache / "degraded" / digest[:2] / digest
        if not (folder / _FACTS).is_file():
            chance = Chance(int(hashlib.sha256(f"{name} {variant}".encode()).hexdigest()[:8], 16))
            strange = chance.uniform() < ahead.strange
            if strange:
                made = unlike(loaded.scan, chance)
            else:
                made = randomly_degraded(loaded.scan, chance, strength=ahead.strength, clean=ahead.clean)
            _write(ahead.told(made), folder, ahead.slices, chance, contiguous=contiguous, strange=strange)
        folders.append(folder)
    return folders


def _write(told: Told, folder: Path, slices: int, chance: Chance, *, contiguous: bool, strange: bool) -> None:
    """Write slices with the neighbour that the dataset gives each, and what physics says of both."""
    scan, model, _ = told
    values, count = filled_slices(scan), scan.shape[2]
    some = min(slices, count)
    kept = [int((n + chance.uniform()) * count / some) for n in range(some)]
    others = [neighbour_of(k, count, contiguous=contiguous) for k in kept]
    pairs = [(k, k if other is None else other) for k, other in zip(kept, others, strict=True)]
    physics = [[packed(model.posteriors(slice(k, k + 1)))[0] for k in pair] for pair in pairs]
    arrays = {
        _IMAGES: np.stack([[values[k] for k in pair] for pair in pairs]),
        _PHYSICS: np.asarray(physics),
        _VALUES: reference_values(scan),
    }
    with atomic_files((*(folder / name for name in arrays), folder / _FACTS), force=True) as files:
        for name, array in arrays.items():
            with files.open(folder / name) as stream:
                np.save(stream, array)
        with files.open(folder / _FACTS) as stream:
            stream.write(json.dumps({"units": scan.units, "strange": strange, "slices": kept}).encode())


@lru_cache(1)
def _code() -> str:
    """Return a hash of what makes samples: other degradations are other samples."""
    digest = hashlib.sha256()
    for path in (
        conditions.__file__,
        degradations.__file__,
        strangeness.__file__,
        corrections.__file__,
        tone.__file__,
        noise.__file__,
        altered.__file__,
        __file__,
    ):
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()


__all__ = ["DegradedScans"]
