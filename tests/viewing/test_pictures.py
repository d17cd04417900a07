"""Rows and thumbnails of a picker; the legend as a picture."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medcolor import list_series, phantom, read
from medcolor.errors import ReadError
from medcolor.io import SeriesInfo
from medcolor.palettes import LegendEntry
from medcolor.report.legend import Legend, LegendRow
from medcolor.scan import Scan
from medcolor.viewing.canvas_legend import legend_picture, no_picture, picture_in
from medcolor.viewing.catalog import rows, thumbnail
from medcolor.viewing.session import ColoringSession
from medcolor.windowing import display_gray


def test_a_row_says_what_a_picker_needs(ct_series: Path) -> None:
    (row,) = rows(ct_series)
    assert (row.modality, row.size, row.n_files) == ("CT", "64 x 48 x 6", 6)
    assert row.spacing.endswith("x 5 mm")
    assert row.date == "" or len(row.date) == 10
    assert row.audit == ()
    assert read(ct_series, series=row.series.key).shape == (64, 48, 6)


def test_a_thumbnail_is_the_middle_slice_in_true_proportions(ct_series: Path, ct_scan: Scan) -> None:
    (series,) = list_series(ct_series)
    picture = thumbnail(series, 96)
    assert picture.shape == (96, 96)
    assert picture.dtype == np.uint8
    i, j, _ = ct_scan.geometry.spacing
    high, wide = np.flatnonzero(picture.any(axis=1)), np.flatnonzero(picture.any(axis=0))
    expected = np.asarray(Image.fromarray(display_gray(ct_scan)[..., 3].T).resize((96, round(96 * 48 * j / 64 / i))))
    inner = picture[(96 - expected.shape[0]) // 2 :][: expected.shape[0]]
    assert np.corrcoef(inner.reshape(-1), expected.reshape(-1))[0, 1] > 0.9
    assert high.size <= expected.shape[0] + 1
    assert wide.size <= 96


def test_thumbnails_of_archives_and_of_volumes_in_one_file(ct_series: Path, ct_scan: Scan, tmp_path: Path) -> None:
    import nibabel as nib

    with zipfile.ZipFile(tmp_path / "ct.zip", "w") as archive:
        for file in sorted(ct_series.iterdir()):
            archive.write(file, file.name)
    (row,) = rows(tmp_path / "ct.zip")
    assert row.date == ""
    np.testing.assert_array_equal(thumbnail(row.series, 64), thumbnail(list_series(ct_series)[0], 64))
    volume = np.asarray(ct_scan.voxels)
    nib.save(nib.Nifti1Image(np.stack([volume, volume + 100], -1), ct_scan.geometry.affine), tmp_path / "two.nii")
    found = rows(tmp_path / "two.nii")
    assert [row.series.key for row in found] == ["#1", "#2"]
    assert all(thumbnail(row.series, 32).any() for row in found)


def test_a_listing_without_files_is_refused() -> None:
    with pytest.raises(ReadError):
        thumbnail(SeriesInfo("1.2", "dicom", "CT", "", (1, 1, 1)))


@pytest.fixture(scope="module")
def session() -> ColoringSession:
    session = ColoringSession(phantom.scan("CT", shape=(64, 48, 3)), colorizer="physics")
    list(session.work())
    return session


def distinct(picture: np.ndarray) -> set[tuple[int, ...]]:
    return set(map(tuple, np.unique(picture.reshape(-1, picture.shape[-1])[:, :3], axis=0).tolist()))


@pytest.mark.parametrize("look", [{}, {"palette": "contrast"}, {"strength": 0.4}, {"cvd": "deutan"}])
@pytest.mark.parametrize("height", [200, 320, 700])
def test_the_legend_has_the_very_colours_of_the_session(
    session: ColoringSession, look: dict[str, object], height: int
) -> None:
    session.recolor(**({"palette": "anatomical", "strength": 1.0, "cvd": None} | look))  # type: ignore[arg-type]
    plain, ramped = (legend_picture(session.legend(), height=height, ramps=r) for r in (None, session.ramps()))
    assert plain.shape[0] == ramped.shape[0] == height
    assert plain.dtype == np.uint8
    assert plain.shape[2] == 4
    assert {row.entry.swatch for row in session.legend().rows} <= distinct(plain)
    colors = distinct(ramped)
    for ramp in session.ramps():
        assert {tuple(ramp[g]) for g in (0, 255)} <= colors
        assert len({tuple(c) for c in ramp.tolist()} & colors) >= 32


def test_swatches_are_the_colours_that_the_canvas_shows_at_their_gray(session: ColoringSession) -> None:
    session.recolor(palette="anatomical", strength=1.0, cvd=None, window="abdomen")
    names = [row.entry.name for row in session.legend().rows]
    seen = distinct(legend_picture(session.legend(), ramps=session.ramps(), height=320))
    found = 0
    for j in range(48):
        for i in range(64):
            probe = session.probe(i, j, 1)
            if probe.tissue[0][1] > 0.9999 and probe.tissue[0][0] != "outside":
                ramp = session.ramps()[names.index(probe.tissue[0][0])].astype(int)
                near = min(np.abs(np.array(probe.rgb) - color).max() for color in ramp)
                assert near <= 1
                found += any(np.abs(np.array(probe.rgb) - np.array(color)).max() <= 8 for color in seen)
    assert found > 20


def test_many_rows_are_counted_not_squeezed() -> None:
    entries = [LegendEntry(f"organ {n}", f"organ {n}", "", (n, 2 * n, 255 - n)) for n in range(100)]
    legend = Legend(tuple(LegendRow(entry, n / 100) for n, entry in enumerate(entries)), "volume of the label map")
    picture = legend_picture(legend, height=200)
    assert picture.shape[0] == 200
    assert entries[99].swatch in distinct(picture)
    assert entries[0].swatch not in distinct(picture)
    assert legend_picture(legend, height=3000).shape[0] == 3000


def test_a_table_shows_its_steps_with_units() -> None:
    session = ColoringSession(phantom.scan("CT", shape=(64, 48, 2)), colorizer="lut:hot_iron", window="abdomen")
    list(session.work())
    legend = session.legend()
    assert [row.entry.label for row in legend.rows] == ["240 HU", "160 HU", "80 HU", "0 HU", "-80 HU", "-160 HU"]
    assert legend.rows[0].entry.swatch == tuple(session.ramps()[0, 255])
    colors = distinct(legend_picture(legend, height=256, ramps=session.ramps()))
    assert {row.entry.swatch for row in legend.rows} <= colors


@pytest.mark.parametrize("room", [(340, 400), (200, 300), (130, 260), (160, 10), (40, 10)])
def test_a_legend_stays_in_its_corner_or_begins_below_the_letter(ct_scan: Scan, room: tuple[int, int]) -> None:
    session = ColoringSession(ct_scan, colorizer="physics")
    list(session.work())
    picture = picture_in(session.legend(), room, letter=40, title="CT, C 40 W 400 HU", ramps=session.ramps())
    above = 0 if picture.shape[1] <= room[1] else 40
    assert not picture[:above].any(), "the letter shows"
    assert 120 <= picture.shape[0] - above <= max(room[0] - above, 120), "smaller ones nobody reads"
    assert np.ptp(picture[..., :3].astype(int), axis=-1).max() > 40
    assert not no_picture().any()
