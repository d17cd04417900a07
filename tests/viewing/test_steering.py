"""Hints: they fill what looks alike, stop at edges, keep the colour law, and can be taken back without a trace."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcolor import phantom
from medcolor.color import restore_gray
from medcolor.errors import SettingError
from medcolor.scan import Scan, from_slices, to_slices
from medcolor.viewing import hints
from medcolor.viewing.hints import Hint
from medcolor.viewing.session import ColoringSession
from medcolor.viewing.steering import HintedEvidence, Steering
from medcolor.windowing import display_gray

SHAPE = (112, 96, 6)


def colored(colorizer: str = "physics", scan: Scan | None = None) -> ColoringSession:
    session = ColoringSession(scan or phantom.scan("CT", shape=SHAPE), colorizer=colorizer)
    for _ in session.work():
        pass
    return session


def liver(k: int = 3) -> tuple[int, int, int]:
    """Return a voxel deep inside the liver, which physics calls soft tissue or enhanced."""
    return 36, 46, k


@pytest.fixture
def session() -> ColoringSession:
    return colored()


def two_halves(noise: int = 0) -> np.ndarray:
    gray = np.full((60, 80), 90, np.uint8)
    gray[:, 40:] = 160
    if noise:
        gray = gray + np.random.default_rng(1).integers(0, noise, gray.shape).astype(np.uint8)
    return gray


@pytest.mark.parametrize("noise", [0, 8])
def test_a_hint_fills_what_looks_alike_and_stops_at_the_edge(noise: int) -> None:
    made = hints.spread_in_slice(Hint((20, 30, 0), "fat", reach=100), two_halves(noise), (1, 1, 1))
    distance = np.full((60, 80), np.inf, np.float32)
    made.into(0, distance)
    weight = hints.weight(distance)
    assert distance[30, 20] == 0
    assert (weight[:, :36] > 0.5).mean() > 0.95
    assert weight[:, 44:].max() == 0


def test_distance_without_edges_is_that_of_eight_neighbours() -> None:
    made = hints.spread_in_slice(Hint((10, 12, 0), "fat", reach=20), np.full((40, 50), 77, np.uint8), (0.5, 2.0, 1))
    distance = np.full((40, 50), np.inf, np.float32)
    made.into(0, distance)
    j, i = np.indices(distance.shape)
    right, down = abs(i - 10), abs(j - 12)
    both = np.minimum(right, down)
    expected = (both * np.hypot(0.5, 2.0) + (right - both) * 0.5 + (down - both) * 2.0) / 20
    inside = expected < 0.99
    assert np.allclose(distance[inside], expected[inside], atol=2e-3)
    assert not np.isfinite(distance[expected > 1.01]).any()


@pytest.mark.parametrize("start", [(3, 12), (20, 2), (23, 23)])
def test_distances_agree_with_dijkstra_on_a_maze(start: tuple[int, int]) -> None:
    from scipy import ndimage
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra

    gray = np.full((24, 30), 100, np.uint8)
    gray[4:20, 8] = gray[0:16, 16] = 220
    i, j = start
    hint = Hint((i, j, 0), "fat", reach=60, tolerance=20)
    smooth = ndimage.gaussian_filter(gray.astype(np.float32), hints._SMOOTH, mode="nearest")
    cost = hints._cost(smooth, float(smooth[j, i]), hint)
    number = np.arange(gray.size).reshape(gray.shape)
    edges = []
    for a, b, length in (
        (np.s_[:, :-1], np.s_[:, 1:], 1.0),
        (np.s_[:-1], np.s_[1:], 1.0),
        (np.s_[:-1, :-1], np.s_[1:, 1:], np.sqrt(2)),
        (np.s_[:-1, 1:], np.s_[1:, :-1], np.sqrt(2)),
    ):
        edges.append((number[a].ravel(), number[b].ravel(), ((cost[a] + cost[b]) / 2 * length).ravel()))
    rows, columns, values = (np.concatenate(part) for part in zip(*edges, strict=True))
    graph = coo_matrix((values, (rows, columns)), (gray.size, gray.size))
    exact = dijkstra(graph, directed=False, indices=number[j, i]).reshape(gray.shape)
    found = np.full(gray.shape, np.inf, np.float32)
    hints.spread_in_slice(hint, gray, (1, 1, 1)).into(0, found)
    near = exact < 0.98
    assert near.sum() > 300
    assert np.allclose(found[near], exact[near], atol=5e-3)


def test_between_two_hints_the_nearer_one_wins_and_at_each_it_is_all() -> None:
    distances = np.stack([np.linspace(0, 0.5, 50), np.linspace(0.5, 0, 50)]).astype(np.float32)
    found = hints.shares(distances)
    assert found[0, 0] > 0.999
    assert found[1, -1] > 0.999
    assert found[0, 25] == pytest.approx(0.5, abs=0.1)
    assert (found.sum(axis=0) <= 1 + 1e-6).all()


def test_a_slice_of_512_is_steered_within_300_ms() -> None:
    session = colored(scan=phantom.scan("CT", shape=(512, 512, 2)))
    steering = Steering(session)
    steering.add(Hint((160, 240, 0), "fluid"))
    times = []
    for step in range(3):
        start = time.process_time()
        steering.add(Hint((150 + 10 * step, 250, 1), "fluid"))
        times.append(time.process_time() - start)
    assert min(times) < 0.3, times


def test_a_hint_recolours_its_slice_at_once_and_the_volume_after_it(session: ColoringSession) -> None:
    before, (i, j, k) = session.rgba.copy(), liver()
    steering = Steering(session)
    steering.add(Hint(liver(), "fluid"))
    assert session.probe(i, j, k).tissue[0][0] == "fluid"
    assert session.probe(i, j, k).confidence == 1
    changed = [n for n in range(SHAPE[2]) if not np.array_equal(session.rgba[n], before[n])]
    assert changed == [k]
    assert steering.waiting
    touched = list(steering.spread())
    assert k in touched
    assert len(touched) == SHAPE[2]
    assert not steering.waiting
    assert session.probe(i, j, 0).tissue[0][0] == "fluid"
    number = {name: label for label, name in phantom.labels("CT", shape=SHAPE).names.items()}
    bone = to_slices(phantom.labels("CT", shape=SHAPE).labels) == number["cortical_bone"]
    assert np.array_equal(session.rgba[bone], before[bone])


SPOTS = st.tuples(st.integers(25, 85), st.integers(25, 70), st.integers(0, 5))


@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_whatever_is_hinted_the_gray_comes_back_and_undo_leaves_no_trace(data: st.DataObject) -> None:
    session = SHARED
    before, confidence = session.rgba.copy(), session.confidence.copy()
    steering = Steering(session)
    try:  # Hypothesis may break off an example anywhere: the session is everybody's
        for _ in range(data.draw(st.integers(1, 3))):
            spot = data.draw(SPOTS)
            if not before[spot[2], spot[1], spot[0], 3]:
                continue
            if data.draw(st.booleans()):
                steering.add(Hint(spot, data.draw(st.sampled_from(session.look.palette.names)), reach=15))
            else:
                steering.add(
                    Hint(spot, ab=(data.draw(st.floats(-100, 100)), data.draw(st.floats(-100, 100))), reach=90)
                )
        if data.draw(st.booleans()):
            list(steering.spread())
        assert np.array_equal(restore_gray(session.rgba[..., :3]), to_slices(display_gray(session.scan)))
        assert session.fidelity() == (0, session.gray.size)
        assert np.array_equal(session.rgba[..., 3], before[..., 3])
        for k in range(SHAPE[2]):
            assert np.allclose(session.posteriors(k).sum(axis=0), 1, atol=1e-4)
    finally:
        while steering.hints:
            steering.undo()
    assert np.array_equal(session.rgba, before)
    assert np.array_equal(session.confidence, confidence)
    assert session.amendments == {}


SHARED = colored()


def test_undo_takes_back_the_last_hint_alone(session: ColoringSession) -> None:
    steering = Steering(session)
    steering.add(Hint(liver(), "fluid"))
    list(steering.spread())
    once = session.rgba.copy()
    steering.add(Hint((60, 60, 2), ab=(40.0, -60.0)))
    list(steering.spread())
    assert not np.array_equal(session.rgba, once)
    steering.undo()
    assert np.array_equal(session.rgba, once)
    assert steering.undo()
    assert steering.undo() == []


def test_hints_survive_a_change_of_look_and_are_written_down(session: ColoringSession) -> None:
    plain = session.result()
    steering = Steering(session)
    steering.add(Hint(liver(), "fluid"))
    list(steering.spread())
    session.recolor(palette="contrast", window="80,300")
    for _ in session.work():
        pass
    assert session.probe(*liver()).tissue[0][0] == "fluid"
    made = session.result()
    assert np.array_equal(to_slices(made.rgb), session.rgba[..., :3])
    assert made.provenance.options["hints"] == [Hint(liver(), "fluid").to_json()]
    assert "hints" not in plain.provenance.options
    assert made.provenance.digest != plain.provenance.digest


def test_equal_hints_give_equal_bytes() -> None:
    pictures = []
    for _ in range(2):
        session = colored()
        steering = Steering(session)
        steering.add(Hint(liver(), "fluid"))
        steering.add(Hint((60, 60, 3), ab=(10, 20)))
        list(steering.spread())
        pictures.append(session.rgba.tobytes())
    assert pictures[0] == pictures[1]


def test_suggestions_are_the_sessions_own_opinion_in_its_own_colours(session: ColoringSession) -> None:
    steering = Steering(session)
    i, j, k = liver()
    found = steering.suggest(i, j, k, count=3)
    assert [s.tissue for s in found] == [name for name, _ in session.probe(i, j, k).tissue[:3]]
    for suggestion in found:
        assert restore_gray(np.array(suggestion.rgb, np.uint8)) == session.gray[k, j, i]
    steering.add(Hint((i, j, k), "fluid"))
    assert tuple(session.rgba[k, j, i, :3]) == next(s.rgb for s in steering.suggest(i, j, k) if s.tissue == "fluid")


def test_a_hint_stays_in_its_moment_of_a_film() -> None:
    scan = phantom.scan("US", shape=(100, 80, 3))
    session = colored(scan=scan)
    steering = Steering(session)
    j, i = np.argwhere(session.rgba[1, ..., 3] > 0)[1200]
    steering.add(Hint((int(i), int(j), 1), "anechoic"))
    assert set(steering.spread()) == {1}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tissue": "fat", "ab": (1, 2)}, "one of the two"),
        ({}, "one of the two"),
        ({"tissue": "fat", "reach": 0}, "500 mm"),
        ({"tissue": "fat", "tolerance": 0}, "gray levels"),
        ({"ab": (float("nan"), 0)}, "finite"),
    ],
)
def test_hints_that_say_nothing_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        Hint((1, 1, 1), **wrong)  # type: ignore[arg-type]


def test_hints_that_cannot_be_taken_are_refused_and_change_nothing(session: ColoringSession) -> None:
    before = session.rgba.copy()
    steering = Steering(session)
    for hint, said in (
        (Hint((500, 0, 0), "fat"), "outside the scan"),
        (Hint((0, 0, 0), "fat"), "outside the body"),
        (Hint(liver(), "liver"), "soft_tissue"),
    ):
        with pytest.raises(SettingError, match=said):
            steering.add(hint)
    assert steering.hints == ()
    assert np.array_equal(session.rgba, before)
    with pytest.raises(SettingError, match="table"):
        Steering(colored("lut:hot_iron")).add(Hint(liver(), "fat"))
    with pytest.raises(SettingError, match="not coloured yet"):
        Steering(ColoringSession(session.scan, colorizer="physics")).suggest(*liver())


def test_hinted_posteriors_agree_wherever_they_are_asked(session: ColoringSession) -> None:
    steering = Steering(session)
    steering.add(Hint(liver(), "fluid"))
    evidence = session.evidence(3)
    assert isinstance(evidence, HintedEvidence)
    whole = evidence.posteriors()
    for j, i in ((46, 36), (40, 50), (5, 5)):
        assert np.allclose(evidence.at(j, i), whole[:, j, i], atol=1e-6)
    assert np.allclose(evidence.totals(), whole.sum(axis=(1, 2)), rtol=1e-5)
    assert from_slices(session.rgba).shape[3] == 4
