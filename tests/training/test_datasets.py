"""Cases and samples: no patient on two sides, targets cached by content, licences kept, every kind of source."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tissue_laws import scan_of

from medcolor import phantom, write
from medcolor.errors import LicenseError, MedcolorWarning, TrainingError
from medcolor.scan import MODALITIES, to_slices
from medcolor.tissue import CLASSES
from medcolor.training.conditions import training_degradations
from medcolor.training.datasets import Case, Loaded, TissueDataset, require_apart
from medcolor.training.packs import PACKS, chosen_packs, may_ship, packs_folder
from medcolor.training.sources import (
    decathlon_cases,
    find_cases,
    folder_cases,
    pack_cases,
    patient_of,
    simulated_cases,
)
from medcolor.training.splits import SPLITS, merged, split_patients
from medcolor.training.targets import CleanTargets
from medcolor.training.views import CropOrPad
from medcolor.windowing import display_bounds

torch.set_num_threads(1)
names = st.sets(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8), max_size=40)


@given(names)
def test_every_patient_has_one_side_and_three_patients_fill_all_sides(patients):
    sides = split_patients(patients)
    assert set(sides) == patients
    assert sides == split_patients(sorted(patients, reverse=True))
    needed = SPLITS[: min(len(patients), 3)]
    assert set(sides.values()) >= set(needed)


@given(names, names)
def test_a_split_does_not_move_when_patients_are_added(first, second):
    known = split_patients(first)
    assert {p: s for p, s in split_patients(first | second, known).items() if p in first} == known


def test_large_splits_have_the_promised_shares():
    counts = Counter(split_patients(f"patient {n}" for n in range(3000)).values())
    assert counts["train"] / 3000 == pytest.approx(0.7, abs=0.03)
    assert counts["val"] / 3000 == pytest.approx(0.1, abs=0.02)
    assert counts["test"] / 3000 == pytest.approx(0.2, abs=0.03)


def test_splits_that_contradict_each_other_are_refused():
    with pytest.raises(TrainingError, match="one side everywhere"):
        merged({"a": {"train": ["x"]}, "b": {"test": ["x"]}})
    with pytest.raises(TrainingError, match="none of train"):
        merged({"a": {"training": ["x"]}})


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    """A small folder of packs with made-up images."""
    folder = tmp_path / "data" / "packs"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    image = to_slices(phantom.scan("CT", shape=(48, 40, 3)).voxels)
    patients = [f"P{n}" for n in range(6)]
    canvas = np.full((18, 44, 56), -1024, np.int16)
    canvas[:, 2:42, 4:52] = np.concatenate([image + n for n in range(6)])
    masks = np.zeros(canvas.shape, np.uint8)
    masks[:, 15:20, 20:30] = 1
    groups = np.repeat(patients, 3)
    np.savez(folder / "sts_ct.npz", images=canvas, groups=groups, masks=masks)
    gray = rng.integers(0, 255, (6, 32, 32)).astype(np.uint8)
    np.savez(folder / "sts_mr_t1.npz", images=gray, groups=np.array(patients))
    np.savez(folder / "mri_hippocampus.npz", images=gray, groups=np.array(patients), masks=gray % 3)
    np.savez(folder / "mednist_breastmri.npz", images=gray)
    licences = {
        "sts_ct": "CC BY 3.0", "sts_mr_t1": "CC BY 3.0", "mri_hippocampus": "CC BY-SA 4.0 (MSD)",
        "mednist_breastmri": "CC BY-SA 4.0",
    }  # fmt: skip
    manifest = [{"pack": f"{name}.npz", "licence": text} for name, text in licences.items()]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    splits = {"sts_ct": {"train": patients[:3], "val": patients[3:4], "test": patients[4:]}}
    (folder / "splits.json").write_text(json.dumps(splits), encoding="utf-8")
    return folder.parent


def test_packs_keep_the_listed_split_and_the_same_patient_its_side_elsewhere(packs):
    sides = {}
    for family in ("CT", "MR"):
        for case in pack_cases(packs, family=family, shipped=False):
            sides.setdefault(case.patient, set()).add(case.split)
    assert {p: s for p, s in sides.items() if p.startswith("P")} == {
        **{f"P{n}": {"train"} for n in range(3)}, "P3": {"val"}, "P4": {"test"}, "P5": {"test"},
    }  # fmt: skip
    assert all(len(s) == 1 for s in sides.values())


def test_share_alike_packs_train_no_shipped_weights(packs):
    assert {c.key.split("/")[0] for c in pack_cases(packs, family="MR")} == {"sts_mr_t1"}
    with pytest.raises(LicenseError, match="mri_hippocampus is under"):
        pack_cases(packs, family="MR", packs=["mri_hippocampus"])
    free = pack_cases(packs, family="MR", shipped=False)
    assert {c.key.split("/")[0] for c in free} == {"sts_mr_t1", "mri_hippocampus", "mednist_breastmri"}


@pytest.mark.parametrize(
    ("licence", "expected"),
    [("CC BY 4.0", True), ("CC BY-SA 4.0 (MSD)", False), ("CC BY-NC 4.0", False), ("PDDL 1.0", True), ("", False),
     ("NIH: no restrictions on use", True)],
)  # fmt: skip
def test_what_a_licence_allows(licence, expected):
    assert may_ship(licence) is expected


def test_a_pack_without_patients_is_on_one_side(packs):
    found = {c.split for c in pack_cases(packs, family="MR", packs=["mednist_breastmri"], shipped=False)}
    assert len(found) == 1


def test_a_pack_nobody_has_or_of_another_family_is_named(packs):
    with pytest.raises(TrainingError, match="no such pack"):
        chosen_packs(packs_folder(packs), family="CT", names=["xray_nih"])
    with pytest.raises(TrainingError, match="no packs for US"):
        chosen_packs(packs_folder(packs), family="US")


def test_no_data_folder_is_a_typed_error(tmp_path, monkeypatch):
    monkeypatch.delenv("MEDCOLOR_DATA", raising=False)
    with pytest.raises(TrainingError, match="MEDCOLOR_DATA"):
        packs_folder()
    with pytest.raises(TrainingError, match="manifest"):
        packs_folder(tmp_path)
    monkeypatch.setenv("MEDCOLOR_DATA", str(tmp_path))
    with pytest.raises(TrainingError, match="manifest"):
        packs_folder()


def test_samples_are_what_was_agreed(packs, tmp_path):
    cases = pack_cases(packs, family="CT")
    dataset = TissueDataset(cases, cache=tmp_path / "cache", split="train", neighbors=True)
    assert (len(dataset), dataset.patients, dataset.classes) == (9, ("P0", "P1", "P2"), CLASSES["CT"])
    sample = dataset[4]
    loaded = dataset.cases[1].load()
    assert sample["image"].shape == (1, 40, 48)  # the border of the canvas is gone
    np.testing.assert_array_equal(sample["image"][0].numpy(), to_slices(loaded.scan.voxels)[1])
    expected = CleanTargets(loaded.scan, loaded.masks, contiguous=False).posteriors(slice(1, 2))[:, 0]
    np.testing.assert_allclose(sample["target"].numpy(), expected, atol=0.006)
    torch.testing.assert_close(sample["target"].sum(0), torch.ones(40, 48))
    assert (sample["patient"], sample["family"], sample["units"], sample["key"]) == ("P1", "CT", "HU", "sts_ct/P1/1")
    assert tuple(sample["window"].tolist()) == display_bounds(loaded.scan) == (-160.0, 240.0)
    assert torch.equal(sample["neighbour"], sample["image"])  # these slices are no neighbours
    assert sample["still"].sum() == 0
    with pytest.raises(IndexError):
        dataset[9]
    assert dataset[-1]["key"] == "sts_ct/P2/2"


def _case(block, modality="CT", key="c", patient="p", split="train", contiguous=True, load=None):
    scan = scan_of(block, modality, spacing=(1, 1, 2))
    return Case(key, patient, modality, split, len(block), load or partial(Loaded, scan), contiguous)


def test_neighbours_are_the_next_slice_and_still_where_nothing_changes(tmp_path):
    block = np.full((3, 40, 40), -1000, np.int16)
    block[:, 4:36, 4:36] = 50
    block[1, 10:20, 10:20] = -100
    dataset = TissueDataset([_case(block)], cache=tmp_path, neighbors=True)
    for k, other in ((0, 1), (1, 2), (2, 1)):
        sample = dataset[k]
        np.testing.assert_array_equal(sample["neighbour"][0].numpy(), block[other])
        assert sample["still"][25, 25] == 1
        assert sample["still"][15, 15] == 0


def test_targets_are_made_once_and_cached_by_content(packs, tmp_path):
    cases = pack_cases(packs, family="CT")
    cache = tmp_path / "cache"
    TissueDataset(cases, cache=cache).prepare()
    files = {p: p.stat().st_mtime_ns for p in cache.rglob("*.npy")}
    assert len(files) == 18  # three for each of six patients
    seen = []
    again = TissueDataset(pack_cases(packs, family="CT"), cache=cache)
    again.prepare(lambda done, total: seen.append((done, total)))
    assert {p: p.stat().st_mtime_ns for p in cache.rglob("*.npy")} == files
    assert seen == [(n, 6) for n in range(1, 7)]


def test_a_cache_in_the_source_tree_is_refused():
    import medcolor

    inside = Path(medcolor.__file__).parent / "targets"
    with pytest.raises(TrainingError, match="source tree"):
        TissueDataset([_case(np.zeros((1, 8, 8), np.int16))], cache=inside)
    assert not inside.exists()


def test_a_patient_on_two_sides_is_refused(tmp_path):
    block = np.zeros((1, 8, 8), np.int16)
    cases = [_case(block, key="a"), _case(block, key="b", split="test")]
    with pytest.raises(TrainingError, match="two sides"):
        TissueDataset(cases, cache=tmp_path)


def test_empty_mixed_and_changed_data_are_refused(tmp_path):
    block = np.zeros((1, 8, 8), np.int16)
    with pytest.raises(TrainingError, match="not empty"):
        TissueDataset([_case(block)], cache=tmp_path, split="val")
    with pytest.raises(TrainingError, match="one modality family"):
        TissueDataset([_case(block), _case(block, "MR", patient="q")], cache=tmp_path)
    with pytest.raises(TrainingError, match="Did the data change"):
        TissueDataset([replace(_case(block), slices=2)], cache=tmp_path)[0]
    with pytest.raises(TrainingError, match="no split"):
        TissueDataset([_case(block)], cache=tmp_path, split="training")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_monai_loads_degraded_batches(packs, tmp_path, workers):
    from monai.data import DataLoader
    from monai.transforms import Compose

    transform = Compose([*training_degradations("CT").transforms, CropOrPad((32, 32))])
    dataset = TissueDataset(pack_cases(packs, family="CT"), cache=tmp_path, neighbors=True, transform=transform)
    batches = list(DataLoader(dataset, batch_size=6, num_workers=workers))
    assert len(batches) == 3
    for batch in batches:
        assert batch["image"].shape == batch["neighbour"].shape == (6, 1, 32, 32)
        assert batch["target"].shape == (6, 10, 32, 32)
        assert len(batch["patient"]) == 6


def test_datasets_can_be_sent_to_other_processes(packs, tmp_path):
    dataset = TissueDataset(pack_cases(packs, family="CT"), cache=tmp_path)
    other = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(other[3]["target"], dataset[3]["target"])


def test_dicom_folders_are_split_by_patient_under_a_pseudonym(tmp_path):
    scan = phantom.scan("CT", shape=(24, 20, 2))
    folder = tmp_path / "scans"
    import pydicom

    for n in range(4):
        phantom.write_dicom(scan, folder / f"s{n}")
        for path in (folder / f"s{n}").iterdir():
            header = pydicom.dcmread(path)
            header.PatientID = f"Secret^{n // 2}"
            header.SeriesInstanceUID = f"1.2.3.{n + 1}"
            header.StudyInstanceUID = f"1.2.4.{n // 2}"
            header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = f"{header.SOPInstanceUID}.{n}"
            header.save_as(path)
    cases = folder_cases(folder, family="CT")
    assert len(cases) == 4
    assert len({c.patient for c in cases}) == 2
    assert not any("Secret" in text for c in cases for text in (c.key, c.patient))
    require_apart(cases)
    listed = folder_cases(folder, family="CT", splits={"test": ["Secret^0"], "val": ["Secret^1"]})
    assert Counter(c.split for c in listed) == {"test": 2, "val": 2}
    dataset = TissueDataset(cases, cache=tmp_path / "cache")
    assert dataset[0]["image"].shape == (1, 20, 24)
    with pytest.raises(TrainingError, match="no series of MR"), pytest.warns(MedcolorWarning, match="left out"):
        folder_cases(folder, family="MR")


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    folder = tmp_path / "volumes"
    folder.mkdir()
    for n in range(5):
        scan = phantom.scan("CT", seed=n, shape=(24, 20, 2))
        write(scan, folder / f"sub-{n:02d}_ct.nii.gz")
        labels = np.zeros(scan.shape, np.int16)
        labels[8:12, 8:12] = 1
        write(replace(scan, voxels=labels, modality="OT", units="arbitrary", windows=()), folder / f"l{n}.nii.gz")
    return folder


@pytest.mark.filterwarnings("ignore::medcolor.errors.MedcolorWarning")
def test_volume_folders_need_the_modality_said_and_split_by_subject(volumes, tmp_path):
    for path in volumes.glob("l*.nii.gz"):
        path.unlink()
    cases = find_cases(volumes, family="CT", modality="CT")
    assert {c.patient for c in cases} == {f"sub-{n:02d}" for n in range(5)}
    assert {c.split for c in cases} == set(SPLITS)
    sample = TissueDataset(cases, cache=tmp_path / "cache")[0]
    assert sample["units"] == "HU"


@pytest.mark.filterwarnings("ignore::medcolor.errors.MedcolorWarning")
def test_decathlon_lists_with_labels_that_name_a_tissue(volumes, tmp_path):
    items = [{"image": f"sub-{n:02d}_ct.nii.gz", "label": f"l{n}.nii.gz"} for n in range(4)]
    listing = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "fluid"}, "training": items,
               "test": ["sub-04_ct.nii.gz"]}  # fmt: skip
    path = volumes / "dataset.json"
    path.write_text(json.dumps(listing), encoding="utf-8")
    cases = find_cases(path, family="CT")
    assert len(cases) == 5
    assert next(c for c in cases if c.patient == "sub-04").split == "test"
    require_apart(cases)
    sample = TissueDataset([c for c in cases if c.patient == "sub-01"], cache=tmp_path / "cache")[0]
    assert sample["target"][:, 9, 9].argmax() == CLASSES["CT"].index("fluid")
    with pytest.raises(TrainingError, match="list for MR"):
        decathlon_cases(path, family="MR")
    with pytest.raises(TrainingError, match="no such list"):
        find_cases(volumes / "none.json", family="CT")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("sub-07/anat/x.nii.gz", "sub-07"),
        ("anna/scan1.nii", "anna"),
        ("scan1.nii.gz", "scan1"),
        ("a/sub-2_T1.nii", "sub-2"),
    ],
)
def test_whose_a_file_is(path, expected):
    assert patient_of(Path(path)) == expected


def test_simulated_cases_bring_their_truth(tmp_path):
    cases = simulated_cases("NM", count=10, shape=(64, 96))
    assert Counter(c.split for c in cases) == {"train": 7, "val": 1, "test": 2}
    sample = TissueDataset(cases, cache=tmp_path, split="val", neighbors=True)[1]
    np.testing.assert_allclose(sample["target"].numpy(), cases[7].load().truth[:, 1], atol=0.006)
    assert sample["units"] == "counts"
    assert sample["still"].sum() == 0
    with pytest.raises(TrainingError, match="NM, MG"):
        simulated_cases("CT")


def test_packs_of_simulated_families_say_that_they_are_simulated(packs):
    with pytest.warns(MedcolorWarning, match="simulated"):
        cases = find_cases(packs, family="MG", count=3)
    assert len(cases) == 3


@pytest.mark.data
def test_no_patient_of_the_real_packs_is_on_two_sides(data_folder):
    sides: dict[str, set[str]] = {}
    found: Counter[tuple[str, str]] = Counter()
    for family in MODALITIES:
        if family not in {p.family for p in PACKS.values()}:
            continue
        cases = pack_cases(data_folder, family=family, shipped=False)
        require_apart(cases)
        for case in cases:
            sides.setdefault(case.patient, set()).add(case.split)
            found[family, case.split] += case.slices
    assert [p for p, s in sides.items() if len(s) > 1] == []
    listed = json.loads((packs_folder(data_folder) / "splits.json").read_text(encoding="utf-8"))
    for parts in listed.values():
        for side, patients in parts.items():
            assert {side} == set().union(*(sides[p] for p in patients))
    assert all(found[family, side] > 40 for family in ("CT", "MR", "PT", "US", "XR") for side in SPLITS)


@pytest.mark.data
def test_muscle_at_the_edge_of_a_crop_is_not_outside(data_folder, tmp_path):
    for case in pack_cases(data_folder, family="MR", packs=["sts_mr_t1"]):
        if case.patient in {"STS_008", "STS_029", "STS_050"}:
            sample = TissueDataset([case], cache=tmp_path)[5]
            signal = sample["image"][0] > 0.2 * sample["image"].max()
            assert sample["target"][0][signal].mean() < 0.03
