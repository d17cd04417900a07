"""Colour from a segmentation: the colour law, edges in millimetres, and labels at the right place."""

from __future__ import annotations

import dataclasses
import tracemalloc
import warnings
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from medcolor import load_colorizer, phantom, read, read_segmentation, write
from medcolor.cielab import delta_e_2000, rgb_to_lab
from medcolor.cli import run
from medcolor.color import restore_gray
from medcolor.color_scan import Law
from medcolor.colorizers import list_colorizers
from medcolor.colorizers.label_colors import complete_colors
from medcolor.colorizers.label_edges import SoftEdges, bled
from medcolor.colorizers.label_grid import place
from medcolor.colorizers.segmentation import SegmentationColorizer
from medcolor.errors import GeometryError, MedcolorWarning, ReadError
from medcolor.geometry import Geometry, Space
from medcolor.scan import MODALITIES, Finding, KAxis, Scan, Severity, Source, from_slices, to_slices
from medcolor.tissue_map import Code, Segmentation
from medcolor.vision import separability
from medcolor.windowing import display_gray

SHAPE = (14, 11, 6)


def oblique(shape: tuple[int, int, int] = SHAPE, spacing: tuple[float, float, float] = (0.9, 1.3, 2.5)) -> Geometry:
    a, b = 0.4, -0.7
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ tilt @ np.diag(spacing)
    affine[:3, 3] = (31.0, -12.5, 7.25)
    return Geometry(shape, affine)


def scan_on(geometry: Geometry, **changes: object) -> Scan:
    ni, nj, nk = geometry.shape
    voxels = np.random.default_rng(1).integers(-200, 300, (nk, nj, ni)).astype(np.int16)
    return Scan(from_slices(voxels), geometry, "CT", "HU", **changes)  # type: ignore[arg-type]


