"""What is written for nnU-Net keeps the rules of its layout; what it writes is read back."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medcolor.comparison import nnunet
from medcolor.comparison.arms import load_arm
from medcolor.comparison.phantoms import phantom_task
from medcolor.comparison.tasks import Subject
from medcolor.errors import OutputExistsError, SettingError

TASK = phantom_task("phantom:CT")


def few() -> list[Subject]:
    return [*TASK.subjects("train")[:3], *TASK.subjects("test")[:2]]


def exported(root: Path, name: str, number: int) -> nnunet.Dataset:
    arm = load_arm(name, TASK)
    rng = np.random.default_rng(0)
    return nnunet.export(
        TASK, name, arm.channels, lambda one: arm.render(one.scan, rng), root, number=number, subjects=few()
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nnunet")


@pytest.fixture(scope="module")
def datasets(root: Path) -> dict[str, nnunet.Dataset]:
    return {name: exported(root, name, 600 + n) for n, name in enumerate(("gray", "gray3", "physics"))}


def test_a_dataset_has_the_files_that_its_index_counts(datasets: dict[str, nnunet.Dataset]) -> None:
    for name, dataset in datasets.items():
        assert dataset.folder.name.startswith(f"Dataset{dataset.number:03d}_")
        index = json.loads((dataset.folder / "dataset.json").read_text())
        channels = len(index["channel_names"])
        assert channels == {"gray": 1, "gray3": 3, "physics": 3}[name]
        assert index["labels"] == {"background": 0, "fluid": 1, "spongy_bone": 2}
        cases = sorted(path.name.removesuffix(index["file_ending"]) for path in (dataset.folder / "labelsTr").iterdir())
        assert len(cases) == index["numTraining"] == 3
        expected = {f"{case}_{channel:04d}{index['file_ending']}" for case in cases for channel in range(channels)}
        assert {path.name for path in (dataset.folder / "imagesTr").iterdir()} == expected
        assert len(list((dataset.folder / "imagesTs").iterdir())) == 2 * channels


def test_all_arms_have_one_split_one_normalization_and_the_same_masks(datasets: dict[str, nnunet.Dataset]) -> None:
    splits = {dataset.splits.read_text() for dataset in datasets.values()}
    assert len(splits) == 1
    (fold,) = json.loads(splits.pop())
    assert set(fold["train"]) | set(fold["val"]) == {"case_0001", "case_0002", "case_0003"}
    for dataset in datasets.values():
        index = json.loads((dataset.folder / "dataset.json").read_text())
        assert set(index["channel_names"].values()) == {"rgb_to_0_1"}
        masks = [nib.load(path).get_fdata() for path in sorted((dataset.folder / "labelsTr").iterdir())]
        for mask, subject in zip(masks, few(), strict=False):
            assert np.array_equal(mask.transpose(2, 1, 0), subject.masks)


def test_images_are_eight_bits_on_the_scans_grid(datasets: dict[str, nnunet.Dataset]) -> None:
    subject = few()[0]
    image = nib.load(datasets["physics"].folder / "imagesTr" / "case_0001_0000.nii.gz")
    assert image.get_data_dtype() == np.uint8
    np.testing.assert_allclose(image.affine, subject.scan.geometry.affine, atol=1e-4)
    light = load_arm("gray", TASK).render(subject.scan, np.random.default_rng(0))[:, 0]
    assert np.abs(np.asarray(image.dataobj).transpose(2, 1, 0) / 255 - light).max() < 0.01


def test_gray_has_no_chroma_and_a_step_of_chroma_is_a_step_of_cielab() -> None:
    block = np.zeros((1, 3, 1, 2), np.float32)
    block[0, :, 0, 1] = 1.0, 0.31, -2.0
    assert nnunet.bytes_of(block)[0, :, 0].tolist() == [[0, 255], [128, 159], [128, 0]]


def test_no_name_of_a_patient_is_in_a_file(datasets: dict[str, nnunet.Dataset]) -> None:
    for dataset in datasets.values():
        for path in dataset.folder.rglob("*"):
            assert "train" not in path.name
            assert "test" not in path.name


def test_results_come_back_by_patient_in_the_tasks_own_numbers(
    datasets: dict[str, nnunet.Dataset], tmp_path: Path
) -> None:
    dataset = datasets["gray"]
    with pytest.raises(SettingError, match="missing"):
        nnunet.results(dataset, tmp_path, TASK)
    for path in (dataset.folder / "labelsTs").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    found = nnunet.results(dataset, tmp_path, TASK)
    assert {name: mask.shape for name, mask in found.items()} == {one.patient: one.masks.shape for one in few()[3:]}
    for subject in few()[3:]:
        assert np.array_equal(found[subject.patient], subject.masks)
    path = next(tmp_path.iterdir())
    nib.save(nib.Nifti1Image(np.full((64, 64, 2), 9, np.uint8), np.eye(4)), path)
    with pytest.raises(SettingError, match="expected"):
        nnunet.results(dataset, tmp_path, TASK)


def test_a_dataset_is_never_overwritten(datasets: dict[str, nnunet.Dataset], root: Path) -> None:
    with pytest.raises(OutputExistsError):
        exported(root, "gray", 600)
    with pytest.raises(SettingError, match="999"):
        exported(root, "gray", 1000)


def test_commands_run_in_order_with_the_three_folders_named(
    datasets: dict[str, nnunet.Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("PATH", os.fspath(tmp_path) + os.pathsep + os.environ["PATH"])
    if not nnunet.installed():
        with pytest.raises(SettingError, match="not installed"):
            nnunet.run(datasets["gray"], tmp_path)
    for command in ("nnUNetv2_plan_and_preprocess", "nnUNetv2_train", "nnUNetv2_predict"):
        script = tmp_path / command
        script.write_text(f'#!/bin/sh\necho {command} "$@" "$nnUNet_raw" >> {log}\n')
        script.chmod(script.stat().st_mode | stat.S_IEXEC)
    nnunet.run(datasets["gray"], tmp_path / "out")
    lines = log.read_text().splitlines()
    assert [line.split()[0] for line in lines] == [
        "nnUNetv2_plan_and_preprocess",
        "nnUNetv2_train",
        "nnUNetv2_predict",
    ]
    assert all("nnUNet_raw" in line for line in lines)
    assert " 600 2d 0 " in lines[1]
    (tmp_path / "nnUNetv2_train").write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(SettingError, match="ended with 3"):
        nnunet.run(datasets["gray"], tmp_path / "out")
