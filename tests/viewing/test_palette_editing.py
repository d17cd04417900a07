"""Editing a palette: live figures, undo, files that the command line reads, and the colours of a reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import medcolor
from medcolor import phantom
from medcolor.errors import OutputExistsError, PaletteError
from medcolor.palettes import load_palette
from medcolor.scan import MODALITIES
from medcolor.viewing.palette_editing import PaletteEditor, match
from medcolor.viewing.session import ColoringSession
from medcolor.vision import Deficiency, separability

NUMBERS = st.floats(-100, 100).map(lambda x: round(x, 2))


@given(
    family=st.sampled_from(MODALITIES),
    changes=st.lists(st.tuples(st.integers(0, 5), NUMBERS, NUMBERS), max_size=5),
)
@settings(max_examples=20, deadline=None)
def test_what_is_saved_is_what_is_loaded(
    family: str, changes: list[tuple[int, float, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    editor = PaletteEditor(load_palette(family))
    for number, a, b in changes:
        editor.set(editor.palette.names[number], (a, b))
    path = editor.save(tmp_path_factory.mktemp("palettes") / "mine.yaml")
    assert load_palette(family, path).sha256 == editor.palette.sha256
    again = PaletteEditor(load_palette(family))
    again.load(path)
    assert again.palette.sha256 == editor.palette.sha256
    while editor.undo():
        pass
    assert not editor.changed


def test_figures_are_those_of_the_house_for_every_eye() -> None:
    editor = PaletteEditor(load_palette("CT"))
    found = {apart.eye: apart for apart in editor.apart()}
    assert list(found) == ["normal", "protan", "deutan", "tritan"]
    assert found["normal"].least == pytest.approx(separability(editor.palette.ab).min())
    assert found["deutan"].least == pytest.approx(separability(editor.palette.ab, Deficiency.DEUTAN).min())
    editor.set("fat", editor.palette.classes[editor.palette.names.index("fluid")].ab)
    worse = editor.apart()[0]
    assert worse.least == pytest.approx(0, abs=1e-6)
    assert worse.pair == ("fat", "fluid")
    assert "easily confused" in str(worse)


def test_a_colour_picked_gives_its_hue_and_leaves_lightness_to_the_scan() -> None:
    editor = PaletteEditor(load_palette("MR"))
    editor.set_rgb("bright", (200, 60, 40))
    a, b = editor.palette.classes[-1].ab
    assert a > 40
    assert b > 20
    assert editor.undo()
    assert not editor.undo()


def test_wrong_names_files_and_palettes_are_refused(tmp_path: Path) -> None:
    editor = PaletteEditor(load_palette("CT"))
    with pytest.raises(PaletteError, match="no class here"):
        editor.set("liver", (1, 2))
    with pytest.raises(PaletteError, match="classes"):
        editor.take(load_palette("MR"))
    with pytest.raises(PaletteError, match=r"\.yaml"):
        editor.save(tmp_path / "mine.txt")
    editor.save(tmp_path / "mine.yaml")
    with pytest.raises(OutputExistsError):
        editor.save(tmp_path / "mine.yaml")
    (tmp_path / "mr.yaml").write_text("modality: MR\nclasses: {outside: [0, 0]}\n")
    with pytest.raises(PaletteError, match="CT"):
        editor.load(tmp_path / "mr.yaml")
    assert not editor.changed


@pytest.fixture(scope="module")
def session() -> ColoringSession:
    made = ColoringSession(phantom.scan("CT", shape=(112, 96, 6)), colorizer="physics")
    for _ in made.work():
        pass
    return made


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize("seed", [0, 7])
def test_a_scan_painted_like_a_reference_looks_like_it(session: ColoringSession, seed: int) -> None:
    scan = phantom.scan("CT", seed=seed, shape=(112, 96, 6) if seed == 0 else (96, 128, 5))
    contrast = medcolor.load_colorizer("physics", palette="contrast")
    found = match(session, contrast(scan))
    assert ("same" in found.how) == (seed == 0)
    assert not set(found.unseen) & {"fat", "soft_tissue"}
    wanted = contrast(session.scan).rgb
    before = medcolor.load_colorizer("physics")(session.scan).rgb
    session.recolor(palette=found.palette)
    for _ in session.work():
        pass
    after = session.result().rgb
    session.recolor(palette="anatomical")
    for _ in session.work():
        pass
    assert difference(after, wanted) < 0.3 * difference(before, wanted)


def test_classes_that_a_reference_does_not_show_keep_their_colours(session: ColoringSession) -> None:
    found = match(session, medcolor.load_colorizer("physics", palette="contrast")(session.scan))
    assert "metal" in found.unseen
    assert found.palette.classes[-1].ab == session.look.palette.classes[-1].ab


def test_a_reference_without_tissue_colours_is_refused(session: ColoringSession) -> None:
    with pytest.raises(PaletteError, match="gray"):
        match(session, session.scan)
    with pytest.raises(PaletteError, match="table"):
        match(session, medcolor.load_colorizer("lut:hot_iron")(session.scan))
    with pytest.raises(PaletteError, match="no colour"):
        match(session, medcolor.load_colorizer("physics", strength=0.0)(session.scan))
