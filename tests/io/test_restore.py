"""Restore: the displayed gray comes back, every pixel of it, or there is a reason why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from medcolor import phantom
from medcolor.color import apply_color
from medcolor.color_scan import ColorScan, Law, Provenance
from medcolor.colorizers import load_colorizer
from medcolor.errors import RestoreError
from medcolor.geometry import Geometry
from medcolor.io import list_series, read, restore, restore_to, write
from medcolor.luts import list_luts
from medcolor.scan import GRAY_LEVEL, Scan, from_slices, to_slices
from medcolor.windowing import display_gray

MADE = Provenance("physics", Law.LIGHTNESS, "C 40 W 400", {"palette": "anatomical"})
NAMES = ["a.nii.gz", "a.nii", "a.nrrd", "a.mha", "a.mhd", "a.tif", "slices"]
RNG = np.random.default_rng(7)


def by_law(shape: tuple[int, int, int] = (19, 13, 5)) -> tuple[ColorScan, np.ndarray]:
    gray = RNG.integers(0, 256, shape[::-1], dtype=np.uint8)
    rgb = apply_color(gray, RNG.normal(0, 45, (*gray.shape, 2)))
    geometry = phantom.oblique(shape, (0.8, 0.9, 3.0), angles=(10, 20, 30))
    return ColorScan(from_slices(rgb), geometry, MADE, "CT"), from_slices(gray)


@pytest.mark.parametrize("name", NAMES)
def test_the_gray_of_every_format_comes_back_pixel_for_pixel(name: str, tmp_path: Path) -> None:
    image, gray = by_law()
    write(image, tmp_path / name)
    back = restore(tmp_path / name)
    assert np.count_nonzero(back.voxels != gray) == 0
    assert (back.units, back.voxels.dtype, back.modality) == (GRAY_LEVEL, np.uint8, "CT")
    assert back.geometry.matches(image.geometry)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    gray=hnp.arrays(np.uint8, st.tuples(*[st.integers(1, 6)] * 3)),
    a=st.floats(-128, 128),
    b=st.floats(-128, 128),
    name=st.sampled_from(NAMES),
)
def test_any_gray_in_any_colour_comes_back(gray: np.ndarray, a: float, b: float, name: str) -> None:
    rgb = apply_color(gray, np.broadcast_to([a, b], (*gray.shape, 2)))
    image = ColorScan(from_slices(rgb), Geometry(gray.shape[::-1], np.eye(4)), MADE, "CT")
    with TemporaryDirectory() as folder:
        write(image, Path(folder) / name)
        np.testing.assert_array_equal(to_slices(restore(Path(folder) / name).voxels), gray)


@pytest.mark.parametrize("layout", ["dicom", "dicom-multiframe"])
def test_the_gray_of_dicom_objects_comes_back(layout: str, tmp_path: Path, ct_series: Path) -> None:
    scan = read(ct_series)
    gray = display_gray(scan)
    rgb = apply_color(to_slices(gray), RNG.normal(0, 45, (*gray.shape[::-1], 2)))
    image = ColorScan.of(scan, from_slices(rgb), replace(MADE, source_digest=scan.source.digest))
    written = write(image, tmp_path / "out", format=layout)
    for path in (tmp_path / "out", *written[:1]):
        back = restore(path)
        expected = gray if path.is_dir() or layout != "dicom" else gray[:, :, :1]
        np.testing.assert_array_equal(back.voxels, expected)
    assert back.modality == "CT"


def test_a_burned_in_strip_is_no_part_of_the_gray(tmp_path: Path, ct_series: Path) -> None:
    scan = read(ct_series)
    gray = display_gray(scan)
    image = ColorScan.of(scan, np.repeat(gray[..., None], 3, axis=-1), MADE)
    write(image, tmp_path / "out", format="dicom", burn_in=True)
    assert read(tmp_path / "out").shape[1] > scan.shape[1]
    back = restore(tmp_path / "out")
    np.testing.assert_array_equal(back.voxels, gray)
    assert back.geometry.matches(scan.geometry)


def ramp_scan() -> Scan:
    block = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    return Scan(from_slices(block), Geometry((8, 8, 4), np.eye(4)), "CT", units=GRAY_LEVEL)


@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("lut", list_luts())
def test_a_colour_table_is_undone_when_it_keeps_gray_levels_apart(lut: str, strength: float, tmp_path: Path) -> None:
    colorizer = load_colorizer(f"lut:{lut}", strength=strength)
    scan = ramp_scan()
    image = colorizer(scan)
    distinct = len(np.unique(to_slices(image.rgb).reshape(-1, 3), axis=0))
    write(image, tmp_path / "a.nii.gz")
    record = (tmp_path / "a.nii.gz.json").read_text()
    if distinct == 256:
        np.testing.assert_array_equal(restore(tmp_path / "a.nii.gz").voxels, scan.voxels)
        assert '"recoverable": true' in record
    else:
        with pytest.raises(RestoreError, match="of 256 gray levels"):
            restore(tmp_path / "a.nii.gz")
        assert '"recoverable": false' in record


def test_strength_zero_is_the_displayed_gray(tmp_path: Path, ct_scan: Scan) -> None:
    gray = display_gray(ct_scan)
    for spec in ("lut:viridis", "physics"):
        image = load_colorizer(spec, strength=0.0)(ct_scan)
        (first, *_) = write(image, tmp_path / spec.replace(":", "_"), format="png")
        np.testing.assert_array_equal(np.array(Image.open(first)), np.repeat(gray[:, :, 0].T[..., None], 3, axis=-1))
        np.testing.assert_array_equal(restore(first.parent).voxels, gray)


def test_physics_colour_restores_through_files(tmp_path: Path, ct_scan: Scan) -> None:
    image = load_colorizer("physics")(ct_scan)
    for name in ("a.nii.gz", "slices"):
        write(image, tmp_path / name)
        assert np.count_nonzero(restore(tmp_path / name).voxels != display_gray(ct_scan)) == 0


def test_one_slice_of_a_stack_restores(tmp_path: Path) -> None:
    image, gray = by_law()
    paths = write(image, tmp_path / "slices")
    np.testing.assert_array_equal(restore(paths[3]).voxels, gray[:, :, 3:4])


def test_a_foreign_colour_image_is_refused_unless_the_law_is_assumed(tmp_path: Path) -> None:
    image, gray = by_law((19, 13, 1))
    Image.fromarray(to_slices(image.rgb)[0]).save(tmp_path / "a.png")
    with pytest.raises(RestoreError, match="assume"):
        restore(tmp_path / "a.png")
    np.testing.assert_array_equal(restore(tmp_path / "a.png", assume_law=True).voxels, gray)


def test_lossy_files_are_refused(tmp_path: Path) -> None:
    image, _ = by_law((19, 13, 1))
    Image.fromarray(to_slices(image.rgb)[0]).save(tmp_path / "a.jpg")
    for assume in (False, True):
        with pytest.raises(RestoreError, match="JPEG"):
            restore(tmp_path / "a.jpg", assume_law=assume)


def test_changed_files_are_noticed(tmp_path: Path) -> None:
    image, _ = by_law()
    paths = write(image, tmp_path / "slices")
    with Image.open(paths[2]) as opened:
        text = opened.text
        pixels = 255 - np.array(opened)
    Image.fromarray(pixels).save(paths[2])
    assert text
    with pytest.raises(RestoreError, match=r"0003\.png was changed"):
        restore(tmp_path / "slices")


@pytest.mark.parametrize("name", ["a.nii", "a.mha", "a.mhd"])
def test_a_changed_byte_of_pixels_is_noticed_wherever_they_are(name: str, tmp_path: Path) -> None:
    image, _ = by_law()
    pixels = write(image, tmp_path / name)[-1]
    raw = bytearray(pixels.read_bytes())
    raw[-1] ^= 1
    pixels.write_bytes(raw)
    with pytest.raises(RestoreError, match=f"{pixels.name} was changed"):
        restore(tmp_path / name)


def test_a_changed_slice_is_noticed_when_it_is_restored_alone(tmp_path: Path) -> None:
    image, _ = by_law()
    paths = write(image, tmp_path / "slices")
    with Image.open(paths[2]) as opened:
        text, pixels = PngInfo(), 255 - np.array(opened)
        text.add_text("medcolor", opened.text["medcolor"])
    Image.fromarray(pixels).save(paths[2], pnginfo=text)
    with pytest.raises(RestoreError, match=r"0003\.png was changed"):
        restore(paths[2])


def test_a_table_output_with_pixels_that_passed_through_says_so(tmp_path: Path) -> None:
    table = load_colorizer("lut:inferno")
    image = table(ramp_scan())
    rgb = image.rgb.copy()
    rgb[0, 0, 0] = (1, 2, 3)
    made = replace(image.provenance, passed_through=1)
    write(replace(image, rgb=rgb, provenance=made), tmp_path / "a.nii")
    with pytest.raises(RestoreError, match="colour already"):
        restore(tmp_path / "a.nii")


def test_a_gray_file_is_no_coloured_image(tmp_path: Path, letter: Scan) -> None:
    write(letter, tmp_path / "a.nii")
    with pytest.raises(RestoreError):
        restore(tmp_path / "a.nii")
    with pytest.raises(RestoreError, match="no coloured image"):
        restore(tmp_path / "a.nii", assume_law=True)
    with pytest.raises(FileNotFoundError):
        restore(tmp_path / "missing.nii")


@pytest.mark.parametrize(
    ("output", "first"), [("gray", "0001.png"), ("gray.nii.gz", "gray.nii.gz"), ("g.tif", "g.tif")]
)
def test_the_restored_gray_is_written(output: str, first: str, tmp_path: Path) -> None:
    image, gray = by_law()
    write(image, tmp_path / "a.nii.gz")
    written = restore_to(tmp_path / "a.nii.gz", tmp_path / output)
    assert written[0].name == first
    np.testing.assert_array_equal(read(tmp_path / output).voxels, gray)
    assert list_series(tmp_path / output)[0].modality == "CT"


@pytest.mark.data
@pytest.mark.parametrize("series", ["ct_abdomen", "mr_t1_thigh", "pet_wholebody"])
def test_real_series_restore_from_dicom_nifti_and_png(series: str, data_folder: Path, tmp_path: Path) -> None:
    scan = read(data_folder / "dicom" / series)
    image, gray = load_colorizer("physics")(scan), display_gray(scan)
    for name, form in (("dicom", "dicom"), ("a.nii.gz", None), ("png", "png")):
        write(image, tmp_path / name, format=form)
        assert np.count_nonzero(restore(tmp_path / name).voxels != gray) == 0
