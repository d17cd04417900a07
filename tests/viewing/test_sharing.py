"""Pictures, films and reports of a colouring: pixels are kept, and every one says what its colours are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medcolor import phantom
from medcolor.errors import OutputExistsError, SettingError, WriteError
from medcolor.viewing import sharing
from medcolor.viewing.session import ColoringSession


@pytest.fixture(scope="module")
def session() -> ColoringSession:
    made = ColoringSession(phantom.scan("CT", shape=(64, 48, 4)), colorizer="physics")
    for _ in made.work():
        pass
    return made


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_legend_stands_beside_the_picture_and_touches_no_pixel(session: ColoringSession, side: str) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    legend = sharing.legend_of(session, 200)
    both = sharing.with_legend(picture, legend, side=side)  # type: ignore[arg-type]
    left = legend.shape[1] if side == "left" else 0
    assert np.array_equal(both[:50, left : left + 70], picture)
    assert both.shape == (200, 70 + legend.shape[1], 3)
    swatches = {tuple(color) for color in session.ramps()[5]}
    beside = {tuple(color) for color in np.delete(both, slice(left, left + 70), axis=1).reshape(-1, 3)}
    assert len(swatches & beside) > 20


def test_an_animated_png_holds_the_very_colours(session: ColoringSession, tmp_path: Path) -> None:
    path = sharing.save_film(session, tmp_path / "film.png", legend=False)
    with Image.open(path) as film:
        assert film.n_frames == 4
        for k in range(4):
            film.seek(k)
            frame = np.asarray(film.convert("RGB"))
            shown = {tuple(c) for c in frame[:-18].reshape(-1, 3)} - {(28, 28, 28)}
            assert shown == {tuple(c) for c in session.rgba[k, ..., :3].reshape(-1, 3)}


def test_a_film_has_true_proportions_and_can_go_through_another_axis(session: ColoringSession) -> None:
    i, j, _ = session.scan.geometry.spacing
    axial = sharing.film(session, legend=False, longest_side=10_000)[0]
    assert axial.shape[0] - 18 == pytest.approx(48 * j / min(i, j), abs=1)
    coronal = sharing.film(session, axis=1, legend=False, longest_side=10_000)
    assert len(coronal) == 48
    tall, wide = 4 * 5.0, 64 * i
    assert coronal[0].shape[0] - 18 == pytest.approx(tall / i, abs=1)
    assert coronal[0].shape[1] >= wide / i - 1


def test_equal_films_have_equal_bytes(session: ColoringSession, tmp_path: Path) -> None:
    one, two = (sharing.save_film(session, tmp_path / name) for name in ("a.gif", "b.gif"))
    assert one.read_bytes() == two.read_bytes()
    with Image.open(one) as film:
        assert film.n_frames == 4
        assert film.info["duration"] == pytest.approx(125, abs=10)


def test_nothing_is_overwritten_or_half_written(session: ColoringSession, tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    path.write_bytes(b"precious")
    with pytest.raises(OutputExistsError):
        sharing.save_film(session, path)
    assert path.read_bytes() == b"precious"
    with pytest.raises(WriteError, match=r"\.gif"):
        sharing.save_film(session, tmp_path / "film.mp4")
    with pytest.raises(WriteError, match=r"\.png"):
        sharing.save_picture(np.zeros((3, 3, 3), np.uint8), tmp_path / "x.jpg")
    with pytest.raises(SettingError, match="frames a second"):
        sharing.save_film(session, tmp_path / "fast.gif", frames_per_second=100)
    assert [p.name for p in tmp_path.iterdir()] == ["film.gif"]


def test_one_picture_is_no_film_and_an_unfinished_colouring_none_either(tmp_path: Path) -> None:
    flat = ColoringSession(phantom.scan("XR", shape=(40, 48, 1)), colorizer="physics")
    with pytest.raises(SettingError, match="not coloured yet"):
        sharing.save_film(flat, tmp_path / "x.gif")
    for _ in flat.work():
        pass
    with pytest.raises(SettingError, match="no film"):
        sharing.save_film(flat, tmp_path / "x.gif")


def test_the_report_is_about_what_is_shown(session: ColoringSession, tmp_path: Path) -> None:
    page = sharing.write_report(session, tmp_path / "report.html", title="a phantom").read_text()
    assert "a phantom" in page
    assert "0 of" in page
    assert "soft tissue" in page
