"""One thread colours, others look, change their minds, cancel and close: nothing is torn, nothing hangs."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_examples import random_bundle

from medcolor import phantom, tissue
from medcolor.color import restore_gray
from medcolor.colorizers import load_colorizer
from medcolor.colorizers.network import NetworkColorizer
from medcolor.scan import Scan
from medcolor.tissue import TissueModel
from medcolor.viewing import preparing
from medcolor.viewing.session import Cancelled, ColoringSession, Step

PATIENCE = 20.0  # seconds; far more than anything here takes


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def scan() -> Scan:
    return phantom.scan("CT", shape=(96, 80, 24))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> NetworkColorizer:
    folder: Path = tmp_path_factory.mktemp("bundle") / "ct_random"
    random_bundle(folder)
    colorizer = load_colorizer(str(folder), trust=True)
    assert isinstance(colorizer, NetworkColorizer)
    return colorizer


class Worker(threading.Thread):
    """Iterates a session's work and remembers what came."""

    def __init__(self, session: ColoringSession, first: int | None = None) -> None:
        super().__init__(daemon=True)
        self.work, self.seen, self.error = session.work(first), list[int](), list[BaseException]()

    def run(self) -> None:
        try:
            self.seen.extend(self.work)
        except BaseException as error:
            self.error.append(error)

    def finish(self) -> None:
        self.join(PATIENCE)
        assert not self.is_alive(), "the session hangs"
        assert not self.error, self.error


