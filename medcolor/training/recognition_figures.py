"""How well the recognizer tells scans from what is none, on patients, pictures and kinds of drawing it never saw."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import MedcolorWarning
from medcolor.geometry import Geometry, Space
from medcolor.io import read
from medcolor.networks.recognizer import CLASSES
from medcolor.recognition import Judge, Recognition, recognize
from medcolor.scan import GRAY_LEVEL, MODALITIES, Scan, from_slices
from medcolor.training.conditions import Condition, evaluation_table
from medcolor.training.looks import cases_of
from medcolor.training.metrics import auroc
from medcolor.training.packs import packs_folder
from medcolor.training.pictures import TEST_DRAWN, TEST_PHOTOS, crops, drawn, photo
from medcolor.training.statistics import Interval

Floats = NDArray[np.float64]
CLEAN = "clean"
ELSEWHERE = MappingProxyType(
    {
        "mednist_abdomenct": "CT", "mednist_chestct": "CT", "mednist_headct": "CT", "mednist_breastmri": "MR",
        "mri_hippocampus": "MR", "mednist_cxr": "XR", "mednist_hand": "XR",
    }
)  # fmt: skip
"""Packs whose licence lets them train nothing that is shipped: they are other sites."""
SAMPLES = MappingProxyType(
    {
        "mammograms/cases/*/*.dcm": "MG", "data_store/data/JPEG-LL.dcm": "NM",
        "data_store/data/gdcm-US-ALOKA-16.dcm": "US", "data_store/data/US1_UNCR.dcm": "US",
        "data_store/data/RG1_UNCR.dcm": "XR",
        "data_store/data/MR-SIEMENS-DICOM-WithOverlays.dcm": "MR",
        "pydicom/data/test_files/J2K_pixelrep_mismatch.dcm": "CT",
    }
)  # fmt: skip
"""Real images that installed packages bring."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A scan of the test, and what it is.

    Parameters
    ----------
    kind : str
        A family, or "photographs", "drawings", "noise", "blank", "colour pictures".
    owner : str
        Patient or picture.
    scan : Scan
    key : str
        Decides the chance of its degradations.
    """

    kind: str
    owner: str
    scan: Scan
    key: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured on test patients.

    Attributes
    ----------
    counts : {kind: (scans, patients or pictures)}
    auroc : {family: Interval}
        Of "not this family": its test patients against all that is foreign to it; drawn again by owner.
    slices : {family: float}
        The same with single slices of both.
    against : {family: {kind: float}}
        Against each foreign kind alone.
    alarms : {family: {condition: share}}
        False alarms on its own test patients, clean and at the middle level of each degradation.
    caught : {family: {kind: share}}
        Foreign scans that raise an alarm when they claim to be of the family.
    seen_as : {kind: {seen: share}}
    elsewhere : {name: {"family": str, "images": int, "false_alarms": share, "seen_as": {seen: share}}}
        Single images from sites that trained nothing, as far as they are there.
    """

    counts: Mapping[str, tuple[int, int]]
    auroc: Mapping[str, Interval]
    slices: Mapping[str, float]
    against: Mapping[str, Mapping[str, float]]
    alarms: Mapping[str, Mapping[str, float]]
    caught: Mapping[str, Mapping[str, float]]
    seen_as: Mapping[str, Mapping[str, float]]
    elsewhere: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers."""
        return {
            "counts": {kind: list(pair) for kind, pair in self.counts.items()},
            "auroc": {family: interval.to_json() for family, interval in self.auroc.items()},
            "auroc_single_slices": _rounded(self.slices),
            "auroc_against": {family: _rounded(row) for family, row in self.against.items()},
            "false_alarms": {family: _rounded(row) for family, row in self.alarms.items()},
            "caught": {family: _rounded(row) for family, row in self.caught.items()},
            "seen_as": {kind: _rounded(row) for kind, row in self.seen_as.items()},
            "elsewhere": {name: dict(row) for name, row in self.elsewhere.items()},
        }


def _rounded(row: Mapping[str, float]) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in row.items()}


def alone(scan: Scan, k: int) -> Scan:
    """Return one slice as a scan of its own."""
    ni, nj, _ = scan.shape
    geometry = Geometry.from_spacing((ni, nj, 1), (1, 1, 1), Space.PIXEL)
    return Scan(scan.voxels[:, :, k : k + 1], geometry, scan.modality, units=scan.units, inverted=scan.inverted)


def picture_scan(gray: NDArray[Any], *, rgb: NDArray[np.uint8] | None = None) -> Scan:
    """Return a picture (h, w), or one in colour (h, w, 3), as a reader gives it, claiming nothing."""
    block = np.asarray(gray)[None] if rgb is None else rgb[None, ..., 1]
    if block.dtype.kind == "f":
        block = (255 * (block - block.min()) / max(float(np.ptp(block)), 1e-9)).round().astype(np.uint8)
    ni, nj = block.shape[2], block.shape[1]
    geometry = Geometry.from_spacing((ni, nj, 1), (1, 1, 1), Space.PIXEL)
    voxels = from_slices(np.ascontiguousarray(block))
    if rgb is None:
        return Scan(voxels, geometry, units=GRAY_LEVEL)
    colored = (rgb != rgb[..., :1]).any(axis=-1)[None]
    return Scan(voxels, geometry, units=GRAY_LEVEL, rgb=from_slices(rgb[None]), colored=from_slices(colored))


def known_examples(data: Path | str | None, family: str, split: str) -> Iterator[Example]:
    """Yield the scans of a family's patients on one side; of single images one for each patient."""
    had = set()
    for case in cases_of(data, family, simulated=200):
        if case.split == split and (case.slices > 1 or case.patient not in had):
            had.add(case.patient)
            yield Example(family, case.patient, case.load().scan, case.key)


