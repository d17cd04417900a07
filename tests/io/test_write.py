"""Writing: whole or not at all, never over something, always the same bytes, always with its provenance."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medcolor import phantom
from medcolor.color_scan import ColorScan, Law, Provenance
from medcolor.errors import GeometryError, OutputExistsError, WriteError
from medcolor.geometry import Geometry
from medcolor.io import FILE_SUFFIXES, FORMATS, read, write
from medcolor.io.atomic import atomic_files, os_error
from medcolor.scan import Finding, KAxis, Scan, Severity, Source

GEOMETRY = Geometry((7, 6, 4), np.diag([-0.8, -0.9, 2.5, 1]))
MADE = Provenance("physics", Law.LIGHTNESS, "C 40 W 400", {"palette": "anatomical"}, source_digest="d" * 64)
IMAGE = ColorScan(phantom.letter_rgb(GEOMETRY.shape), GEOMETRY, MADE, "CT")
NAMES = ["a.nii.gz", "a.nii", "a.nrrd", "a.mha", "a.mhd", "a.tif", "slices"]


def tree(folder: Path) -> dict[str, str]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def sidecar(written: list[Path]) -> Path:
    beside = written[0].with_name(f"{written[0].name}.json")
    return beside if beside.exists() else written[0].parent / "provenance.json"


@pytest.mark.parametrize("name", NAMES)
def test_equal_input_gives_equal_bytes(name: str, tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    write(IMAGE, first / name)
    os.utime(first, (0, 0))
    write(IMAGE, second / name)
    assert tree(first) == tree(second)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("name", NAMES)
def test_another_process_in_another_time_zone_writes_the_same_bytes(name: str, tmp_path: Path) -> None:
    write(IMAGE, tmp_path / "here" / name)
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); from tests.io.test_write import IMAGE;"
        "from medcolor.io import write; write(IMAGE, sys.argv[1])"
    )
    root = str(Path(__file__).parents[2])
    there = tmp_path / "there" / name
    subprocess.run([sys.executable, "-c", code, there, root], check=True, env=os.environ | {"TZ": "Asia/Tokyo"})
    assert tree(tmp_path / "here") == tree(tmp_path / "there")


@pytest.mark.parametrize("name", NAMES)
def test_the_provenance_beside_an_output_says_what_restores_it(name: str, tmp_path: Path) -> None:
    written = write(IMAGE, tmp_path / "secret patient" / name)
    text = sidecar(written).read_text("ascii")
    record = json.loads(text)
    assert record["kind"] == "color"
    assert "NOT DIAGNOSTIC" in record["statement"]
    assert Provenance.from_json(record["provenance"]).digest == MADE.digest == record["provenance_sha256"]
    assert record["gray"]["recoverable"] is True
    assert record["files"] == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in written}
    assert "secret" not in text
    assert list(record) == sorted(record)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_there_is_not_overwritten_without_force(name: str, tmp_path: Path) -> None:
    write(IMAGE, tmp_path / name)
    before = tree(tmp_path)
    with pytest.raises(OutputExistsError, match="--force"):
        write(IMAGE, tmp_path / name)
    assert tree(tmp_path) == before
    changed = replace(IMAGE, rgb=255 - IMAGE.rgb)
    write(changed, tmp_path / name, force=True)
    np.testing.assert_array_equal(read(tmp_path / name).rgb, changed.rgb)


@pytest.mark.parametrize("name", ["provenance.json", "0003.png"])
def test_everything_is_checked_before_anything_is_written(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputExistsError):
        write(IMAGE, tmp_path, format="png")
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_shorter_stack_leaves_no_slice_of_the_longer_one(tmp_path: Path) -> None:
    write(IMAGE, tmp_path / "slices")
    (tmp_path / "slices" / "mine.png").write_text("not ours")
    short = ColorScan(IMAGE.rgb[:, :, :2], replace(GEOMETRY, shape=(7, 6, 2)), MADE, "CT")
    write(short, tmp_path / "slices", force=True)
    assert sorted(tree(tmp_path / "slices")) == ["0001.png", "0002.png", "mine.png", "provenance.json"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the file size limit is POSIX")
@pytest.mark.parametrize("name", NAMES)
def test_a_disk_that_fills_up_leaves_nothing(name: str, tmp_path: Path) -> None:
    """A real limit of the system: no file may grow beyond 8 kB."""
    big = Geometry((128, 96, 3), np.eye(4))
    noise = np.random.default_rng(0).integers(0, 256, (*big.shape, 3), dtype=np.uint8)
    np.save(tmp_path / "noise.npy", noise)
    code = (
        "import resource, signal, sys, numpy as np;"
        "from medcolor.io import write; from medcolor import ColorScan, Geometry, Provenance, errors;"
        "import PIL.Image, tifffile, nibabel;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "image = ColorScan(np.load(sys.argv[2]), Geometry((128, 96, 3), np.eye(4)),"
        " Provenance('physics', 'lightness', 'w'), 'CT');"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192));\n"
        "try: write(image, sys.argv[1])\n"
        "except errors.WriteError as error: print(type(error).__name__, error)"
    )
    out = tmp_path / "new" / "folder" / name
    done = subprocess.run(
        [sys.executable, "-c", code, out, tmp_path / "noise.npy"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("WriteError"), done.stdout + done.stderr
    assert sorted(tree(tmp_path)) == ["noise.npy"]
    assert not (tmp_path / "new").exists()


def _write_and_fail(path: Path, error: Exception) -> None:
    with atomic_files([path], force=True) as files:
        with files.open(path) as stream:
            stream.write(b"half")
        raise error


def test_no_space_is_named_even_when_a_library_wraps_it(tmp_path: Path) -> None:
    inner = OSError(errno.ENOSPC, "No space left on device")
    wrapped = OSError("could not write the data set")
    wrapped.__cause__ = inner
    assert os_error(wrapped) is inner
    with pytest.raises(WriteError, match="no space is left") as failed:
        _write_and_fail(tmp_path / "x", wrapped)
    assert failed.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_an_old_output_survives_a_failed_overwrite(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    with pytest.raises(ZeroDivisionError):
        _write_and_fail(tmp_path / "x", ZeroDivisionError())
    assert tree(tmp_path) == {"x": hashlib.sha256(b"old").hexdigest()}


def test_a_killed_run_leaves_nothing_that_looks_like_an_output_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from medcolor.io.atomic import atomic_files\n"
        "target = Path(sys.argv[1])\n"
        "with atomic_files([target]) as files:\n"
        "    with files.open(target) as stream:\n"
        "        stream.write(b'half'); stream.flush(); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "0001.png"], check=False)
    (orphan,) = tmp_path.iterdir()
    assert orphan.name.startswith("0001.png.")
    assert orphan.suffix == ".part"
    (tmp_path / "mine.part").write_text("somebody else's")
    (tmp_path / "0002.png.otherhost.1.part").write_text("another machine's")
    write(IMAGE, tmp_path, format="png")
    assert not orphan.exists()
    assert sorted(p.name for p in tmp_path.glob("*.part")) == ["0002.png.otherhost.1.part", "mine.part"]


def test_a_file_in_the_way_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="in the way"):
        write(IMAGE, tmp_path / "file" / "a.nii.gz")


def _write_and_lose_the_folder(target: Path) -> None:
    with atomic_files([target]) as files:
        with files.open(target) as stream:
            stream.write(b"half")
        target.parent.rename(target.parent.with_name("elsewhere"))
        target.parent.touch()


def test_a_folder_lost_while_writing_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="in the way"):
        _write_and_lose_the_folder(tmp_path / "out" / "x")


IRREGULAR = replace(IMAGE, audit=(Finding("gap", "two slices are missing", Severity.IRREGULAR),))


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha", "a.mhd"])
def test_uneven_slices_are_refused_by_volume_formats(name: str, tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="png or dicom"):
        write(IRREGULAR, tmp_path / "new" / name)
    assert list(tmp_path.iterdir()) == []


def test_uneven_slices_are_written_as_pixels_without_a_position(tmp_path: Path) -> None:
    write(IRREGULAR, tmp_path / "slices")
    back = read(tmp_path / "slices")
    assert back.irregular
    np.testing.assert_array_equal(back.rgb, IMAGE.rgb)


@pytest.mark.parametrize("k_axis", [KAxis.TIME, KAxis.VIEW])
def test_a_third_axis_that_is_not_space_is_never_called_space(k_axis: KAxis, tmp_path: Path) -> None:
    moving = replace(IMAGE, k_axis=k_axis)
    for name in ("a.nrrd", "a.mha"):
        with pytest.raises(GeometryError, match=str(k_axis)):
            write(moving, tmp_path / name)
    for name in ("a.nii.gz", "a.tif", "slices"):
        write(moving, tmp_path / name)
        back = read(tmp_path / name)
        assert back.k_axis is k_axis
        np.testing.assert_array_equal(back.rgb, IMAGE.rgb)
    import nibabel

    assert nibabel.load(tmp_path / "a.nii.gz").shape == (7, 6, 1, 4)


def test_png_holds_pixels_only_and_says_what_they_are(tmp_path: Path) -> None:
    write(IMAGE, tmp_path / "slices")
    assert sorted(p.name for p in (tmp_path / "slices").iterdir()) == [
        "0001.png", "0002.png", "0003.png", "0004.png", "provenance.json",
    ]  # fmt: skip
    with Image.open(tmp_path / "slices" / "0002.png") as image:
        assert image.size == (7, 6)
        assert image.info["srgb"] == 0
        assert image.info["Software"].startswith("medcolor ")
        assert "NOT DIAGNOSTIC" in image.info["Comment"]
        assert json.loads(image.info["medcolor"])["slice"] == 1


def test_tiff_holds_pages_and_no_date(tmp_path: Path) -> None:
    import tifffile

    (path,) = write(IMAGE, tmp_path / "a.tif")
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 4
        assert all("DateTime" not in page.tags for page in file.pages)
        assert "AI-COLOR" in file.pages[0].description
    np.testing.assert_array_equal(tifffile.imread(path), IMAGE.rgb.transpose(2, 1, 0, 3))


BAD: list[tuple[str, Callable[[Path], Any], type[Exception], str]] = [
    ("unknown format", lambda p: write(IMAGE, p / "x", format="jpeg2000"), WriteError, "Available"),
    ("wrong ending", lambda p: write(IMAGE, p / "x.png", format="nifti"), WriteError, "nii.gz"),
    ("jpeg", lambda p: write(IMAGE, p / "x.jpg"), WriteError, "ending"),
    ("many slices in one png", lambda p: write(IMAGE, p / "x.png"), WriteError, "folder"),
    ("a number", lambda p: write(3, p / "x.nii"), TypeError, "ColorScan"),  # type: ignore[arg-type]
    (
        "half precision",
        lambda p: write(Scan(np.zeros((7, 6, 4), np.float16), GEOMETRY), p / "x.nii"),
        WriteError,
        "float32",
    ),
    ("hu in png", lambda p: write(phantom.letter(), p / "x"), WriteError, "Window them"),
    ("gray dicom", lambda p: write(phantom.letter(), p / "x", format="dicom"), WriteError, "coloured"),
    ("dicom option", lambda p: write(IMAGE, p / "x.nii", burn_in=True), TypeError, "burn_in"),
]


@pytest.mark.parametrize(("call", "kind", "match"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_what_cannot_be_written_is_refused_with_what_can(
    call: Callable[[Path], Any], kind: type[Exception], match: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=match):
        call(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_format_follows_the_name_and_then_the_source(tmp_path: Path) -> None:
    assert set(FORMATS) >= {"dicom", "dicom-multiframe", "nifti", "nrrd", "mha", "png", "tiff"}
    assert ".nii.gz" in FILE_SUFFIXES
    assert write(IMAGE, tmp_path / "folder")[0].suffix == ".png"
    phantom.write_dicom(phantom.letter(), tmp_path / "source")
    scan = read(tmp_path / "source")
    colored = ColorScan.of(scan, phantom.letter_rgb(scan.shape), MADE)
    written = write(colored, tmp_path / "dicom")
    assert {p.suffix for p in written} == {".dcm"}
    record = json.loads((tmp_path / "dicom" / "provenance.json").read_text())
    assert set(record["files"]) == {p.name for p in written}
    with pytest.raises(OutputExistsError):
        write(colored, tmp_path / "dicom")


def test_a_gray_scan_of_16_bit_is_written_as_png(tmp_path: Path) -> None:
    values = np.arange(7 * 6 * 4, dtype=np.uint16).reshape(4, 6, 7) * np.uint16(300)
    scan = Scan(values.transpose(2, 1, 0), GEOMETRY, "CR", source=Source())
    write(scan, tmp_path / "slices")
    back = read(tmp_path / "slices")
    np.testing.assert_array_equal(back.voxels, scan.voxels)
    assert back.modality == "CR"
