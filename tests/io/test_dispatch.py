"""From a path to a reader: folders of several kinds of files, keys and numbers, names that lie."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from medcolor import phantom
from medcolor.colorizers import load_colorizer
from medcolor.errors import AmbiguousSeriesError, MedcolorWarning, ReadCode, ReadError
from medcolor.io import list_series, read, read_segmentation, write
from medcolor.scan import Scan


def volume(path: Path, value: int = 0, shape: tuple[int, ...] = (5, 4, 3)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.full(shape, value, np.int16), np.eye(4)), path)
    return path


def test_a_folder_of_dicom_ignores_what_lies_beside_it(tmp_path: Path, ct_series: Path, ct_scan: Scan) -> None:
    folder = tmp_path / "study"
    shutil.copytree(ct_series, folder / "CT")
    (folder / "notes.txt").write_text("hello")
    (folder / ".hidden.nii").write_text("no volume")
    from PIL import Image

    Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / "screenshot.png")
    np.testing.assert_array_equal(read(folder).voxels, ct_scan.voxels)
    assert len(list_series(folder)) == 1


def test_slices_written_into_the_folder_of_their_source_do_not_hide_it(
    tmp_path: Path, ct_series: Path, ct_scan: Scan
) -> None:
    folder = tmp_path / "study"
    shutil.copytree(ct_series, folder)
    pictures = write(load_colorizer("lut:viridis")(ct_scan), folder, format="png")
    stack, source = list_series(folder)
    assert (stack.format, source.format) == ("png", "dicom")
    with pytest.raises(AmbiguousSeriesError):
        read(folder)
    np.testing.assert_array_equal(read(folder, series=source.key).voxels, ct_scan.voxels)
    assert read(folder, series=stack.key, modality="CT").shape[2] == len(pictures)


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
@pytest.mark.parametrize("look", [read, list_series, read_segmentation])
def test_a_file_that_may_not_be_read_is_a_typed_error(look: Callable[[Path], Any], tmp_path: Path) -> None:
    path = volume(tmp_path / "a.nii")
    list_series(path)
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # nobody: for root there is no file that may not be read
    try:
        with pytest.raises(ReadError, match=r"a\.nii: it cannot be read \(Permission denied\)"):
            look(path)
    finally:
        if root:
            os.seteuid(0)


def test_a_damaged_volume_hides_no_other_and_is_named(tmp_path: Path) -> None:
    whole = volume(tmp_path / "a.nii", 3)
    (tmp_path / "b.nii").write_bytes(whole.read_bytes()[:400])
    with pytest.warns(MedcolorWarning, match=r"1 file was left out; the first: .*b\.nii.*Truncated"):
        (only,) = list_series(tmp_path)
    assert only.key == "a.nii"
    with pytest.warns(MedcolorWarning, match=r"b\.nii"):
        assert read(tmp_path, modality="CT").voxels.min() == 3
    whole.unlink()
    with pytest.raises(ReadError, match=r"b\.nii"):
        list_series(tmp_path)


def test_more_than_9999_slices_stay_in_their_order(tmp_path: Path) -> None:
    from PIL import Image

    names = ["9998.png", "9999.png", "10000.png", "10001.png"]
    for level, name in enumerate(names):
        Image.fromarray(np.full((2, 2), level, np.uint8)).save(tmp_path / name)
    record = {"medcolor": "0", "modality": "US", "files": dict.fromkeys(sorted(names), "")}
    (tmp_path / "provenance.json").write_text(json.dumps(record))
    assert read(tmp_path).voxels[0, 0].tolist() == [0, 1, 2, 3]
    assert [path.name for path in list_series(tmp_path)[0].paths] == names


def test_a_volume_beside_dicom_is_a_second_series(tmp_path: Path, ct_series: Path, ct_scan: Scan) -> None:
    folder = tmp_path / "study"
    shutil.copytree(ct_series, folder / "CT")
    volume(folder / "derived" / "mask.nii.gz", 7)
    listed = list_series(folder)
    assert [info.format for info in listed] == ["dicom", "nifti"]
    assert listed[1].key == "derived/mask.nii.gz"
    with pytest.raises(AmbiguousSeriesError, match=r"mask\.nii\.gz"):
        read(folder)
    np.testing.assert_array_equal(read(folder, series=1).voxels, ct_scan.voxels)
    np.testing.assert_array_equal(read(folder, series=listed[0].key).voxels, ct_scan.voxels)
    assert read(folder, series="derived/mask.nii.gz", modality="MR").voxels.max() == 7


def test_volumes_in_a_folder_have_their_names_as_keys(tmp_path: Path) -> None:
    volume(tmp_path / "a.nii.gz", 1)
    volume(tmp_path / "b.nii.gz", 2, (5, 4, 3, 2))
    assert [info.key for info in list_series(tmp_path)] == ["a.nii.gz", "b.nii.gz#1", "b.nii.gz#2"]
    for key, value in (("a.nii.gz", 1), (3, 2), ("b.nii.gz#2", 2)):
        assert read(tmp_path, series=key, modality="MR").voxels.max() == value


def test_the_only_file_of_a_folder_is_what_is_read(tmp_path: Path) -> None:
    volume(tmp_path / "sub" / "only.nii", 3, (5, 4, 3, 2))
    with pytest.warns(MedcolorWarning, match="2 images"):
        assert read(tmp_path, modality="MR").voxels.max() == 3


def test_gzipped_and_zipped_dicom_is_dicom(tmp_path: Path, ct_series: Path) -> None:
    first = sorted(ct_series.iterdir())[0]
    (tmp_path / "one.dcm.gz").write_bytes(gzip.compress(first.read_bytes()))
    expected = read(first).voxels
    np.testing.assert_array_equal(read(tmp_path / "one.dcm.gz").voxels, expected)
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        for path in ct_series.iterdir():
            archive.write(path, path.name)
    np.testing.assert_array_equal(read(tmp_path / "study.zip").voxels, read(ct_series).voxels)


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.png", "scan.nrrd", "scan"])
def test_dicom_under_another_name_is_still_dicom(name: str, tmp_path: Path, ct_series: Path) -> None:
    first = sorted(ct_series.iterdir())[0]
    shutil.copy(first, tmp_path / name)
    assert read(tmp_path / name).source.format == "dicom"


def test_a_folder_of_foreign_formats_says_which(tmp_path: Path) -> None:
    (tmp_path / "brain.mgz").write_bytes(gzip.compress(b"\x00\x00\x00\x01" + b"\x00" * 500))
    with pytest.raises(ReadError, match="mri_convert") as refused:
        read(tmp_path)
    assert refused.value.code is ReadCode.UNSUPPORTED_FORMAT


def test_a_stack_of_ours_with_a_missing_slice_is_refused(tmp_path: Path) -> None:
    values = np.zeros((4, 5, 6), np.uint8).transpose(2, 1, 0)
    write(Scan(values, phantom.oblique((6, 5, 4), (1, 1, 1)), "MR"), tmp_path / "slices")
    (tmp_path / "slices" / "0002.png").unlink()
    with pytest.raises(ReadError, match=r"0002\.png.*missing"):
        read(tmp_path / "slices")


def test_a_listing_can_be_shown_and_stored(tmp_path: Path) -> None:
    (info,) = list_series(volume(tmp_path / "a.nii"))
    assert str(info) == "#1  OT  5 x 4 x 3 at 1 x 1 x 1 mm, 1 file, a"
    assert info.to_json()["shape"] == [5, 4, 3]


def test_links_out_of_a_folder_are_not_followed_whatever_they_lead_to(tmp_path: Path) -> None:
    outside = volume(tmp_path / "outside" / "a.nii")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x.nii").symlink_to(outside)
    with pytest.raises(ReadError) as refused:
        list_series(tmp_path / "folder")
    assert refused.value.code is ReadCode.EMPTY
    inside = volume(tmp_path / "folder" / "deep" / "b.nii")
    (tmp_path / "folder" / "y.nii").symlink_to(inside)
    assert len(list_series(tmp_path / "folder")) == 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit on memory is Linux's")
def test_what_memory_cannot_hold_is_refused_by_name(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((1000, 1000, 1000))
    header.set_data_dtype(np.float32)
    header["vox_offset"] = 352
    path = tmp_path / "a.nii"
    with path.open("wb") as file:
        file.write(header.binaryblock)
        file.truncate(352 + 4_000_000_000)  # sparse: takes no room on the disk
    code = (
        "import resource, sys; from medcolor import errors, read\n"
        "import numpy, nibabel, scipy\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "try: read(sys.argv[1], modality='MR')\n"
        "except errors.ReadError as error: print(error.code)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == ReadCode.TOO_LARGE, done.stderr