def foreign_examples() -> Iterator[Example]:
    """Yield pictures kept for the test, kinds of drawing never trained on, new noise, blanks, pictures in colour."""
    rng = np.random.default_rng(20)
    for name in TEST_PHOTOS:
        picture = photo(name)
        for part in crops(picture, rng, 12):
            yield Example("photographs", name, picture_scan(part))
        if (picture != picture[..., :1]).any():
            yield Example("colour pictures", name, picture_scan(picture, rgb=picture))
    for kind in TEST_DRAWN:
        for n in range(15):
            yield Example("drawings", f"{kind} {n}", picture_scan(drawn(kind, 10_000 + n)))
    for n in range(20):
        yield Example("noise", f"noise {n}", picture_scan(drawn("noise", 10_000 + n)))
    for n, level in enumerate((0, 1, 127, 255)):
        yield Example("blank", f"blank {n}", picture_scan(np.full((64 + 64 * n, 128), level, np.uint8)))


def middle(family: str) -> list[Condition]:
    """Return the lines of the evaluation table at the middle level; lost units, which have but one."""
    return [c for c in evaluation_table(family) if c.severity == "middle" or c.name == "lost_units"]


def chances(found: Recognition) -> Floats:
    """Return the probabilities in the order of the classes."""
    return np.array([found.probabilities[name] for name in CLASSES])


def calm_chances(judge: Judge, data: Path | str | None, family: str, split: str) -> Floats:
    """Return (n, classes) of what should raise no alarm: every slice by itself, and each scan in each degradation."""
    rows = []
    for example in known_examples(data, family, split):
        rows += [chances(found) for found in _each_slice(judge, example.scan)]
        worse = (c.on_scan(example.scan, key=example.key) for c in middle(family))
        rows += [chances(recognize(scan, by=judge)) for scan in worse]
    return np.array(rows)


def _each_slice(judge: Judge, scan: Scan) -> Iterator[Recognition]:
    for k in range(scan.shape[2]):
        slice_ = alone(scan, k)
        if np.ptp(slice_.voxels):
            yield recognize(slice_, by=judge)


