"""Who a colorizer saw is read from its card and proven by the hash of its split; what cannot be proven is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from medcolor.bundle_files import BundleCard
from medcolor.comparison.arms import load_arm
from medcolor.comparison.leaks import NOTHING, seen_by
from medcolor.comparison.task_catalog import load_task
from medcolor.comparison.tasks import Task
from medcolor.errors import LeakError
from medcolor.training.export import identity
from medcolor.training.sources import pack_cases

PATIENTS = {"train": ["A", "B", "C"], "val": ["D"], "test": ["E", "F"]}


def written(folder: Path, sides: dict[str, list[str]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    groups = np.repeat([name for names in PATIENTS.values() for name in names], 2)
    names = ("sts_ct", "sts_mr_t1", "mri_t1_head")
    for name in names:
        images = rng.integers(0, 100, (len(groups), 24, 24)).astype(np.int16 if name == "sts_ct" else np.uint8)
        images[:, 0, 0] = 50
        np.savez(folder / f"{name}.npz", images=images, masks=np.ones(images.shape, np.uint8), groups=groups)
    manifest = [{"pack": f"{name}.npz", "licence": "CC BY 3.0"} for name in names]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "splits.json").write_text(json.dumps(dict.fromkeys(names, sides)))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("packs"), PATIENTS)


@pytest.fixture(scope="module")
def task(data: Path) -> Task:
    return load_task("sts_ct", data)


def hash_of(data: Path, family: str, packs: list[str]) -> str:
    """Return what a training on these packs writes into its card, by the training's own function."""

    class Side:
        def __init__(self, split: str) -> None:
            self.cases = [c for c in pack_cases(data, family=family, packs=packs, shipped=False) if c.split == split]

    return identity({split: Side(split) for split in ("train", "val", "test")})


def card(names: list[str] | None, digest: str, masks: tuple[str, ...] = (), family: str = "CT") -> BundleCard:
    training = None if names is None else {
        "data": [{"name": name} for name in names], "split_sha256": digest, "labels": {"expert_masks": list(masks)},
    }  # fmt: skip
    metadata = MappingProxyType({"medcolor": {} if training is None else {"training": training}})
    return BundleCard("bundle", Path("bundle"), family, (), "0", "", "1", metadata)


def test_a_colorizer_of_other_patients_saw_nothing(task: Task, data: Path) -> None:
    for names in (["simulated by medcolor"], ["ct_abd_chest"], ["us_hc18", "xray_nih"]):
        assert seen_by(card(names, "any"), task, data) == NOTHING


def test_training_patients_are_known_where_the_hash_is_that_of_this_split(task: Task, data: Path) -> None:
    found = seen_by(card(["sts_ct"], hash_of(data, "CT", ["sts_ct"])), task, data)
    assert (found.patients, found.labels) == (4, ())
    assert "no labels" in found.note


def test_labels_of_the_task_are_marked_and_others_are_not(task: Task, data: Path) -> None:
    digest = hash_of(data, "CT", ["sts_ct"])
    assert seen_by(card(["sts_ct"], digest, ("breast_tissue", "sarcoma")), task, data).labels == ("sarcoma",)
    assert seen_by(card(["sts_ct"], digest, ("breast_tissue",)), task, data).labels == ()


def test_the_order_of_names_in_a_card_does_not_matter(data: Path) -> None:
    names = ["mri_t1_head", "sts_mr_t1"]
    digest = hash_of(data, "MR", ["sts_mr_t1", "mri_t1_head"])
    task = load_task("sts_mr_t1", data)
    assert seen_by(card(names, digest, family="MR"), task, data).patients == 4


def test_the_same_patients_in_another_modality_were_seen(task: Task, data: Path) -> None:
    other = card(["sts_mr_t1"], hash_of(data, "MR", ["sts_mr_t1"]), family="MR")
    assert seen_by(other, task, data).patients == 4


def test_a_colorizer_that_saw_a_test_patient_is_refused(task: Task, data: Path, tmp_path: Path) -> None:
    """Its training had another split, which is the one at hand when it is judged; the task keeps its own."""
    moved = written(tmp_path / "moved", {"train": ["A", "B", "E"], "val": ["D"], "test": ["C", "F"]})
    leaking = card(["sts_ct"], hash_of(moved, "CT", ["sts_ct"]))
    with pytest.raises(LeakError, match="saw 1 of the 2 test patients"):
        seen_by(leaking, task, moved)


@pytest.mark.parametrize(
    ("names", "digest", "said"),
    [
        (None, "", "does not say"),
        (["sts_ct"], "0" * 64, "cannot be told"),
        (["sts_ct", "my scans"], "0" * 64, "cannot be told"),
        ([""], "", "cannot be told"),
    ],
)
def test_what_cannot_be_known_is_refused(
    names: list[str] | None, digest: str, said: str, task: Task, data: Path
) -> None:
    with pytest.raises(LeakError, match=said):
        seen_by(card(names, digest), task, data)


def test_somebodys_own_scans_may_be_anybodys(data: Path, task: Task) -> None:
    own = Task("liver", "CT", {1: "liver"}, True, "", "0", "liver", True, lambda: task.subjects())
    with pytest.raises(LeakError, match="cannot be told"):
        seen_by(card(["own scans"], "0"), own, data)
    assert seen_by(card(["sts_ct"], "0"), own, data) == NOTHING


@pytest.mark.data
@pytest.mark.parametrize("name", ["sts_ct", "sts_mr_t1", "sts_pet", "us_hc18", "mri_hippocampus"])
def test_shipped_bundles_saw_no_test_patient_of_any_pack_task(name: str, data_folder: Path) -> None:
    task = load_task(name, data_folder)
    arm = load_arm("tissue", task)
    expected = () if name == "mri_hippocampus" else tuple(task.labels.values())
    assert arm.seen.labels == expected
    assert len(task.patients("test")) == {"mri_hippocampus": 42, "us_hc18": 129}.get(name, 8)
