"""Colour from a segmentation: the colour law, and the colours of labels."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest
from label_scenes import SHAPE, blobs, gray_of, oblique, scan_on, simulated

from medcolor.cielab import delta_e_2000, rgb_to_lab
from medcolor.color import restore_gray
from medcolor.color_scan import Law
from medcolor.colorizers.label_colors import complete_colors
from medcolor.colorizers.segmentation import SegmentationColorizer
from medcolor.geometry import Geometry
from medcolor.scan import MODALITIES, Scan, from_slices
from medcolor.tissue_map import Code, Segmentation
from medcolor.vision import separability

OPTIONS = [
    {},
    {"soft_edge": 0.0},
    {"soft_edge": 6.0, "bleed": 3.0},
    {"soft_edge": 0.0, "bleed": 4.0, "strength": 0.5},
    {"cvd": "deutan:0.8"},  # its optimization takes seconds
]
PAIRS = [(family, options) for family in MODALITIES for options in OPTIONS if "cvd" not in options or family == "MR"]


@pytest.mark.parametrize(("family", "options"), PAIRS)
def test_every_pixel_gives_its_gray_back(family: str, options: dict[str, float]) -> None:
    scan, labels = simulated(family)
    colored = SegmentationColorizer(labels, **options)(scan)  # type: ignore[arg-type]
    assert colored.law is Law.LIGHTNESS
    np.testing.assert_array_equal(restore_gray(colored.rgb), gray_of(scan))
    assert np.ptp(colored.rgb, axis=-1).max() > 30
    assert colored.geometry is scan.geometry


@pytest.mark.parametrize("options", OPTIONS[:4])
def test_how_a_volume_is_cut_changes_no_byte(options: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    scan = scan_on(oblique())
    colorizer = SegmentationColorizer(blobs(scan.geometry), **options)
    whole = colorizer(scan).rgb
    for voxels in (1, 3 * 14 * 11):
        monkeypatch.setattr("medcolor.colorizers.painting._BLOCK_VOXELS", voxels)
        np.testing.assert_array_equal(colorizer(scan).rgb, whole)


def test_background_is_gray_and_hard_edges_end_where_labels_end() -> None:
    scan = scan_on(oblique())
    labels = blobs(scan.geometry)
    rgb = SegmentationColorizer(labels, soft_edge=0.0)(scan).rgb
    colored = np.ptp(rgb, axis=-1) > 0
    assert not colored[labels.labels == 0].any()
    mid = (labels.labels > 0) & (gray_of(scan) > 60) & (gray_of(scan) < 200)
    assert colored[mid].all()


def test_strength_zero_and_a_map_without_labels_are_the_gray_image() -> None:
    scan = scan_on(oblique())
    empty = Segmentation(np.zeros(SHAPE, np.uint16), scan.geometry, {})
    for colorizer in (SegmentationColorizer(blobs(scan.geometry), strength=0.0), SegmentationColorizer(empty)):
        np.testing.assert_array_equal(colorizer(scan).rgb, np.repeat(gray_of(scan)[..., None], 3, axis=-1))


def test_pixels_that_are_colour_already_pass_through() -> None:
    generator = np.random.default_rng(3)
    rgb = np.repeat(generator.integers(0, 256, (*SHAPE, 1), dtype=np.uint8), 3, axis=-1)
    rgb[4:8, 2:6] = generator.integers(0, 256, (4, 4, 6, 3))
    colored = (rgb != rgb[..., :1]).any(axis=-1)
    scan = Scan(restore_gray(rgb), oblique(), "US", "gray level", rgb=rgb, colored=colored)
    out = SegmentationColorizer(blobs(scan.geometry))(scan)
    np.testing.assert_array_equal(out.rgb[colored], rgb[colored])
    np.testing.assert_array_equal(restore_gray(out.rgb)[~colored], gray_of(scan)[~colored])


def test_progress_counts_slices_and_can_cancel() -> None:
    scan, seen = scan_on(oblique()), []
    colorizer = SegmentationColorizer(blobs(scan.geometry))
    colorizer(scan, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (6, 6)

    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        colorizer(scan, progress=cancel)


def test_memory_does_not_grow_with_the_number_of_slices() -> None:
    def peak(slices: int) -> float:
        geometry = Geometry((64, 64, slices), np.eye(4))
        block = np.zeros((slices, 64, 64), np.uint16)
        block[:, 20:50, 10:40] = 2
        colorizer = SegmentationColorizer(
            Segmentation(from_slices(block), geometry, {2: "a"}), soft_edge=6.0, bleed=3.0
        )
        scan = Scan(np.zeros(geometry.shape, np.int16), geometry, "CT", "HU")
        colorizer(scan)
        tracemalloc.start()
        try:
            colored = colorizer(scan)
            return tracemalloc.get_traced_memory()[1] - colored.rgb.nbytes
        finally:
            tracemalloc.stop()

    assert peak(400) < 1.2 * peak(80)


def test_given_colours_are_kept_and_others_stay_clear_of_them_and_of_gray() -> None:
    given_colors = {2: (60.0, 40.0), 4: (-40.0, 35.0)}
    colors = complete_colors([1, 2, 3, 4, 5, 6], given_colors)
    assert {n: colors[n] for n in given_colors} == given_colors
    assert complete_colors([1, 2, 3, 4, 5, 6], given_colors) == colors
    ab = np.array([(0.0, 0.0), *colors.values()])
    smallest = min(float(separability(np.array([ab[a], ab[b]])).mean()) for a in range(len(ab)) for b in range(a))
    assert smallest > 14  # nobody takes these for one colour
    assert len({*complete_colors(range(1, 120), {}).values()}) == 119


def test_an_organ_that_a_patient_lacks_changes_no_colour_of_the_others() -> None:
    geometry = oblique()
    names = {n: f"organ {n}" for n in range(1, 8)}
    some = SegmentationColorizer(dataclasses.replace(blobs(geometry, (2, 6)), names=names))
    many = SegmentationColorizer(dataclasses.replace(blobs(geometry, (1, 2, 4, 6)), names=names))
    colors = {c.name: c.ab for c in many.palette.classes}
    assert {c.name for c in some.palette.classes} <= {"background", "organ 2", "organ 6"}
    assert all(colors[c.name] == c.ab for c in some.palette.classes if c.name in colors)


def test_the_palette_names_codes_and_tells_equal_names_apart() -> None:
    labels = dataclasses.replace(
        blobs(oblique(), (1, 2, 5)),
        names={1: "cyst", 2: "cyst", 5: "liver"},
        colors={5: (30.0, 20.0)},
        codes={5: Code("SCT", "10200004", "Liver")},
    )
    classes = SegmentationColorizer(labels).palette.classes
    assert [c.label for c in classes] == ["background", "cyst (1)", "cyst (2)", "liver"]
    assert classes[3].meaning == "Liver (SCT 10200004)"
    assert classes[3].ab == (30.0, 20.0)
    assert classes[0].ab == (0.0, 0.0)


def test_the_middle_of_an_organ_has_its_colour() -> None:
    geometry = Geometry((40, 40, 20), np.eye(4))
    block = np.zeros((20, 40, 40), np.uint16)
    block[5:15, 10:30, 10:30] = 3
    scan = Scan(np.full(geometry.shape, 128, np.uint8), geometry, "CT", "gray level")
    rgb = SegmentationColorizer(Segmentation(from_slices(block), geometry, {3: "x"}, {3: (25.0, 15.0)}))(scan).rgb
    lab = rgb_to_lab(rgb[20, 20, 10])
    assert delta_e_2000(lab, [lab[0], 25.0, 15.0]) < 0.7
    np.testing.assert_array_equal(rgb[2, 2, 2], [128, 128, 128])