def measure(judge: Judge, data: Path | str | None) -> Figures:
    """Measure a recognizer on test patients and pictures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MedcolorWarning)
        known = {family: list(known_examples(data, family, "test")) for family in MODALITIES}
    groups = dict(known)
    for example in foreign_examples():
        groups.setdefault(example.kind, []).append(example)
    seen = {kind: [recognize(example.scan, by=judge) for example in group] for kind, group in groups.items()}
    scores = {kind: np.array([chances(found) for found in group]) for kind, group in seen.items()}
    single = {
        kind: np.array([chances(found) for e in group for found in _each_slice(judge, e.scan)])
        if kind in MODALITIES
        else scores[kind]
        for kind, group in groups.items()
    }
    owners = {kind: np.array([example.owner for example in group]) for kind, group in groups.items()}
    return Figures(
        counts={kind: (len(group), len(set(owners[kind]))) for kind, group in groups.items()},
        auroc={family: _interval(family, scores, owners) for family in MODALITIES},
        slices={family: _whole(family, single) for family in MODALITIES},
        against={
            family: {kind: auroc(*_doubts(family, scores, [kind])) for kind in groups if kind != family}
            for family in MODALITIES
        },
        alarms={family: _alarms(judge, known[family]) for family in MODALITIES},
        caught={
            family: {
                kind: float(np.mean([judge.alarms(found, family) for found in group]))
                for kind, group in seen.items()
                if kind != family
            }
            for family in MODALITIES
        },
        seen_as={kind: _shares([found.seen for found in group]) for kind, group in seen.items()},
        elsewhere=_elsewhere(judge, packs_folder(data)),
    )


def _elsewhere(judge: Judge, packs: Path) -> dict[str, dict[str, Any]]:
    groups = {name: (family, list(_every_sixth(packs / f"{name}.npz"))) for name, family in ELSEWHERE.items()}
    for member, family in SAMPLES.items():
        package, _, path = member.partition("/")
        if spec := find_spec(package):
            found = sorted(Path(str(spec.origin)).parent.glob(path))
            groups[f"{package}: {path}"] = (family, [read(file, modality=family) for file in found])
    out = {}
    for name, (family, scans) in groups.items():
        if scans:
            seen = [recognize(scan, by=judge) for scan in scans]
            out[name] = {
                "family": family,
                "images": len(scans),
                "false_alarms": round(float(np.mean([judge.alarms(found, family) for found in seen])), 4),
                "seen_as": _rounded(_shares([found.seen for found in seen])),
            }
    return out


def _every_sixth(path: Path) -> Iterator[Scan]:
    if path.is_file():
        with np.load(path, allow_pickle=False) as file:
            for gray in file["images"][::6]:
                if np.ptp(gray):
                    yield picture_scan(gray)


def _doubts(family: str, scores: Mapping[str, Floats], kinds: Sequence[str]) -> tuple[Floats, Floats]:
    column = CLASSES.index(family)
    return 1 - scores[family][:, column], np.concatenate([1 - scores[kind][:, column] for kind in kinds])


def _whole(family: str, scores: Mapping[str, Floats]) -> float:
    return auroc(*_doubts(family, scores, [kind for kind in scores if kind != family]))


def _interval(
    family: str, scores: Mapping[str, Floats], owners: Mapping[str, NDArray[Any]], *, draws: int = 300
) -> Interval:
    """Return the AUROC with an interval: patients and pictures are drawn again, within each kind."""
    rng = np.random.default_rng(0)
    rows = {kind: [np.flatnonzero(who == name) for name in np.unique(who)] for kind, who in owners.items()}

    def again() -> float:
        drawn_ = {
            kind: scores[kind][np.concatenate([own[n] for n in rng.integers(len(own), size=len(own))])]
            for kind, own in rows.items()
        }
        return _whole(family, drawn_)

    low, high = np.percentile([again() for _ in range(draws)], (2.5, 97.5))
    return Interval(_whole(family, scores), float(low), float(high), len(rows[family]))


def _alarms(judge: Judge, group: Sequence[Example]) -> dict[str, float]:
    family = group[0].kind

    def share(worse: Condition | None) -> float:
        scans = (e.scan if worse is None else worse.on_scan(e.scan, key=e.key) for e in group)
        return float(np.mean([judge.alarms(recognize(scan, by=judge), family) for scan in scans]))

    return {CLEAN: share(None), **{condition.name: share(condition) for condition in middle(family)}}


def _shares(seen: Sequence[str]) -> dict[str, float]:
    names, counts = np.unique(seen, return_counts=True)
    return {str(name): int(count) / len(seen) for name, count in zip(names, counts, strict=True)}


__all__ = [
    "Example", "Figures", "alone", "calm_chances", "foreign_examples", "known_examples", "measure",
    "picture_scan",
]  # fmt: skip