def blobs(geometry: Geometry, labels: tuple[int, ...] = (1, 2, 5)) -> Segmentation:
    ni, nj, nk = geometry.shape
    block = np.zeros((nk, nj, ni), np.uint16)
    for n, label in enumerate(labels):
        generator = np.random.default_rng(n)
        lows = [int(generator.integers(0, max(1, side // 2))) for side in block.shape]
        block[tuple(slice(low, low + max(1, side // 2)) for low, side in zip(lows, block.shape, strict=True))] = label
    return Segmentation(from_slices(block), geometry, {label: f"label {label}" for label in labels})


def gray_of(scan: Scan) -> np.ndarray:
    return display_gray(scan)


@cache
def simulated(family: str) -> tuple[Scan, Segmentation]:
    scan = phantom.scan(family)
    labels = phantom.labels(family)
    part = (slice(None, None, 2), slice(None, None, 2), slice(0, 2))  # every second pixel of two slices: quick to check
    geometry = Geometry(scan.voxels[part].shape, scan.geometry.affine @ np.diag([2.0, 2, 1, 1]), scan.geometry.space)
    small = dataclasses.replace(scan, voxels=scan.voxels[part], geometry=geometry, padding=None)
    return small, Segmentation(labels.labels[part], geometry, labels.names)


# -- the law --------------------------------------------------------------------------------------------

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


# -- edges ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.4, 3.0)])
@pytest.mark.parametrize("soft_edge", [1.5, 6.0])
def test_posteriors_are_gaussian_smoothed_masks_in_millimetres(
    spacing: tuple[float, float, float], soft_edge: float
) -> None:
    labels = to_slices(blobs(oblique((30, 24, 16))).labels)
    edges = SoftEdges(lambda k: labels[k], (30, 24, 16), spacing, soft_edge)
    sigma = np.array([spacing[2], spacing[1], spacing[0]]) ** -1.0 * soft_edge / 2
    inside = ndimage.gaussian_filter(np.ones(labels.shape), sigma, mode="constant", truncate=3.0)
    for k in (0, 7, 15):
        classes, found = edges.posteriors(k)
        assert classes[0] == 0
        for c, weights in zip(classes, found, strict=True):
            smooth = ndimage.gaussian_filter((labels == c).astype(float), sigma, mode="constant", truncate=3.0)
            # scipy cuts the kernel at a rounded radius, we at the last whole voxel within three sigma
            np.testing.assert_allclose(weights / found.sum(axis=0), (smooth / inside)[k], atol=0.012)


def test_edges_do_not_fade_where_the_image_ends() -> None:
    full = np.ones((5, 8, 9), np.uint16)
    edges = SoftEdges(lambda k: full[k], (9, 8, 5), (1.0, 1.0, 1.0), 4.0)
    classes, found = edges.posteriors(0)
    assert classes == [0, 1]
    np.testing.assert_allclose(found[0], 0, atol=1e-6)
    assert found[1].min() > 0.1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.3, 6.0), st.tuples(*[st.sampled_from([0.5, 0.8, 1.0, 2.5])] * 3))
def test_bleed_takes_the_nearest_label_within_reach(seed: int, bleed: float, spacing: tuple[float, ...]) -> None:
    generator = np.random.default_rng(seed)
    block = np.where(generator.random((4, 7, 9)) < 0.05, generator.integers(1, 4, (4, 7, 9)), 0).astype(np.uint16)
    grown = bled(lambda k: block[k], 4, spacing, bleed)  # type: ignore[arg-type]
    found = np.stack([grown(k) for k in range(4)])
    distances = np.stack(
        [
            ndimage.distance_transform_edt(block != label, sampling=spacing[::-1])
            if (block == label).any()
            else np.full(block.shape, np.inf)
            for label in (1, 2, 3)
        ]
    )
    nearest = distances.min(axis=0)
    sure = np.abs(nearest - bleed) > 1e-3
    assert (found[sure & (nearest > bleed)] == 0).all()
    assert (found[sure & (nearest < bleed)] > 0).all()
    own = np.take_along_axis(distances, np.maximum(found.astype(int) - 1, 0)[None], axis=0)[0]
    np.testing.assert_allclose(own[found > 0], nearest[found > 0], atol=1e-3)
    np.testing.assert_array_equal(found[block > 0], block[block > 0])


def test_time_is_no_neighbour() -> None:
    geometry = oblique()
    block = np.zeros((6, 11, 14), np.uint16)
    block[2] = 1
    labels = Segmentation(from_slices(block), geometry, {1: "a"})
    still = SegmentationColorizer(labels, soft_edge=12.0, bleed=5.0)
    scan = scan_on(geometry, k_axis=KAxis.TIME)
    colored = np.ptp(still(scan).rgb, axis=-1) > 0
    assert colored[:, :, 2].any()
    assert not colored[:, :, [0, 1, 3, 4, 5]].any()
    assert (np.ptp(still(scan_on(geometry)).rgb, axis=-1) > 0)[:, :, [1, 3]].any()


@pytest.mark.parametrize("options", [{"soft_edge": -1}, {"bleed": -0.1}, {"bleed": float("nan")}, {"soft_edge": 51},
                                     {"soft_edge": float("inf")}, {"strength": 1.1}])  # fmt: skip
def test_impossible_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"mm|strength"):
        SegmentationColorizer(blobs(oblique()), **options)


# -- place ----------------------------------------------------------------------------------------------


def moved(labels: Segmentation, axes: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Segmentation:
    """Store the same voxels along other axes; the world stays."""
    array, affine = labels.labels, labels.geometry.affine
    order = np.eye(4)[:, [*axes, 3]]
    array, affine = array.transpose(axes), affine @ order
    for axis, flip in enumerate(flips):
        if flip:
            turn = np.eye(4)
            turn[axis, axis], turn[axis, 3] = -1, array.shape[axis] - 1
            array, affine = np.flip(array, axis), affine @ turn
    return Segmentation(np.ascontiguousarray(array), Geometry(array.shape, affine), labels.names)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (2, 1, 0)])
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, False), (True, True, True)])
def test_axes_in_another_order_give_the_same_colours_and_it_is_said(
    axes: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    scan = scan_on(oblique())
    labels = blobs(scan.geometry)
    expected = SegmentationColorizer(labels)(scan)
    other = moved(labels, axes, flips)
    found = SegmentationColorizer(other)(scan)
    np.testing.assert_array_equal(found.rgb, expected.rgb)
    same = axes == (0, 1, 2) and not any(flips)
    assert [f.code for f in found.audit] == ([] if same else ["labels-reordered"])


def test_a_part_of_the_scan_is_coloured_where_it_is() -> None:
    scan = scan_on(oblique())
    labels = blobs(scan.geometry)
    affine = scan.geometry.affine.copy()
    affine[:3, 3] = scan.geometry.index_to_world((3, 2, 1))
    part = Segmentation(labels.labels[3:10, 2:9, 1:5], Geometry((7, 7, 4), affine), labels.names)
    placed = place(part, scan)
    expected = np.zeros(SHAPE, np.uint16)
    expected[3:10, 2:9, 1:5] = labels.labels[3:10, 2:9, 1:5]
    np.testing.assert_array_equal(np.stack([placed.slice_of(k) for k in range(6)]), to_slices(expected))
    assert placed.findings[0].severity is Severity.NOTE


def test_another_grid_is_resampled_to_the_nearest_voxel_and_said_aloud() -> None:
    scan = scan_on(oblique((12, 10, 8), (1.1, 0.8, 2.0)))
    grid = Geometry((20, 18, 16), np.array([[-1.0, 0, 0, 41], [0, 1.2, 0.1, -16], [0, 0, 1.4, 0], [0, 0, 0, 1]]))
    labels = np.random.default_rng(4).integers(0, 4, grid.shape).astype(np.uint16)
    segmentation = Segmentation(labels, grid, {1: "a", 2: "b", 3: "c"})
    placed = place(segmentation, scan)
    found = from_slices(np.stack([placed.slice_of(k) for k in range(8)]))
    index = np.stack(np.meshgrid(*[np.arange(n) for n in scan.shape], indexing="ij"), axis=-1)
    place_there = grid.world_to_index(scan.geometry.index_to_world(index))
    nearest = np.rint(place_there).astype(int)
    inside = ((nearest >= 0) & (nearest < grid.shape)).all(axis=-1)
    clipped = np.clip(nearest, 0, np.array(grid.shape) - 1)
    expected = np.where(inside, labels[tuple(np.moveaxis(clipped, -1, 0))], 0)
    undecided = (np.abs(np.abs(place_there - nearest) - 0.5) < 1e-4).any(axis=-1)
    np.testing.assert_array_equal(found[~undecided], expected[~undecided])
    assert inside.any()
    assert not inside.all()
    with pytest.warns(MedcolorWarning, match="resampled"):
        colored = SegmentationColorizer(segmentation)(scan)
    assert [f.code for f in colored.audit] == ["labels-resampled"]
    np.testing.assert_array_equal(restore_gray(colored.rgb), gray_of(scan))


def header(uid: str) -> SimpleNamespace:
    return SimpleNamespace(get=lambda keyword, default=None: {"FrameOfReferenceUID": uid}.get(keyword, default))


def test_another_frame_of_reference_is_refused_and_an_unknown_one_is_not() -> None:
    geometry = oblique()
    scan = scan_on(geometry, source=Source("dicom", headers=(header("1.2.3"),)))
    labels = blobs(geometry)
    for uid in ("", "1.2.3"):
        assert place(dataclasses.replace(labels, frame_of_reference=uid), scan).findings == ()
    with pytest.raises(GeometryError, match="frames of reference") as caught:
        place(dataclasses.replace(labels, frame_of_reference="1.2.99"), scan)
    assert "1.2.99" not in str(caught.value)


def test_labels_that_cannot_be_brought_to_the_scan_are_refused() -> None:
    geometry = oblique()
    far = geometry.affine.copy()
    far[:3, 3] += 500
    thin = oblique((14, 11, 12), (0.9, 1.3, 1.25))
    gap = (Finding("gap", "x", Severity.IRREGULAR),)
    flat = Geometry.from_spacing(SHAPE, (1, 1, 1), Space.PIXEL)
    small = Geometry.from_spacing((7, 11, 6), (1, 1, 1), Space.PIXEL)
    cases = [
        (blobs(Geometry(SHAPE, far)), scan_on(geometry), "No label is within the scan"),
        (blobs(thin), scan_on(geometry, audit=gap), "not evenly spaced"),
        (blobs(thin), scan_on(geometry, k_axis=KAxis.TIME), "not evenly spaced"),
        (blobs(flat), scan_on(geometry), "without a position"),
        (blobs(small), scan_on(flat), "without a position"),
    ]
    for labels, scan, why in cases:
        with pytest.raises(GeometryError, match=why):
            SegmentationColorizer(labels)(scan)
    assert place(blobs(flat), scan_on(flat)).findings == ()
    assert place(blobs(geometry), scan_on(geometry, audit=gap)).findings == ()


def test_a_header_in_single_precision_is_the_same_grid() -> None:
    scan = scan_on(oblique())
    rounded = Geometry(SHAPE, scan.geometry.affine.astype(np.float32))
    assert place(blobs(rounded), scan).findings == ()


# -- colours and names ----------------------------------------------------------------------------------


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


# -- how it is asked for --------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    scan = phantom.scan("CT", shape=(48, 40, 4))
    phantom.write_dicom(scan, tmp_path / "ct")
    write(phantom.labels("CT", shape=(48, 40, 4)), tmp_path / "labels.nii.gz")
    return tmp_path / "ct", tmp_path / "labels.nii.gz"


def test_load_colorizer_makes_one_from_a_path_and_keeps_the_path_to_itself(files: tuple[Path, Path]) -> None:
    folder, labels = files
    colorizer = load_colorizer(f"seg:{labels}", soft_edge=1.0, bleed=2.0, strength=0.8)
    colored = colorizer(read(folder))
    record = colored.provenance.dumps()
    assert str(labels.parent) not in record
    assert "labels.nii" not in record
    assert colored.provenance.colorizer == colorizer.name == "seg"
    assert colored.provenance.options["labels_sha256"] == read_segmentation(labels).sha256
    assert colored.provenance.options["soft_edge_mm"] == 1.0
    again = load_colorizer(f"seg:{labels}", soft_edge=1.0, bleed=2.0, strength=0.8)(read(folder))
    assert again.provenance.digest == colored.provenance.digest
    np.testing.assert_array_equal(again.rgb, colored.rgb)


def test_a_table_is_given_as_the_palette(files: tuple[Path, Path], tmp_path: Path) -> None:
    table = tmp_path / "t.txt"
    table.write_text('1 255 0 0 1 1 1 "around"\n')
    palette = load_colorizer(f"seg:{files[1]}", palette=str(table)).palette_for(read(files[0]))
    assert palette is not None
    assert palette.names[:2] == ("background", "around")


def test_the_registry_lists_the_family_and_refuses_what_does_not_belong(files: tuple[Path, Path]) -> None:
    listed = [info for info in list_colorizers() if info.pattern]
    assert [info.name for info in listed] == ["seg:PATH"]
    with pytest.raises(FileNotFoundError):
        load_colorizer("seg:no_such_file.nii.gz")
    with pytest.raises(ReadError, match="no DICOM segmentation"):
        load_colorizer(f"seg:{files[0]}")
    for spec in ("physics", "lut:hot_iron"):
        with pytest.raises(ValueError, match="seg:PATH"):
            load_colorizer(spec, soft_edge=1.0)


def test_nothing_is_warned_about_where_the_grids_are_the_same(files: tuple[Path, Path]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", MedcolorWarning)
        colored = load_colorizer(f"seg:{files[1]}")(read(files[0]))
    assert all(not f.code.startswith("labels-resampled") for f in colored.audit)


# -- on the command line and in the report --------------------------------------------------------------


def test_the_command_line_colours_and_the_report_shows_names_and_volumes(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, labels = files
    table, page, out = tmp_path / "t.txt", tmp_path / "page.html", tmp_path / "out"
    table.write_text('6 200 80 60 1 1 1 "muscle & co"\n')
    arguments = ["colorize", folder, "-o", out, "--to", "png", "--colorizer", f"seg:{labels}", "--palette", table]
    assert run([str(a) for a in [*arguments, "--soft-edge", 1.5, "--bleed", 1, "--report", page]]) == 0
    text = page.read_text()
    segmentation = read_segmentation(labels)
    assert "muscle &amp; co" in text
    assert "volume of the label map" in text
    assert f"{segmentation.volume_ml(6):.0f} ml" in text
    assert "0 of 7680 pixels differ" in text
    assert str(tmp_path) not in text
    assert str(tmp_path) not in (out / "provenance.json").read_text()
    gray = read(folder)
    for path in sorted(out.glob("*.png")):
        assert read(path, modality="CT").shape == (48, 40, 1)
    np.testing.assert_array_equal(
        restore_gray(to_slices(load_colorizer(f"seg:{labels}")(gray).rgb)), to_slices(gray_of(gray))
    )
    capsys.readouterr()


def test_the_command_line_says_that_labels_were_resampled_and_refuses_without_a_trace(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = files
    scan = read(folder)
    half = Geometry((24, 20, 4), scan.geometry.affine @ np.diag([2.0, 2, 1, 1]))
    write(blobs(half), tmp_path / "half.nii.gz")
    out = tmp_path / "out"
    assert run(["colorize", str(folder), "-o", str(out), "--colorizer", f"seg:{tmp_path / 'half.nii.gz'}"]) == 0
    assert "resampled to the nearest voxel" in capsys.readouterr().err
    for spec, message in ((f"seg:{tmp_path / 'no.nii'}", "no such file"), (f"seg:{folder}", "no DICOM segmentation")):
        assert run(["colorize", str(folder), "-o", str(tmp_path / "none"), "--colorizer", spec]) in (1, 2)
        assert message in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_legend_counts_voxels_where_there_are_no_millimetres() -> None:
    flat = Geometry.from_spacing(SHAPE, (1, 1, 1), Space.PIXEL)
    labels = blobs(flat)
    legend = SegmentationColorizer(labels).legend_for(scan_on(flat))
    assert legend.measure == "size of the label map"
    assert [row.amount for row in legend.rows] == [f"{count} voxels" for count in labels.counts.values()]
    assert max(row.share for row in legend.rows) == 1.0


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_a_dicom_seg_colours_its_series_and_no_other(tmp_path: Path) -> None:
    hd = pytest.importorskip("highdicom", reason="highdicom is not installed: it is in the extra medcolor[batch]")
    import pydicom
    from highdicom.sr.coding import CodedConcept

    phantom.write_dicom(phantom.scan("CT", shape=(48, 40, 4)), tmp_path / "ct")
    scan = read(tmp_path / "ct")
    labels = to_slices(phantom.labels("CT", shape=(48, 40, 4)).labels)
    mask = np.isin(labels, [6]).astype(np.uint8)
    mask[0] = 0  # its frame is left out
    description = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="muscle",
        segmented_property_category=CodedConcept("85756007", "SCT", "Tissue"),
        segmented_property_type=CodedConcept("91727004", "SCT", "Skeletal muscle"),
        algorithm_type="MANUAL",
    )
    seg = hd.seg.Segmentation(
        source_images=[pydicom.dcmread(path) for path in scan.source.paths],
        pixel_array=mask,
        segmentation_type="BINARY",
        segment_descriptions=[description],
        series_instance_uid="1.2.3.8",
        series_number=9,
        sop_instance_uid="1.2.3.9",
        instance_number=1,
        manufacturer="m",
        manufacturer_model_name="m",
        software_versions="1",
        device_serial_number="1",
    )
    seg.save_as(tmp_path / "seg.dcm")
    colorizer = load_colorizer(f"seg:{tmp_path / 'seg.dcm'}", soft_edge=0.0)
    colored = colorizer(scan)
    gray = to_slices(gray_of(scan))
    shown = (np.ptp(to_slices(colored.rgb), axis=-1) > 0)[(gray > 60) & (gray < 200)]
    np.testing.assert_array_equal(shown, (mask > 0)[(gray > 60) & (gray < 200)])
    assert [f.code for f in colored.audit if f.code.startswith("labels")] == ["labels-reordered"]
    legend = colorizer.legend_for(scan)
    assert legend is not None
    assert legend.rows[0].entry.meaning == "Skeletal muscle (SCT 91727004)"
    seg.FrameOfReferenceUID = "1.2.3.99"
    seg.save_as(tmp_path / "other.dcm")
    with pytest.raises(GeometryError, match="frames of reference"):
        load_colorizer(f"seg:{tmp_path / 'other.dcm'}")(scan)
