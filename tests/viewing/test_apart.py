"""A network in another process: the same bytes, cancelled and closed at any moment, and its death is one sentence."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_examples import random_bundle

from medcolor import phantom
from medcolor.bundle_files import read_card
from medcolor.bundles import bundle_names
from medcolor.colorizers import load_colorizer
from medcolor.colorizers.evidence import Look
from medcolor.colorizers.network_slices import NetworkSlices
from medcolor.colorizers.point_hints import Hint
from medcolor.colorizers.slicewise import slicewise
from medcolor.errors import BundleError, ColoringProcessError, MedcolorError, ModalityError, SettingError
from medcolor.palettes import load_palette
from medcolor.scan import GRAY_LEVEL, Scan
from medcolor.viewing import choices
from medcolor.viewing.apart import Apart
from medcolor.viewing.apart_serving import Bench, described
from medcolor.viewing.apart_slices import apart_slices
from medcolor.viewing.hints import Hint as SpreadHint
from medcolor.viewing.interrupt import Cancelled
from medcolor.viewing.named_bundles import card_of
from medcolor.viewing.session import ColoringSession, Step
from medcolor.viewing.steering import Steering
from medcolor.windowing import display_gray

PATIENCE = 120.0  # seconds for torch to be imported on a busy computer


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    made = Apart()
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def scan() -> Scan:
    return phantom.scan("CT", shape=(96, 80, 6))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where: Path = tmp_path_factory.mktemp("bundle") / "ct_random"
    random_bundle(where)
    return where


def settled(session: ColoringSession) -> ColoringSession:
    assert sorted(session.work()) == list(range(session.total))
    return session


def test_a_network_apart_gives_the_same_bytes_and_record_as_its_colorizer(apart: Apart, scan: Scan) -> None:
    for look in ({}, {"fade": 0.7, "strength": 0.6, "palette": "contrast"}, {"cvd": "deutan"}):
        session = settled(ColoringSession(scan, colorizer="ct_tissue", apart=apart, **look))  # type: ignore[arg-type]
        expected = load_colorizer("ct_tissue", **look)(scan)  # type: ignore[arg-type]
        result = session.result()
        np.testing.assert_array_equal(result.rgb, expected.rgb)
        assert result.provenance.options == expected.provenance.options
        assert result.provenance.weights_sha256 == expected.provenance.weights_sha256
        assert result.provenance.palette_sha256 == expected.provenance.palette_sha256
        assert session.fidelity() == (0, scan.voxels.size)
        session.close()


@pytest.mark.parametrize(
    ("name", "look"),
    [
        ("ct_nazeri", {}),  # colours alone
        ("ct_zhang2016", {"fade": 0.7, "strength": 0.6}),  # and how unsure they are
        ("ct_deep", {"cvd": "deutan"}),  # told what physics says, which is fitted there
        ("ct_welsh", {}),
    ],
)
def test_a_method_of_the_review_apart_gives_the_same_bytes_and_record_as_its_colorizer(
    apart: Apart, scan: Scan, name: str, look: dict[str, Any]
) -> None:
    session = settled(ColoringSession(scan, colorizer=name, apart=apart, **look))
    expected, result = load_colorizer(name, **look)(scan), session.result()
    np.testing.assert_array_equal(result.rgb, expected.rgb)
    assert result.provenance.dumps() == expected.provenance.dumps()
    assert session.fidelity() == (0, scan.voxels.size)
    here = settled(ColoringSession(scan, colorizer=load_colorizer(name, **look)))
    np.testing.assert_array_equal(session.confidence, here.confidence)
    assert session.legend() == here.legend()
    assert session.probe(40, 40, 3) == here.probe(40, 40, 3)
    session.recolor(strength=0.4, cvd="tritan")
    list(session.work())
    again = load_colorizer(name, **look | {"strength": 0.4, "cvd": "tritan"})(scan)
    np.testing.assert_array_equal(session.result().rgb, again.rgb)
    session.close()


def test_a_hint_reaches_the_network_and_gives_the_bytes_and_record_of_the_colorizer_with_that_hint(
    apart: Apart, scan: Scan
) -> None:
    hints = [Hint(50, 30, 3, tissue="fat"), Hint(40, 60, 3, ab=(60.0, -40.0)), Hint(45, 40, 1, tissue="fluid")]
    by = load_colorizer("ct_zhang2017")
    for session in (
        settled(ColoringSession(scan, colorizer="ct_zhang2017", apart=apart)),
        settled(ColoringSession(scan, colorizer=by)),
    ):
        assert session.takes_hints
        plain = session.rgba.copy()
        assert session.tell(hints[:1]) == (3,)
        assert session.tell(hints) == (1, 3)
        changed = (session.rgba != plain).any(axis=(1, 2, 3))
        assert changed.tolist() == [False, True, False, True, False, False]
        list(session.work())
        assert session.stale == 0
        assert session.evidence(3) is not None
        expected = load_colorizer("ct_zhang2017", hints=hints)(scan)
        result = session.result()
        np.testing.assert_array_equal(result.rgb, expected.rgb)
        assert result.provenance.dumps() == expected.provenance.dumps()
        assert session.fidelity() == (0, scan.voxels.size)
        assert session.tell(()) == (1, 3)
        np.testing.assert_array_equal(session.rgba, plain)
        with pytest.raises(SettingError, match="outside the scan"):
            session.tell([Hint(500, 0, 0, tissue="fat")])
        with pytest.raises(SettingError, match="no class"):
            session.tell([Hint(5, 5, 0, tissue="cheese")])
        list(session.work())
        np.testing.assert_array_equal(session.result().rgb, by(scan).rgb)
    for other in ("ct_nazeri", "ct_welsh", "ct_tissue"):
        silent = settled(ColoringSession(scan, colorizer=other, apart=apart))
        assert not silent.takes_hints
        with pytest.raises(SettingError, match="no hints"):
            silent.tell(hints)


def test_a_new_hint_runs_the_decoder_alone(scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    by, ran = load_colorizer("ct_zhang2017"), list[str]()
    for name in ("encode", "decode"):
        own = getattr(by.network, name)  # type: ignore[attr-defined]

        def counted(*given: Any, _own: Any = own, _name: str = name, **told: Any) -> Any:
            ran.append(_name)
            return _own(*given, **told)

        monkeypatch.setattr(by.network, name, counted)  # type: ignore[attr-defined]
    session = ColoringSession(scan, colorizer=by)
    session.color_slice(2)
    ran.clear()
    for step in range(3):
        session.tell([Hint(40 + step, 40, 2, tissue="fat")])
    assert ran == ["decode"] * 3
    for k in (0, 1, 3, 2):  # two are remembered beside it, not three
        session.color_slice(k) if k != 2 else session.tell([])
    assert ran == ["decode"] * 3 + ["encode", "decode"] * 4


def test_hints_of_the_panel_are_told_to_a_network_that_takes_them_and_taken_back(apart: Apart, scan: Scan) -> None:
    session = settled(ColoringSession(scan, colorizer="ct_zhang2017", apart=apart))
    plain, steering = session.rgba.copy(), Steering(session)
    assert steering.palette is not None
    assert "fat" in steering.palette.names
    session.cancel()  # of the work in the background: no reason to refuse a hint
    assert steering.add(SpreadHint((50, 30, 3), "fat")) == 3
    assert steering.add(SpreadHint((40, 60, 3), ab=(60.0, -40.0))) == 3
    assert steering.waiting
    assert list(steering.spread()) == [3, 3]
    assert not steering.waiting
    assert session.stale == 0
    assert steering.suggest(50, 30, 3) == []
    expected = load_colorizer("ct_zhang2017", hints=[Hint(50, 30, 3, tissue="fat"), Hint(40, 60, 3, ab=(60.0, -40.0))])(
        scan
    )
    np.testing.assert_array_equal(session.result().rgb, expected.rgb)
    with pytest.raises(SettingError, match="no class"):
        steering.add(SpreadHint((50, 30, 3), "cheese"))
    assert len(steering.hints) == 2
    assert steering.undo() == [3]
    assert steering.clear() == [3]
    np.testing.assert_array_equal(session.rgba, plain)
    silent = settled(ColoringSession(scan, colorizer="ct_nazeri", apart=apart))
    with pytest.raises(SettingError, match="no classes"):
        Steering(silent).add(SpreadHint((50, 30, 3), "fat"))


def test_what_a_method_apart_does_not_have_is_refused_with_its_own_words(apart: Apart, scan: Scan) -> None:
    session = settled(ColoringSession(scan, colorizer="ct_nazeri", apart=apart))
    with pytest.raises(SettingError, match="learned the colours"):
        session.recolor(palette="anatomical")
    with pytest.raises(SettingError, match="how sure it is"):
        session.recolor(fade=0.5)
    with pytest.raises(SettingError, match="which tissue is where"):
        session.posteriors(1)
    assert choices.takes(session.colorizer) == {"strength", "cvd", "fade"}
    wrong = phantom.scan("MR", shape=(64, 64, 2))
    with pytest.raises(ModalityError, match="ct_nazeri colours CT"):
        list(ColoringSession(wrong, colorizer="ct_nazeri", apart=apart).work())


def test_a_method_that_is_cancelled_in_another_process_goes_on_and_can_be_saved_without_it(scan: Scan) -> None:
    fresh = Apart()
    session = ColoringSession(scan, colorizer="ct_zhang2016", apart=fresh)
    work = session.work(3)
    assert next(work) == 3
    session.cancel()
    assert len(list(work)) < session.total - 1
    assert session.step is Step.CANCELLED
    list(session.work())
    session.recolor(fade=0.5)
    list(session.work())
    fresh.close()
    expected = load_colorizer("ct_zhang2016", fade=0.5)(scan)
    np.testing.assert_array_equal(session.result().rgb, expected.rgb)


def test_what_it_says_of_a_slice_is_what_the_network_says_here(apart: Apart, scan: Scan, folder: Path) -> None:
    here = slicewise(load_colorizer(str(folder), trust=True), scan)
    look = Look(load_palette("CT", "contrast"), fade=0.5)
    there = apart_slices(apart, read_card(folder), scan, lambda: look, trust=True)
    for k in (3, 0):
        told, own = there.evidence(k), here.evidence(k)
        assert told is not None
        assert own is not None
        np.testing.assert_array_equal(told.index(look), own.index(look))
        np.testing.assert_array_equal(told.confidence(look), own.confidence(look))
        np.testing.assert_array_equal(told.outside(), own.outside())
        np.testing.assert_array_equal(told.totals(), own.totals())
        np.testing.assert_array_equal(told.posteriors(), own.compact().posteriors())


def test_the_network_has_run_on_the_slice_that_is_looked_at_before_it_says_it_is_ready(scan: Scan) -> None:
    bench, look, ran = Bench(), Look(load_palette("CT", "contrast")), list[int]()
    bench.begin(7, "ct_tissue", False, described(scan), 2)
    slices = bench._works[7]
    slices.colorizer.network.register_forward_pre_hook(lambda *_: ran.append(1))
    here = NetworkSlices(slices.colorizer, scan)
    for k, times in ((2, 0), (4, 1), (4, 0), (2, 1)):
        ran.clear()
        seen = bench.evidence(7, k, look)
        assert seen is not None
        assert len(ran) == times
        np.testing.assert_array_equal(seen[0], here.evidence(k).index(look))


def test_a_change_of_look_repaints_without_asking_and_the_result_is_exact_again(apart: Apart, scan: Scan) -> None:
    session = ColoringSession(scan, colorizer="ct_tissue", apart=apart)
    work = session.work(2)
    assert next(work) == 2
    assert session.evidence(2) is None, "a slice is seen before all of it is here"
    session.recolor(window="abdomen")
    assert next(work) in {1, 3}
    assert session.evidence(2) is not None
    before = session.rgba[2].copy()
    session.recolor(fade=1.0, window="bone")
    assert (session.rgba[2] != before).any()
    list(work)
    assert session.stale == 0
    expected = load_colorizer("ct_tissue", fade=1.0)(scan, window="bone")
    np.testing.assert_array_equal(session.result().rgb, expected.rgb)


def test_what_needs_no_network_starts_no_process(scan: Scan) -> None:
    fresh = Apart()
    for colorizer in ("physics", "lut:hot_iron"):
        session = ColoringSession(scan, colorizer=colorizer, apart=fresh)
        session.get_ready()
        settled(session)
        session.result()
        assert fresh.pid is None
    fresh.close()


def lost_units(scan: Scan) -> Scan:
    """A CT as a picture: auto has a network for it, where physics refuses."""
    return replace(scan, voxels=display_gray(scan), units=GRAY_LEVEL, windows=())


def test_a_session_that_was_got_ready_is_the_one_that_works(apart: Apart, scan: Scan) -> None:
    session = ColoringSession(lost_units(scan), colorizer="auto", apart=apart)
    session.get_ready()
    assert session.step is Step.WAITING
    assert session.colorizer.name == "ct_tissue"
    assert session.done == 0
    settled(session)
    physics = ColoringSession(scan, colorizer="physics", apart=apart)
    physics.get_ready()
    assert physics.step is Step.WAITING
    with pytest.raises(MedcolorError):
        assert physics.colorizer, "physics fits in this process: not before somebody asks"


def test_a_cancel_while_it_waits_for_the_process_takes_effect_at_once_and_work_goes_on(scan: Scan) -> None:
    fresh = Apart()
    try:
        session = ColoringSession(scan, colorizer="ct_tissue", apart=fresh)
        thread = threading.Thread(target=lambda: list(session.work()))
        thread.start()
        while fresh.pid is None:
            time.sleep(0.01)
        spent = time.process_time(), time.perf_counter()
        session.cancel()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert min(time.process_time() - spent[0], time.perf_counter() - spent[1]) < 2
        assert session.step is Step.CANCELLED
        settled(session)
    finally:
        fresh.close()


def test_closing_in_the_middle_ends_process_and_threads(scan: Scan) -> None:
    before = threading.active_count()
    fresh = Apart()
    session = ColoringSession(scan, colorizer="ct_tissue", apart=fresh)
    work = session.work()
    next(work)
    pid = fresh.pid
    assert pid is not None
    errors: list[BaseException] = []

    def rest() -> None:
        try:
            list(work)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=rest)
    thread.start()
    session.close()
    fresh.close()
    fresh.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert errors == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before
    with pytest.raises(ColoringProcessError, match="closed"):
        settled(ColoringSession(scan, colorizer="ct_tissue", apart=fresh))


def test_what_is_coloured_can_be_saved_when_the_process_is_gone(scan: Scan) -> None:
    fresh = Apart()
    session = settled(ColoringSession(scan, colorizer="ct_tissue", apart=fresh))
    session.recolor(palette="contrast", fade=0.4)
    list(session.work())
    fresh.close()
    expected = load_colorizer("ct_tissue", palette="contrast", fade=0.4)(scan)
    np.testing.assert_array_equal(session.result().rgb, expected.rgb)


def test_the_death_of_the_process_is_one_sentence_and_the_next_press_goes_on(scan: Scan) -> None:
    fresh = Apart()
    try:
        session = ColoringSession(scan, colorizer="ct_tissue", apart=fresh)
        work = session.work(0)
        done = [next(work), next(work)]
        assert fresh.pid is not None
        os.kill(fresh.pid, signal.SIGKILL)
        with pytest.raises(ColoringProcessError, match=r"memory.*What is coloured stays"):
            list(work)
        assert session.step is Step.FAILED
        assert session.done >= 2
        rest = list(session.work())
        assert set(done).isdisjoint(rest)
        assert session.stale == 0
        np.testing.assert_array_equal(session.result().rgb, load_colorizer("ct_tissue")(scan).rgb)
    finally:
        fresh.close()


def test_what_the_network_refuses_has_its_own_words(apart: Apart, scan: Scan, folder: Path) -> None:
    wrong = phantom.scan("MR", shape=(64, 64, 2))
    with pytest.raises(ModalityError, match="ct_tissue colours CT"):
        list(ColoringSession(wrong, colorizer="ct_tissue", apart=apart).work())
    look = Look(load_palette("CT", "contrast"))
    with pytest.raises(BundleError, match="is no bundle"):
        apart_slices(apart, read_card(folder), scan, lambda: look).evidence(0)
    broken = shutil.copytree(folder, folder.parent / "broken")  # one that the child has not opened before
    (broken / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(BundleError, match=r"model\.safetensors"):
        apart_slices(apart, read_card(broken), scan, lambda: look, trust=True)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="a process cannot be made to wait here")
def test_an_answer_that_nobody_waited_for_is_not_taken_for_another(apart: Apart, scan: Scan) -> None:
    look = Look(load_palette("CT", "contrast"))
    card = card_of("ct_tissue", scan)
    assert card is not None
    there = apart_slices(apart, card, scan, lambda: look)
    expected = there.evidence(4).totals()

    def never() -> None:
        raise Cancelled

    large = apart_slices(apart, card, phantom.scan("CT", shape=(400, 400, 1)), lambda: look)
    child = apart.pid
    assert child is not None
    os.kill(child, signal.SIGSTOP)  # or a quick answer might be there before anybody looks
    try:
        for _ in range(2):
            with pytest.raises(Cancelled):
                large.evidence(0, check=never)
    finally:
        os.kill(child, signal.SIGCONT)
    np.testing.assert_array_equal(there.evidence(4).totals(), expected)


def test_two_scans_share_the_process(apart: Apart, scan: Scan) -> None:
    other = phantom.scan("CT", shape=(64, 72, 5))
    sessions = [ColoringSession(each, colorizer="ct_tissue", apart=apart) for each in (scan, other)]
    threads = [threading.Thread(target=lambda s=s: list(s.work())) for s in sessions]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    for session, each in zip(sessions, (scan, other), strict=True):
        np.testing.assert_array_equal(session.result().rgb, load_colorizer("ct_tissue")(each).rgb)


@pytest.mark.parametrize(
    ("colorizer", "change"), [("auto", {"palette": "contrast", "fade": 0.5}), ("ct_nazeri", {"cvd": "deutan"})]
)
def test_neither_torch_nor_monai_is_imported_where_the_window_is(colorizer: str, change: dict[str, Any]) -> None:
    """A process of its own: here they are imported already."""
    program = f"""
