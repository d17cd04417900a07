"""Scans as layers, without a window: values, units, where they lie, and what a layer gives back when it is saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medcolor import io, phantom
from medcolor.color import restore_gray
from medcolor.errors import AmbiguousSeriesError, ReadError, WriteError
from medcolor.scan import MODALITIES, Scan, to_slices
from medcolor.viewing.opening import first_look, geometry_message, looks_like_scans
from medcolor.viewing.placement import place
from medcolor.viewing.session import ColoringSession
from medcolor.voi import Window
from medcolor.windowing import default_display

pytest.importorskip("napari", reason='napari is not installed (pip install "medcolor[napari]")')
from napari.components import ViewerModel

from napari_plugin import layers, reader, samples, writer
from napari_plugin.canvas import attach


def shown(scan: Scan, model: ViewerModel | None = None):  # type: ignore[no-untyped-def]
    model = model or ViewerModel()
    attach(model)
    (layer,) = model._add_layer_from_data(*layers.gray_layer(scan, "it"))
    return model, layer


def letters_of(model: ViewerModel) -> str:
    return " ".join(model.canvas.overlays[f"medcolor_{side}"].text for side in ("left", "right", "top", "bottom"))


def finished(scan: Scan) -> ColoringSession:
    session = ColoringSession(scan, colorizer="physics")
    for _ in session.work():
        pass
    return session


@pytest.mark.parametrize("family", MODALITIES)
def test_a_gray_layer_holds_true_values_with_units_and_spacing(family: str) -> None:
    scan = phantom.scan(family)
    _, layer = shown(scan)
    where = place(scan)
    assert layer.name == "it (gray)"
    assert np.array_equal(layers.to_scan_slices(scan, layer.data), to_slices(scan.voxels))
    assert np.shares_memory(layer.data, scan.voxels), "no copy"
    assert tuple(layer.scale) == pytest.approx(where.scale)
    assert tuple(str(unit) for unit in layer.units) == tuple({"mm": "millimeter"}.get(u, u) for u in where.units)
    assert tuple(layer.axis_labels) == where.axis_labels
    assert layer.metadata["medcolor"]["scan"] is scan
    display = default_display(scan)
    assert isinstance(display, Window)
    assert tuple(layer.contrast_limits) == pytest.approx(display.bounds)


def test_every_voxel_of_an_axial_scan_is_at_its_place_in_the_patient() -> None:
    scan = phantom.scan("CT", shape=(20, 16, 4))
    _, layer = shown(scan)
    for index in ((0, 0, 0), (19, 3, 2), (7, 15, 3)):
        lps = (scan.geometry.to_lps() @ [*index, 1])[:3]
        position = place(scan).position(*index)
        assert layer.data_to_world(position) == pytest.approx(lps[::-1])


def test_an_inverted_scan_is_shown_turned_and_keeps_its_values() -> None:
    scan = phantom.scan("XR", shape=(40, 48, 1), inverted=True)
    _, layer = shown(scan)
    assert layer.colormap.name == "gray_r"
    assert np.array_equal(layer.data[0], to_slices(scan.voxels)[0])


def test_an_image_that_is_colour_already_is_shown_as_stored() -> None:
    scan = phantom.scan("US", shape=(30, 20, 2))
    rgb = np.repeat(scan.voxels[..., None], 3, axis=-1).astype(np.uint8)
    rgb[3:6, 4:8, :, 0] = 200
    _, layer = shown(replace(scan, rgb=rgb, colored=(rgb[..., 0] != rgb[..., 1])))
    assert layer.rgb
    assert layer.name.endswith("(as stored)")
    assert np.array_equal(layer.data, to_slices(rgb))


def test_the_acquired_plane_appears_with_its_letters() -> None:
    model, _ = shown(phantom.scan("CT", shape=(20, 16, 4)))
    assert letters_of(model) == "R L A P"
    coronal, _ = shown(phantom.scan("PT", shape=(24, 40, 6)))
    assert letters_of(coronal) == "R L S I"


def test_letters_follow_the_axes_the_camera_and_the_dimension() -> None:
    model, _ = shown(phantom.scan("CT", shape=(20, 16, 4)))
    model.dims.order = (0, 2, 1)
    assert letters_of(model) == "A P R L"
    model.dims.order = (1, 0, 2)
    assert letters_of(model) == "R L I S"
    model.scene.camera.orientation2d = ("up", "left")
    assert letters_of(model) == "L R S I"
    model.dims.ndisplay = 3  # which ones these are, test_see.py asks
    assert sorted(letters_of(model).split()) == ["I", "L", "R", "S"]
    model.dims.ndisplay = 2
    attach(model).toggle()
    assert letters_of(model).strip() == ""


def test_an_oblique_scan_says_that_it_is() -> None:
    scan = phantom.letter()
    model, layer = shown(scan)
    assert "Oblique" in model.canvas.overlays["medcolor_note"].text.replace("\n", " ")
    assert layer.metadata["medcolor"]["affine_ras_mm"] == scan.geometry.affine.tolist()
    assert tuple(layer.scale) == pytest.approx(scan.geometry.spacing[::-1])
    assert "Oblique" in geometry_message(scan, "it")


@pytest.mark.parametrize("family", MODALITIES)
def test_a_sample_of_each_modality_needs_no_network(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a sample went to the network"))
    ((data, meta, kind),) = getattr(samples, f"phantom_{family.lower()}")()
    assert kind == "image"
    assert data.size
    assert meta["metadata"]["medcolor"]["scan"].family == family


def test_a_folder_of_one_series_is_read_at_once(ct_series: Path, ct_scan: Scan) -> None:
    read = reader.get_reader(str(ct_series))
    assert read is not None
    ((data, meta, _),) = read(str(ct_series))
    assert np.array_equal(np.sort(data, axis=0), np.sort(to_slices(ct_scan.voxels), axis=0))
    assert meta["units"] == ("mm", "mm", "mm")


def test_slices_dropped_together_are_one_series(ct_series: Path) -> None:
    files = [str(path) for path in sorted(ct_series.glob("*.dcm"))]
    ((data, _, _),) = reader.read_layers(files)
    assert len(data) == len(files)


def test_several_series_are_never_chosen_silently(tmp_path: Path) -> None:
    for number in ("1", "2"):
        phantom.write_dicom(phantom.scan("US", shape=(20, 16, 1)), tmp_path / number, series=number)
    assert len(first_look(tmp_path)) == 2  # type: ignore[arg-type]
    with pytest.raises(AmbiguousSeriesError):
        reader.read_layers(str(tmp_path))


def test_folders_without_scans_are_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no scan")
    assert reader.get_reader(str(tmp_path)) is None
    assert not looks_like_scans(tmp_path / "nowhere")


def test_without_a_window_a_refusal_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.dcm").write_bytes(b"no image")
    with pytest.raises(ReadError, match=r"bad\.dcm"):
        reader.read_layers(str(tmp_path / "bad.dcm"))


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
def test_a_saved_coloured_layer_restores_to_what_was_shown(ending: str, tmp_path: Path) -> None:
    scan = phantom.scan("PT", shape=(24, 40, 6))  # coronal: layer axes are not those of the file
    data, meta, _ = layers.color_layer(finished(scan), "it")
    (path,) = writer.write_volume(str(tmp_path / f"it{ending}"), data, meta)
    gray = io.restore(path)
    colored = writer.as_value(data, meta)
    assert np.array_equal(to_slices(gray.voxels), restore_gray(to_slices(colored.rgb)))
    assert gray.geometry.matches(scan.geometry)


def test_a_coloured_layer_is_saved_as_dicom_and_png_in_folders(ct_series: Path, tmp_path: Path) -> None:
    scan = io.read(ct_series)
    data, meta, _ = layers.color_layer(finished(scan), "it")
    objects = writer.write_dicom(str(tmp_path / "it.dcm"), data, meta)
    pictures = writer.write_png(str(tmp_path / "pictures.png"), data, meta)
    assert len(objects) == len(pictures) == scan.shape[2]
    assert {Path(path).parent for path in objects} == {tmp_path / "it"}
    assert np.array_equal(io.restore(tmp_path / "it").voxels, io.restore(tmp_path / "pictures").voxels)
    with pytest.raises(WriteError, match="exist"):
        writer.write_dicom(str(tmp_path / "it.dcm"), data, meta)


def test_a_gray_layer_is_saved_in_true_units(tmp_path: Path) -> None:
    scan = phantom.scan("CT", shape=(20, 16, 4))
    data, meta, _ = layers.gray_layer(scan, "it")
    (path,) = writer.write_volume(str(tmp_path / "it.nii.gz"), data, meta)
    assert np.array_equal(io.read(path, modality="CT").voxels, scan.voxels)


def test_what_cannot_give_its_gray_back_is_refused_in_one_sentence(tmp_path: Path) -> None:
    scan = phantom.scan("CT", shape=(20, 16, 4))
    session = finished(scan)
    data, meta, _ = layers.color_layer(session, "it")
    painted = data.copy()
    painted[1, 2:5, 3:6, :3] = (255, 0, 0)
    with pytest.raises(WriteError, match=r"9 of 1280 pixels .* gray cannot be recovered"):
        writer.write_volume(str(tmp_path / "it.nii.gz"), painted, meta)
    with pytest.raises(WriteError, match="cropped"):
        writer.write_volume(str(tmp_path / "it.nii.gz"), data[1:], meta)
    with pytest.raises(WriteError, match="open or colour"):
        writer.write_volume(str(tmp_path / "it.nii.gz"), data, {})
    unfinished, meta, _ = layers.color_layer(ColoringSession(scan, colorizer="physics"), "it")
    with pytest.raises(WriteError, match="4 of 4 slices are not coloured"):
        writer.write_volume(str(tmp_path / "it.nii.gz"), unfinished, meta)
    assert not list(tmp_path.iterdir())
    recolored = data.copy()
    recolored[..., :3] = restore_gray(np.ascontiguousarray(data[..., :3]))[..., None]  # gray: the law still holds
    data, meta, _ = layers.color_layer(session, "it")
    assert writer.write_volume(str(tmp_path / "it.nii.gz"), recolored, meta)