def test_no_pixel_is_ever_torn_while_others_look_and_recolour(scan: Scan, network: NetworkColorizer) -> None:
    session = ColoringSession(scan, colorizer=network)
    assert (session.rgba[..., 3] == 255).all()
    worker = Worker(session, 3)
    worker.start()
    generator, looked = np.random.default_rng(1), 0
    while worker.is_alive() or looked < 40:
        k = int(generator.integers(0, 24))
        session.look_at(k)
        if looked % 3 == 0:
            session.recolor(strength=float(generator.random()), palette=["contrast", "anatomical"][looked // 3 % 2])
        if looked % 5 == 0:
            session.recolor(window=["bone", "lung", "abdomen"][looked // 5 % 3])
        rgb = np.array(session.volume.rgba[..., :3])
        back, grays = restore_gray(rgb), {n: session.volume.gray[n] for n in range(24)}
        # another thread may have changed the window of a slice between the two reads; a torn pixel would be no gray
        for n in range(24):
            if not np.array_equal(back[n], grays[n]):
                with session._lock:
                    again = np.ascontiguousarray(session.volume.rgba[n, ..., :3])
                    np.testing.assert_array_equal(restore_gray(again), session.volume.gray[n])
        looked += 1
        if looked > 100:
            break
    worker.finish()
    list(session.work())
    assert session.stale == 0
    assert session.fidelity()[0] == 0


def test_looking_elsewhere_while_it_works_brings_that_slice_next(scan: Scan, network: NetworkColorizer) -> None:
    session = ColoringSession(scan, colorizer=network)
    work = session.work(0)
    seen = [next(work), next(work)]
    threading.Thread(target=session.look_at, args=(20,)).start()
    time.sleep(0.05)
    seen += [next(work), next(work)]
    work.close()  # type: ignore[attr-defined]
    assert seen[:2] == [0, 1]
    assert seen[2] == 20
    assert seen[3] in {19, 21}


def test_cancel_ends_the_work_within_a_slice_and_it_can_go_on(scan: Scan, network: NetworkColorizer) -> None:
    session = ColoringSession(scan, colorizer=network)
    worker = Worker(session)
    worker.start()
    while session.done < 3:
        time.sleep(0.002)
    start = time.perf_counter()
    session.cancel()
    worker.finish()
    assert time.perf_counter() - start < 2
    assert session.step is Step.CANCELLED
    assert 3 <= session.done < 24
    assert session.fidelity()[0] == 0
    before = set(worker.seen)
    after = Worker(session)
    after.start()
    after.finish()
    assert session.step is Step.DONE
    assert before.isdisjoint(after.seen)
    assert len(before) + len(after.seen) == 24
    np.testing.assert_array_equal(session.result().rgb, network(scan).rgb)


def test_cancel_reaches_into_the_fit_of_a_whole_volume(monkeypatch: pytest.MonkeyPatch, scan: Scan) -> None:
    begun = threading.Event()
    fit = tissue.fit

    def slow(of: Scan) -> TissueModel:
        begun.set()
        for _ in range(10_000):
            fit(of)
        return fit(of)

    monkeypatch.setattr("medcolor.tissue.fit", slow)
    session = ColoringSession(scan, colorizer="physics")
    worker = Worker(session)
    worker.start()
    assert begun.wait(PATIENCE)
    assert session.step is Step.FITTING
    assert session.status == "looking at the whole volume"
    start = time.perf_counter()
    session.cancel()
    worker.finish()
    assert time.perf_counter() - start < 2
    assert session.step is Step.CANCELLED
    assert worker.seen == []


@pytest.mark.parametrize("delay", [0.05, 0.4])
def test_a_cancel_in_the_first_fit_of_a_process_breaks_no_import(delay: float) -> None:
    """The fit imports scipy; a module whose import is left in the middle stays broken."""
    program = f"""
import threading, time
from medcolor import phantom
from medcolor.viewing.session import ColoringSession, Step
scan = phantom.scan("CT", shape=(96, 80, 6))
session = ColoringSession(scan, colorizer="physics")
work = session.work()
thread = threading.Thread(target=lambda: list(work))
thread.start()
while session.step is Step.WAITING or session.step is Step.LOADING:
    pass
time.sleep({delay})
session.cancel()
thread.join()
assert session.step in (Step.CANCELLED, Step.DONE), session.step
list(ColoringSession(scan, colorizer="physics").work())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_cancel_that_comes_before_the_first_slice_is_not_lost(scan: Scan) -> None:
    session = ColoringSession(scan, colorizer="physics")
    work = session.work()
    session.cancel()
    assert list(work) == []
    assert session.step is Step.CANCELLED
    assert sorted(session.work()) == list(range(24))


def test_closing_twice_and_while_it_works_leaves_no_thread(scan: Scan, network: NetworkColorizer) -> None:
    before = threading.active_count()
    session = ColoringSession(scan, colorizer=network)
    worker = Worker(session)
    worker.start()
    while session.done < 2:
        time.sleep(0.002)
    session.close()
    session.close()
    assert session.wait(2)
    worker.finish()
    assert threading.active_count() == before
    assert list(session.work()) == []
    assert session.rgba.any()


def test_two_cannot_work_at_once_and_no_result_is_given_meanwhile(scan: Scan) -> None:
    session = ColoringSession(scan, colorizer="physics")
    work = session.work()
    next(work)
    with pytest.raises(RuntimeError, match="at work"):
        next(session.work())
    with pytest.raises(RuntimeError, match="at work"):
        session.result()
    assert not session.wait(0.01)
    work.close()  # type: ignore[attr-defined]
    assert session.wait(0.01)
    assert session.step is Step.CANCELLED


def test_a_result_that_needs_the_network_again_can_be_cancelled(scan: Scan, network: NetworkColorizer) -> None:
    session = ColoringSession(scan, colorizer=network)
    list(session.work())
    session.recolor(palette="contrast")
    list(session.work())
    with pytest.raises(Cancelled):
        session.result(progress=lambda done, total: session.cancel() if done == 3 else None)
    seen: list[tuple[int, int]] = []
    session.result(progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n + 1, 24) for n in range(24)]
    # exact now: asking again is a copy
    start = time.perf_counter()
    session.result()
    assert time.perf_counter() - start < 1


def test_a_change_of_look_is_seen_at_once_and_by_the_running_work(scan: Scan, network: NetworkColorizer) -> None:
    session = ColoringSession(scan, colorizer=network)
    work = session.work(10)
    next(work)
    before = session.rgba[10].copy()
    session.recolor(strength=0.3)
    assert (session.rgba[10] != before).any()
    list(work)
    assert session.stale == 0
    half = load_colorizer(str(network.bundle.card.folder), trust=True, strength=0.3)
    np.testing.assert_array_equal(session.result().rgb, half(scan).rgb)


def test_what_lives_in_the_window_is_spared_by_the_collector_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full pass over napari's heap takes 0.2 s, and our work would set it off; later garbage is still collected."""
    asked: list[None] = []
    monkeypatch.setattr(gc, "freeze", lambda: asked.append(None))
    preparing._spare_the_heap.cache_clear()
    preparing.warm_up()
    preparing.warm_up()
    assert len(asked) == 1
