"""Tasks from folders: what is read is what was written, and what is not understood is named."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from skimage.draw import polygon2mask

from medcolor.comparison.task_catalog import load_task
from medcolor.comparison.task_dicom import fill
from medcolor.errors import SettingError
from medcolor.geometry import Geometry, Space
from medcolor.scan import Scan, from_slices

AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])


def volume(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.integers(-200, 300, (20, 24, 3)).astype(np.int16)
    mask = np.zeros(image.shape, np.uint8)
    mask[4:9, 5:15], mask[12:15, 5:9] = 1, 2
    return image, mask


def nnunet_folder(root: Path, count: int = 4) -> Path:
    for n in range(count):
        for part, name, block in zip(("imagesTr", "labelsTr"), (f"c{n}_0000", f"c{n}"), volume(n), strict=True):
            (root / part).mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(block, AFFINE), root / part / f"{name}.nii.gz")
    index = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1, "spleen": 2},
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(index))
    return root


def change(root: Path, **changes: object) -> None:
    index = json.loads((root / "dataset.json").read_text()) | changes
    (root / "dataset.json").write_text(json.dumps(index))


def test_an_nnunet_folder_is_a_task(tmp_path: Path) -> None:
    root = nnunet_folder(tmp_path / "d")
    (root / "splits_final.json").write_text(json.dumps([{"train": ["c0", "c1"], "val": ["c2", "c3"]}]))
    task = load_task(root)
    assert (task.family, dict(task.labels), task.spacing_known) == ("CT", {1: "liver", 2: "spleen"}, True)
    assert (task.patients("train"), task.patients("test")) == (("c0", "c1"), ("c2", "c3"))
    for n, subject in enumerate(task.subjects()):
        image, mask = volume(n)
        assert np.array_equal(subject.scan.voxels, image)
        assert np.array_equal(from_slices(subject.masks), mask)
    before = task.identity
    nib.save(nib.Nifti1Image(volume(9)[0], AFFINE), root / "imagesTr" / "c0_0000.nii.gz")
    assert load_task(root).identity != before


def test_a_decathlon_folder_is_the_same_task(tmp_path: Path) -> None:
    root = nnunet_folder(tmp_path / "d")
    training = [{"image": f"./imagesTr/c{n}_0000.nii.gz", "label": f"./labelsTr/c{n}.nii.gz"} for n in range(4)]
    index = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver", "2": "spleen"}, "training": training}
    (root / "dataset.json").write_text(json.dumps(index))
    task = load_task(root)
    assert dict(task.labels) == {1: "liver", 2: "spleen"}
    assert np.array_equal(from_slices(task.subjects()[1].masks), volume(1)[1])
    assert {subject.split for subject in task.subjects()} == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channel_names": {"0": "photograph"}}, "modality"),
        ({"channel_names": {}}, "channel"),
        ({"labels": {"background": 0, "both": [1, 2]}}, "regions"),
        ({"labels": "liver"}, "labels"),
        ({"labels": {"background": 0, "liver": 1}}, r"holds labels \[2\]"),
    ],
)
def test_an_index_that_is_not_understood_is_named(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    root = nnunet_folder(tmp_path / "d")
    change(root, **changes)
    with pytest.raises(SettingError, match=said):
        load_task(root)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    root = nnunet_folder(tmp_path / "d")
    (root / "imagesTr" / "c1_0000.nii.gz").unlink()
    with pytest.raises(SettingError, match=r"c1_0000\.nii\.gz is missing"):
        load_task(root)
    for name in ("nothing", tmp_path / "nowhere"):
        with pytest.raises(SettingError, match="sts_ct"):
            load_task(name)
    (root / "dataset.json").write_text("{")
    with pytest.raises(SettingError, match=r"dataset\.json: no JSON"):
        load_task(root)


def test_contours_fill_what_is_inside_and_holes_stay_holes() -> None:
    geometry = Geometry.from_spacing((40, 30, 2), (1.5, 2.0, 5.0), Space.PATIENT)
    scan = Scan(from_slices(np.zeros((2, 30, 40), np.int16)), geometry, "CT", units="HU")
    outer = np.array([[4.3, 3.2], [30.6, 5.1], [25.2, 25.7], [8.9, 20.4]])
    inner = np.array([[12.2, 8.3], [18.7, 8.9], [16.1, 14.2]])

    def contour(outline: np.ndarray) -> np.ndarray:
        return np.column_stack([outline * [1.5, 2.0], np.full(len(outline), 5.0)])

    found = fill(scan, [(3, [contour(outer), contour(inner)])], "file")
    expected = [polygon2mask((30, 40), outline[:, ::-1]) for outline in (outer, inner)]
    assert not found[0].any()
    assert np.array_equal(found[1] == 3, expected[0] & ~expected[1])
    with pytest.raises(SettingError, match="no slice"):
        fill(scan, [(1, [contour(outer) + np.array([0, 0, 2.5])])], "file")


@pytest.mark.data
def test_packs_have_the_sides_that_the_data_folder_says(data_folder: Path) -> None:
    task = load_task("mri_hippocampus", data_folder)
    assert [len(task.patients(side)) for side in ("train", "val", "test")] == [146, 20, 42]
    assert task.licence.startswith("CC BY-SA")