import dataclasses
import sys
from medcolor import phantom
from medcolor.viewing import choices
from medcolor.viewing.apart import Apart
from medcolor.viewing.session import ColoringSession
from medcolor.windowing import display_gray
apart, scan = Apart(), phantom.scan("CT", shape=(64, 64, 3))
scan = dataclasses.replace(scan, voxels=display_gray(scan), units="gray level", windows=())
session = ColoringSession(scan, colorizer={colorizer!r}, apart=apart)
session.get_ready()
assert sorted(session.work()) == [0, 1, 2]
session.recolor(**{change!r})
list(session.work())
session.probe(10, 10, 1), session.legend(), session.fidelity(), session.result()
choices.takes(session.colorizer), choices.colorizers(scan)
apart.close()
heavy = {{"torch", "monai"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def test_a_spec_without_a_bundle_has_no_card(scan: Scan) -> None:
    assert card_of("physics", scan) is None
    assert card_of("lut:hot_iron", scan) is None
    assert card_of("nobody", scan) is None
    for name in bundle_names():
        assert card_of(name, scan) is not None, "every shipped bundle runs in the other process"
    unknown = phantom.scan("MR", shape=(16, 16, 1))
    assert card_of("auto", scan) is None, "in Hounsfield units physics is the better one"
    named = card_of("auto", lost_units(scan))
    assert named is not None
    assert named.family == "CT"
    assert card_of("auto", unknown) is None or card_of("auto", unknown).family == "MR"  # type: ignore[union-attr]
