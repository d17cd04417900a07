"""A session shows what the colorizer would give, at every moment, in every look, and gives the same bytes back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_examples import random_bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from label_scenes import simulated

from medcolor import phantom
from medcolor.bundle_files import TISSUE
from medcolor.color import restore_gray
from medcolor.color_scan import Law
from medcolor.colorizers import Colorizer, list_colorizers, load_colorizer
from medcolor.colorizers.segmentation import SegmentationColorizer
from medcolor.errors import ModalityError, PaletteError, SettingError
from medcolor.palettes import load_palette
from medcolor.scan import MODALITIES, Scan, from_slices, to_slices
from medcolor.viewing.session import ColoringSession, Step
from medcolor.voi import Window
from medcolor.windowing import display_gray

SHAPES = {"CT": (112, 96, 5), "MR": (96, 112, 4), "PT": (72, 128, 6), "NM": (96, 320, 2), "US": (120, 100, 1)}
LISTED = [info for info in list_colorizers() if not info.pattern]
TABLES = [info.name for info in LISTED if info.law is Law.LUT]
FAMILIES = {info.name: MODALITIES if info.modalities == ("any",) else info.modalities for info in LISTED}
LEARNED = {info.name: info.method for info in LISTED if info.method not in {None, TISSUE}}  # without tissue
SKIPPED = {*LEARNED} - {*{method: name for name, method in reversed(LEARNED.items())}.values()}  # but one of each
PAIRS = [
    (name, family)
    for name in FAMILIES
    for family in FAMILIES[name]
    if name not in SKIPPED and (name not in TABLES[1:] or family == "CT")
]
LOOKS = st.fixed_dictionaries(
    {},
    optional={
        "palette": st.sampled_from(["anatomical", "contrast", "tritan"]),
        "strength": st.floats(0, 1),
        "cvd": st.sampled_from([None, "deutan"]),
        "window": st.sampled_from(["bone", "lung", Window(40, 1), Window(0, 3000, "SIGMOID")]),
    },
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def scan_of(family: str) -> Scan:
    return phantom.scan(family, shape=SHAPES.get(family, (100, 120, 1)))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bundle") / "ct_random"
    random_bundle(folder)
    return str(folder)


def finished(scan: Scan, colorizer: str | Colorizer, **options: object) -> ColoringSession:
    session = ColoringSession(scan, colorizer=colorizer, **options)  # type: ignore[arg-type]
    assert sorted(session.work()) == list(range(scan.shape[2]))
    return session


def assert_gray_comes_back(session: ColoringSession) -> None:
    rgb = np.ascontiguousarray(session.rgba[..., :3])
    ours = np.ones(rgb.shape[:3], bool) if session.scan.colored is None else ~to_slices(session.scan.colored)
    np.testing.assert_array_equal(restore_gray(rgb)[ours], session.gray[ours])


def assert_same(session: ColoringSession, colorizer: Colorizer, window: object = None) -> None:
    expected, result = colorizer(session.scan, window=window), session.result()  # type: ignore[arg-type]
    np.testing.assert_array_equal(result.rgb, expected.rgb)
    assert result.provenance.dumps() == expected.provenance.dumps()
    assert result.audit == expected.audit
    np.testing.assert_array_equal(session.rgba[..., :3], to_slices(expected.rgb))


@pytest.mark.parametrize(("spec", "family"), PAIRS)
def test_every_colorizer_gives_its_own_bytes_slice_by_slice(spec: str, family: str) -> None:
    session = finished(scan_of(family), spec)
    assert session.step is Step.DONE
    assert_same(session, load_colorizer(spec))
    np.testing.assert_array_equal(from_slices(session.gray), display_gray(session.scan))
    assert session.fidelity() == (0, session.gray.size)
    if session.law is Law.LIGHTNESS:
        assert_gray_comes_back(session)


@pytest.mark.parametrize("fade", [0.0, 0.7])
def test_a_network_gives_its_own_bytes_in_every_look(bundle: str, fade: float) -> None:
    scan = scan_of("CT")
    session = finished(scan, load_colorizer(bundle, trust=True))
    session.recolor(palette="contrast", strength=0.6, cvd="deutan", fade=fade, window="bone")
    list(session.work())
    near = session.rgba[..., :3].astype(int)
    changed = load_colorizer(bundle, trust=True, palette="contrast", strength=0.6, cvd="deutan", fade=fade)
    assert_gray_comes_back(session)
    assert_same(session, changed, "bone")
    # what was kept is not exact: the neighbouring (a*, b*) here and there
    assert np.mean((near != session.rgba[..., :3]).any(axis=-1)) < 0.05
    assert np.abs(near - session.rgba[..., :3]).max() <= 8


@pytest.mark.parametrize("soft_edge", [0.0, 4.0])
@pytest.mark.parametrize("cvd", [None, "protan"])
def test_labels_give_their_own_bytes_and_legend(soft_edge: float, cvd: str | None) -> None:
    scan, segmentation = simulated("CT")
    colorizer = SegmentationColorizer(segmentation, soft_edge=soft_edge, bleed=3.0, cvd=cvd)
    session = finished(scan, colorizer)
    assert_same(session, colorizer)
    assert session.legend() == colorizer.legend_for(scan)
    session.recolor(strength=0.5)
    list(session.work())
    half = SegmentationColorizer(segmentation, soft_edge=soft_edge, bleed=3.0, cvd=cvd, strength=0.5)
    assert_same(session, half)
    session.recolor(cvd=None)
    list(session.work())
    assert_same(session, SegmentationColorizer(segmentation, soft_edge=soft_edge, bleed=3.0, strength=0.5))
    with pytest.raises(SettingError, match="own colours"):
        session.recolor(palette="contrast")


@settings(max_examples=12, deadline=None)
@given(changes=st.lists(LOOKS, min_size=1, max_size=3), k=st.integers(0, 4), data=st.data())
def test_whatever_is_changed_at_whatever_moment_the_gray_comes_back(
    changes: list[dict[str, object]], k: int, data: st.DataObject
) -> None:
    session = ColoringSession(phantom.scan("CT", shape=(48, 40, 5)), colorizer="physics", palette="contrast")
    work = session.work(k)
    for change in changes:
        for _ in range(data.draw(st.integers(0, 3))):
            next(work, None)
        session.recolor(**change)  # type: ignore[arg-type]
        session.look_at(data.draw(st.integers(-1, 6)))
        assert_gray_comes_back(session)
        assert session.fidelity()[0] == 0
    list(work)
    list(session.work())
    now = session.look
    style = None if now.palette is None else now.palette.style
    assert_same(session, load_colorizer("physics", palette=style, strength=now.strength, cvd=now.cvd), session.display)


def test_the_visible_slice_comes_first_and_the_nearest_next() -> None:
    assert list(ColoringSession(scan_of("CT"), colorizer="physics").work(1)) == [1, 0, 2, 3, 4]
    session = ColoringSession(scan_of("CT"), colorizer="physics")
    work = session.work(0)
    assert next(work) == 0
    session.look_at(4)
    assert list(work) == [4, 3, 2, 1]


def test_slices_that_are_not_coloured_yet_show_the_gray_and_have_no_confidence() -> None:
    session = ColoringSession(scan_of("CT"), colorizer="physics")
    assert session.done == 0
    np.testing.assert_array_equal(session.rgba[..., :3], np.repeat(session.gray[..., None], 3, axis=-1))
    assert (session.rgba[..., 3] == 255).all()
    session.color_slice(2)
    assert session.done == 1
    assert session.confidence[2].any()
    assert not session.confidence[[0, 1, 3, 4]].any()
    assert (session.rgba[2, ..., :3].max(axis=-1) != session.rgba[2, ..., :3].min(axis=-1)).any()


@pytest.mark.parametrize("family", ["CT", "MR", "MG"])
def test_alpha_is_zero_outside_the_body_and_stays_so(family: str) -> None:
    session = finished(scan_of(family), "physics")
    alpha = session.rgba[..., 3].copy()
    assert set(np.unique(alpha)) == {0, 255}
    assert alpha[0, 0, 0 if family != "MG" else -1] in {0, 255}
    assert (alpha == 0).mean() > 0.1
    session.recolor(palette="contrast", strength=0.2, window=Window(0, 50))
    list(session.work())
    np.testing.assert_array_equal(session.rgba[..., 3], alpha)


def test_padding_is_transparent_for_a_table_too() -> None:
    scan = scan_of("CT")
    padding = np.zeros(scan.shape, bool)
    padding[:7] = True
    padded = Scan(scan.voxels, scan.geometry, "CT", "HU", padding=padding)
    session = finished(padded, TABLES[0])
    np.testing.assert_array_equal(from_slices(session.rgba[..., 3]) == 0, padding)
    assert_same(session, load_colorizer(TABLES[0]))


def test_pixels_that_are_colour_already_keep_their_bytes_and_are_opaque() -> None:
    generator = np.random.default_rng(3)
    rgb = np.repeat(generator.integers(0, 256, (64, 48, 2, 1), dtype=np.uint8), 3, axis=-1)
    rgb[10:20, 10:30] = (200, 20, 30)
    colored = np.zeros((64, 48, 2), bool)
    colored[10:20, 10:30] = True
    us = phantom.scan("US", shape=(64, 48, 2))
    scan = Scan(rgb[..., 0], us.geometry, "US", us.units, rgb=rgb, colored=colored)
    session = finished(scan, "physics")
    assert (from_slices(session.rgba)[colored] == (200, 20, 30, 255)).all()
    assert session.fidelity() == (0, int((~colored).sum()))
    session.recolor(strength=0.3)
    list(session.work())
    assert (from_slices(session.rgba)[colored] == (200, 20, 30, 255)).all()
    assert_same(session, load_colorizer("physics", strength=0.3))


def test_strength_zero_is_the_gray_itself() -> None:
    session = finished(scan_of("CT"), "physics", strength=0.0)
    np.testing.assert_array_equal(session.rgba[..., :3], np.repeat(session.gray[..., None], 3, axis=-1))


def test_a_probe_reads_the_scan_and_the_colours_under_the_cursor(bundle: str) -> None:
    scan = scan_of("CT")
    for colorizer in ("physics", load_colorizer(bundle, trust=True)):
        session = ColoringSession(scan, colorizer=colorizer)
        empty = session.probe(50, 40, 2)
        assert empty.tissue == ()
        assert empty.confidence is None
        assert empty.rgb == (empty.gray,) * 3
        list(session.work())
        for i, j, k in ((50, 40, 2), (0, 0, 0), (111, 95, 4)):
            probe = session.probe(i, j, k)
            assert probe.value == scan.voxels[i, j, k]
            assert probe.unit == "HU"
            assert probe.gray == session.gray[k, j, i]
            assert probe.rgb == tuple(session.rgba[k, j, i, :3])
            assert probe.gray_recoverable
            assert {name for name, _ in probe.tissue} == set(load_palette("CT").names)
            assert sum(p for _, p in probe.tissue) == pytest.approx(1, abs=1e-5)
            assert [p for _, p in probe.tissue] == sorted((p for _, p in probe.tissue), reverse=True)
            assert probe.confidence == pytest.approx(session.confidence[k, j, i] / 255)
        with pytest.raises(IndexError):
            session.probe(112, 0, 0)


def test_kept_posteriors_are_those_of_the_network_within_a_hundredth(bundle: str) -> None:
    scan, colorizer = scan_of("CT"), load_colorizer(bundle, trust=True)
    prediction = colorizer.predict(scan)  # type: ignore[attr-defined]
    session = finished(scan, colorizer)
    for i, j, k in ((50, 40, 2), (30, 60, 0), (80, 20, 4)):
        expected = prediction.posteriors(slice(k, k + 1))[:, 0, j, i]
        found = dict(session.probe(i, j, k).tissue)
        np.testing.assert_allclose([found[name] for name in prediction.classes], expected, atol=0.02)
    expected = 255 * prediction.confidence(slice(0, scan.shape[2]))
    assert np.abs(session.confidence - expected).max() <= 1


def test_confidence_follows_the_colours(bundle: str) -> None:
    scan = scan_of("CT")
    session = finished(scan, load_colorizer(bundle, trust=True))
    before = session.confidence.copy()
    session.recolor(palette="contrast")
    list(session.work())
    assert session.stale == 0
    prediction = load_colorizer(bundle, trust=True, palette="contrast").predict(scan)  # type: ignore[attr-defined]
    expected = 255 * prediction.confidence(slice(0, scan.shape[2]))
    assert np.abs(session.confidence - expected).mean() < 5  # faint classes, which are not kept, count a little here
    assert (session.confidence != before).any()


def test_a_palette_may_be_a_value_and_is_recorded() -> None:
    palette = load_palette("CT", "contrast")
    session = finished(scan_of("CT"), "physics", palette=palette)
    assert_same(session, load_colorizer("physics", palette="contrast"))
    with pytest.raises(PaletteError, match="classes"):
        session.recolor(palette=load_palette("MR"))
    assert session.look.palette == palette


@pytest.mark.parametrize(
    ("spec", "change"),
    [
        ("physics", {"strength": 1.5}),
        ("physics", {"fade": 0.5}),
        ("physics", {"cvd": "blind"}),
        ("physics", {"palette": "nope"}),
        ("physics", {"window": "nope"}),
        (TABLES[0], {"palette": "contrast"}),
        (TABLES[0], {"cvd": "deutan"}),
    ],
)
def test_a_refused_change_changes_nothing(spec: str, change: dict[str, object]) -> None:
    session = finished(scan_of("CT"), spec)
    before = session.rgba.copy()
    with pytest.raises((SettingError, LookupError)):
        session.recolor(**change)  # type: ignore[arg-type]
    assert session.stale == 0
    np.testing.assert_array_equal(session.rgba, before)


def test_what_a_colorizer_was_made_with_is_kept_until_it_is_changed() -> None:
    colorizer = load_colorizer("physics", palette="contrast", strength=0.4, cvd="tritan")
    session = finished(scan_of("CT"), colorizer)
    assert_same(session, colorizer)
    session.recolor(strength=1.0)
    list(session.work())
    assert_same(session, load_colorizer("physics", palette="contrast", cvd="tritan"))


def test_auto_says_what_it_chose_and_who_refuses_is_heard() -> None:
    session = finished(scan_of("MR"), "auto")
    assert session.colorizer.name != "auto"
    unknown = Scan(scan_of("CT").voxels, scan_of("CT").geometry, "OT")
    broken = ColoringSession(unknown, colorizer="physics")
    with pytest.raises(ModalityError):
        list(broken.work())
    assert broken.step is Step.FAILED
    np.testing.assert_array_equal(broken.rgba[..., 0], broken.gray)


def test_nothing_is_said_of_colours_before_there_are_any_and_no_result_given_before_all() -> None:
    session = ColoringSession(scan_of("CT"), colorizer="physics")
    for ask in (session.legend, session.ramps, lambda: session.colorizer, lambda: session.look):
        with pytest.raises(SettingError, match="work has begun"):
            ask()
    next(session.work())
    with pytest.raises(SettingError, match="not coloured yet"):
        session.result()


def test_memory_is_what_the_documentation_says(bundle: str) -> None:
    scan = scan_of("CT")
    voxels = scan.voxels.size
    assert finished(scan, TABLES[0]).nbytes == 6 * voxels
    assert finished(scan, "physics").nbytes == 8 * voxels
    assert finished(scan, load_colorizer(bundle, trust=True)).nbytes < 13 * voxels


def test_a_scan_too_large_for_the_memory_is_refused_before_anything_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medcolor.viewing.memory.available", lambda: 100_000)
    with pytest.raises(SettingError, match="GB are free"):
        ColoringSession(scan_of("CT"))


def test_running_out_of_memory_stops_loudly_and_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    session = ColoringSession(scan_of("CT"), colorizer="physics")
    work = session.work()
    next(work)
    monkeypatch.setattr("medcolor.viewing.memory.available", lambda: 1_000)
    with pytest.raises(SettingError, match="memory"):
        list(work)
    assert session.step is Step.FAILED
    assert session.done == 1
    assert_gray_comes_back(session)


def test_shares_of_the_legend_are_those_of_the_volume() -> None:
    session = finished(scan_of("CT"), "physics")
    found = session.legend()
    from medcolor import tissue

    model = tissue.fit(session.scan)
    sums = model.posteriors(slice(0, 5)).sum(axis=(1, 2, 3), dtype=np.float64)
    sums[0] = 0
    np.testing.assert_allclose([row.share for row in found.rows], sums / sums.sum(), atol=1e-5)
    assert found.measure == "share of the image in 5 of 5 slices, by physics"


@pytest.mark.parametrize("options", [{}, {"palette": "contrast", "strength": 0.5}, {"cvd": "tritan"}])
def test_a_certain_voxel_has_the_colour_of_its_class_at_its_gray(options: dict[str, object]) -> None:
    session = finished(scan_of("CT"), "physics", **options)
    ramps, names = session.ramps(), [row.entry.name for row in session.legend().rows]
    checked = 0
    for k, j, i in np.argwhere(session.confidence > 253)[::97]:
        probe = session.probe(int(i), int(j), int(k))
        if probe.tissue[0][1] > 0.9999:
            color = ramps[names.index(probe.tissue[0][0]), probe.gray].astype(int)
            assert np.abs(color - probe.rgb).max() <= 1
            checked += 1
    assert checked > 20


def test_a_session_needs_no_colorizer_of_its_own_folder(bundle: str) -> None:
    assert Path(bundle).is_dir()
    with pytest.raises(LookupError):
        list(ColoringSession(scan_of("CT"), colorizer="no_such").work())
