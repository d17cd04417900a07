"""The viewer as a user has it: real windows, real pixels, real bad files. Without a display: run under xvfb-run."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from viewer_pixels import pixels

from medcolor import phantom
from medcolor.phantom.traps import TRAPS
from medcolor.scan import MODALITIES
from medcolor.viewing.opening import parts_of_a_series

pytest.importorskip("napari", reason='napari is not installed (pip install "medcolor[napari]")')
from napari_plugin import commands, desk, layers, welcome
from napari_plugin.canvas import attach
from napari_plugin.commands import THEME
from napari_plugin.keybindings import next_window
from napari_plugin.preferences import prefer, preference

pytestmark = [pytest.mark.viewer, pytest.mark.filterwarnings("default")]
BY_NAME = {trap.name: trap for trap in TRAPS}
# each of another kind: no file, no image, a damaged one, a bomb, one the decoder chokes on, one that is no scan
BAD = ("file-of-text", "file-of-no-bytes", "pixels-cut-in-half", "pixels-garbage-jpeg-2000", "nifti-20000-cubed",
       "zip-bomb", "object-segmentation", "dicomdir-with-dots", "gzip-cut")  # fmt: skip


def test_every_sample_opens_and_is_seen(viewer: Any) -> None:
    for family in MODALITIES:
        viewer.layers.clear()
        (layer,) = viewer.open_sample("medcolor", f"phantom_{family.lower()}")
        assert layers.about(layer)
        picture = pixels(viewer)
        middle = picture[picture.shape[0] // 4 : -picture.shape[0] // 4, picture.shape[1] // 4 : -picture.shape[1] // 4]
        assert middle.std() > 8, f"{family}: nothing to see"
        assert np.ptp(picture.astype(int), axis=-1).max() == 0, f"{family}: gray is shown gray"


def test_an_axial_scan_appears_as_radiologists_read_it(viewer: Any) -> None:
    """Patient left is on the right of the screen, the front on top, whichever way the file stores its rows."""
    for flip in ((False, False, False), (True, True, False)):
        viewer.layers.clear()
        geometry = phantom.oblique((40, 32, 5), (2.0, 2.0, 5.0), flip=flip)
        scan = phantom.letter(geometry)
        world = geometry.index_to_world(np.indices((40, 32, 5)).reshape(3, -1).T)
        middle = (world.min(axis=0) + world.max(axis=0)) / 2
        marked = (world[:, 0] < middle[0]) & (world[:, 1] > middle[1])  # RAS: left is -x, front is +y
        values = np.where(marked, 30_000, 4_000).reshape(40, 32, 5).astype(np.int16)
        data, meta, kind = layers.gray_layer(replace(scan, voxels=values), "it")
        attach(viewer)
        viewer._add_layer_from_data(data, meta, kind)
        picture = pixels(viewer).max(axis=-1)
        rows, columns = picture.shape
        quarters = {
            (down, right): float(np.median(picture[int(rows * (0.3 + 0.3 * down)) :][: rows // 10,
                                                   int(columns * (0.37 + 0.18 * right)) :][:, : columns // 12]))
            for down in (0, 1) for right in (0, 1)
        }  # fmt: skip
        assert max(quarters, key=quarters.__getitem__) == (0, 1), (flip, quarters)
        overlays = viewer.canvas.overlays
        assert [overlays[f"medcolor_{side}"].text for side in ("left", "right", "top", "bottom")] == [
            "R",
            "L",
            "A",
            "P",
        ]


def test_letters_are_drawn_on_the_canvas(viewer: Any) -> None:
    viewer.open_sample("medcolor", "phantom_ct")
    with_letters = pixels(viewer)
    attach(viewer).toggle()
    without = pixels(viewer)
    rows, columns = np.nonzero((with_letters != without).any(axis=-1))
    height, width = with_letters.shape[:2]
    assert (columns < 0.1 * width).any()
    assert (columns > 0.9 * width).any()
    assert (rows < 0.1 * height).any()
    assert (rows > 0.9 * height).any()


def test_the_reading_room_is_dark_and_neutral(viewer: Any) -> None:
    viewer.theme = "medcolor-reading-room"
    picture = pixels(viewer)
    assert picture.reshape(-1, 3).max() <= 64
    assert np.ptp(picture.astype(int), axis=-1).max() == 0


def test_a_bad_file_is_one_readable_message_and_the_viewer_lives(viewer: Any, said: list[str], tmp_path: Path) -> None:
    viewer.open_sample("medcolor", "phantom_ct")
    for name in BAD:
        (tmp_path / name).mkdir()
        path = BY_NAME[name].make(tmp_path / name)
        said.clear()
        assert viewer.open(str(path), plugin="medcolor") == []
        assert len(said) == 1, (name, said)
        assert path.name in said[0] or name in said[0], said
        assert "CANARY" not in said[0].upper()
        assert "Traceback" not in said[0]
        assert len(viewer.layers) == 1
    assert pixels(viewer).std() > 8


def test_a_crashing_decoder_does_not_take_the_viewer_with_it(
    viewer: Any, said: list[str], ct_series: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = desk.wait

    def crashing(job: Any, label: str, **options: Any) -> Any:
        os.kill(job._child.pid, signal.SIGSEGV)
        return wait(job, label, **options)

    with monkeypatch.context() as patch:
        patch.setattr(desk, "wait", crashing)
        assert viewer.open(str(ct_series), plugin="medcolor") == []
    assert len(said) == 1
    assert ct_series.name in said[0]
    assert "crashed (SIGSEGV" in said[0]
    assert len(viewer.open(str(ct_series), plugin="medcolor")) == 1, "and goes on reading"


def test_the_picker_shows_each_series_and_opens_those_chosen(
    viewer: Any, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qtpy.QtWidgets import QApplication, QDialog

    from napari_plugin import picker

    for number in ("1", "2"):
        phantom.write_dicom(
            phantom.scan("US", shape=(40, 32, 1)), tmp_path / number, series=number, description=f"view {number}"
        )
    seen: list[list[str]] = []

    def choose_second(dialog: picker.SeriesPicker) -> int:
        job = dialog._job
        while not job.poll():
            QApplication.processEvents()
        dialog._look()
        seen.extend([dialog.table.item(n, c).text() for c in range(1, 8)] for n in range(dialog.table.rowCount()))
        assert all(not dialog.table.item(n, 0).icon().isNull() for n in range(dialog.table.rowCount()))
        dialog.table.selectRow(next(n for n, row in enumerate(seen) if row[1].startswith("view 2")))
        return int(QDialog.DialogCode.Accepted)

    monkeypatch.setattr(picker.SeriesPicker, "exec", choose_second)
    (layer,) = viewer.open(str(tmp_path), plugin="medcolor")
    assert layer.name.startswith("view 2")
    assert sorted((row[0], row[1][:6], row[2]) for row in seen) == [("US", f"view {n}", "40 x 32 x 1") for n in (1, 2)]
    monkeypatch.setattr(picker.SeriesPicker, "exec", lambda _: int(QDialog.DialogCode.Rejected))
    assert viewer.open(str(tmp_path), plugin="medcolor") == []
    assert said == [], "to change one's mind is no error"


def test_slices_dropped_together_are_one_series_and_other_files_are_left_to_napari(
    viewer: Any, said: list[str], ct_series: Path, tmp_path: Path
) -> None:
    from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
    from qtpy.QtGui import QDragEnterEvent, QDropEvent
    from qtpy.QtWidgets import QApplication

    def dropped(paths: list[Path]) -> list[tuple[int, ...]]:
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        copy, left, bare = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        before, target = list(viewer.layers), viewer.window._qt_window._qt_viewer
        QApplication.sendEvent(target, QDragEnterEvent(QPoint(50, 50), copy, mime, left, bare))
        QApplication.sendEvent(target, QDropEvent(QPointF(50, 50), copy, mime, left, bare))
        return [layer.data.shape for layer in viewer.layers if layer not in before]

    viewer.open_sample("medcolor", "phantom_us")
    slices = sorted(ct_series.iterdir())
    assert dropped(slices) == [(6, 48, 64)]
    assert dropped(slices[:3]) == [(6, 48, 64)], "a series is never cut"
    for name in ("a.nii.gz", "b.nii.gz"):
        (tmp_path / name).write_bytes(b"no DICOM")
    assert not parts_of_a_series([tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"])
    assert not parts_of_a_series([slices[0], tmp_path / "a.nii.gz"])
    assert not parts_of_a_series(slices[:1])
    assert said == []


def test_geometry_that_is_off_is_said(viewer: Any, said: list[str], tmp_path: Path) -> None:
    phantom.write_dicom(phantom.letter(), tmp_path / "oblique")
    viewer.open(str(tmp_path / "oblique"), plugin="medcolor")
    assert len(said) == 1
    assert "blique" in said[0]


def test_w_steps_through_the_windows(viewer: Any) -> None:
    (layer,) = viewer.open_sample("medcolor", "phantom_ct")
    before = tuple(layer.contrast_limits)
    next_window(viewer)
    next_window(viewer)
    assert tuple(layer.contrast_limits) != before
    assert layer.metadata["medcolor"]["window"] in viewer.status


def test_the_first_scan_brings_the_colour_panel_and_later_ones_no_second(
    viewer: Any, qtbot: Any, ct_series: Path
) -> None:
    from napari_plugin.panel import ColorPanel

    def panels() -> list[Any]:
        return list(viewer.window._qt_window.findChildren(ColorPanel))

    viewer.open_sample("medcolor", "phantom_us")
    qtbot.wait(300)
    assert panels() == [], "who has switched it off has it off"
    welcome._greeted.discard(viewer)
    prefer("opening", "panel", True)
    (layer,) = viewer.open(str(ct_series), plugin="medcolor")
    qtbot.waitUntil(lambda: len(panels()) == 1, timeout=10_000)
    (panel,) = panels()
    assert panel.scene.coloring.gray is layer, "one press from colour"
    qtbot.wait(300)
    width = layer.extent.world[1][-1] - layer.extent.world[0][-1]
    assert width * viewer.scene.camera.zoom < viewer.canvas.size[1], "the scan is whole beside the panel"
    welcome._greeted.discard(viewer)
    viewer.open_sample("medcolor", "phantom_us")
    qtbot.wait(300)
    assert len(panels()) == 1


def test_the_reading_room_is_offered_once_and_remembered(viewer: Any, qtbot: Any) -> None:
    from napari.utils.notifications import notification_manager

    prefer("display", "reading_room", "ask")
    before = len(notification_manager.records)
    viewer.open_sample("medcolor", "phantom_us")
    qtbot.waitUntil(lambda: len(notification_manager.records) > before, timeout=10_000)
    offer = notification_manager.records[-1]
    assert "reading-room" in offer.message
    (_, take), (_, decline) = offer.actions
    assert viewer.theme != THEME, "nothing changes unasked"
    decline(None)
    assert preference("display", "reading_room", otherwise="") == "never"
    take(None)
    assert viewer.theme == THEME
    viewer.theme = "dark"
    welcome._greeted.discard(viewer)
    viewer.open_sample("medcolor", "phantom_us")
    assert viewer.theme == THEME, "always: without a question"


def test_a_series_is_called_as_the_scanner_called_it(viewer: Any, tmp_path: Path) -> None:
    phantom.write_dicom(phantom.scan("US", shape=(40, 32, 1)), tmp_path / "image", description="Thyroid left")
    (layer,) = viewer.open(str(tmp_path / "image"), plugin="medcolor")
    assert layer.name == "Thyroid left (gray)"


def test_a_folder_without_scans_is_one_sentence(
    viewer: Any, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qtpy.QtWidgets import QFileDialog

    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "aunt.txt").write_text("Dear aunt")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "letters"))
    commands.open_folder(viewer)
    assert len(said) == 1
    assert "letters" in said[0]
    assert "no scan" in said[0]
    assert len(viewer.layers) == 0
