"""Every trap is read with its one right answer, or refused with the right reason, and never gives away the patient."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medcolor.errors import AmbiguousSeriesError, MedcolorError, MedcolorWarning, ReadError
from medcolor.io import list_series, read
from medcolor.phantom.traps import CANARY, TRAPS, Expect, Trap
from medcolor.scan import Scan, Severity, to_slices
from medcolor.windowing import display_gray

BY_NAME = {trap.name: trap for trap in TRAPS}
READABLE = [trap for trap in TRAPS if trap.expect.error is None]
REFUSED = [trap for trap in TRAPS if trap.expect.error not in (None, AmbiguousSeriesError)]
SEVERAL = [trap for trap in TRAPS if trap.expect.error is AmbiguousSeriesError]


def each(traps: list[Trap]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("trap", traps, ids=lambda trap: trap.name)


def says_nothing_of_the_patient(*texts: object) -> None:
    for text in texts:
        assert not re.search("canary", str(text), re.IGNORECASE), text


def read_quietly(path: Path, expect: Expect) -> Scan:
    """Read, and hold read() to its warnings: ours only, and only where one is due."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scan = read(path)
    foreign = [w for w in caught if not issubclass(w.category, MedcolorWarning)]
    assert not foreign, f"a library's warning came through: {foreign[0].message}"
    assert bool(caught) == expect.warns, [str(w.message) for w in caught]
    says_nothing_of_the_patient(*[w.message for w in caught])
    return scan


def along_k(scan: Scan, expect: Expect) -> Expect:
    """Turn the expected slices round where the reader starts at the other end of the same stack: equally right."""
    if expect.affine_lps is None or np.dot(scan.geometry.to_lps()[:3, 2], expect.affine_lps[:3, 2]) > 0:
        return expect
    affine = expect.affine_lps.copy()
    affine[:3, 3] += affine[:3, 2] * (scan.shape[2] - 1)
    affine[:3, 2] *= -1
    turned = None if expect.voxels is None else np.flip(expect.voxels, 2)
    return replace(expect, affine_lps=affine, voxels=turned)


def check_values(scan: Scan, expect: Expect) -> None:
    if expect.voxels is not None:
        assert scan.shape == expect.voxels.shape
        assert np.abs(scan.voxels.astype(float) - expect.voxels).max() <= expect.atol
    if expect.rgb is not None:
        assert scan.rgb is not None, "colour was lost"
        assert np.abs(scan.rgb.astype(int) - expect.rgb).max() <= expect.atol
    if expect.colored is not None:
        assert scan.colored is not None
        assert not (expect.colored & ~scan.colored).any(), "a coloured pixel is not in the mask"
    if expect.padding is not None:
        assert scan.padding is not None
        assert np.array_equal(scan.padding, expect.padding)
    if expect.gray is not None:
        assert display_gray(scan).ravel().tolist() == expect.gray.ravel().tolist()


def check_geometry(scan: Scan, expect: Expect) -> None:
    if expect.affine_lps is not None:
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in scan.shape])).reshape(3, -1).T
        expected = corners @ expect.affine_lps[:3, :3].T + expect.affine_lps[:3, 3]
        found = scan.geometry.index_to_world(corners) * [-1, -1, 1]
        assert np.abs(found - expected).max() < 1e-3
        assert np.abs(scan.geometry.to_lps() - expect.affine_lps).max() < 1e-3
    if expect.positions_lps is not None:
        headers, frames = scan.source.headers, scan.source.frames
        found = np.array([headers[h].ImagePositionPatient for h, _ in frames], float)
        assert np.abs(found - expect.positions_lps).max() < 1e-3
    if expect.spacing is not None:
        assert scan.geometry.spacing == pytest.approx(expect.spacing, abs=1e-6)


def check_words(scan: Scan, expect: Expect) -> None:
    for name in ("units", "modality", "shape", "inverted", "k_axis"):
        wanted = getattr(expect, name)
        assert wanted is None or getattr(scan, name) == wanted, name
    assert expect.space is None or scan.geometry.space is expect.space
    assert expect.windows is None or len(scan.windows) == expect.windows
    for keyword, value in expect.facts.items():
        assert scan.facts.get(keyword) == value, keyword
    codes = [finding.code for finding in scan.audit]
    assert set(expect.findings) <= set(codes), codes
    assert expect.irregular is None or scan.irregular == expect.irregular, codes
    if expect.clean:
        assert [f.code for f in scan.audit if f.severity is not Severity.NOTE] == []


@each(READABLE)
def test_a_readable_trap_gives_its_values_in_place(trap: Trap, tmp_path: Path) -> None:
    path = trap.make(tmp_path)
    scan = read_quietly(path, trap.expect)
    expect = along_k(scan, trap.expect)
    check_values(scan, expect)
    check_geometry(scan, expect)
    check_words(scan, expect)
    says_nothing_of_the_patient(*scan.audit, dict(scan.facts), scan)


@each(REFUSED)
def test_a_refused_trap_says_which_file_and_why(trap: Trap, tmp_path: Path) -> None:
    path = trap.make(tmp_path)
    assert trap.expect.error is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(trap.expect.error) as caught:
            read(path)
    assert path.name in str(caught.value)
    says_nothing_of_the_patient(caught.value)
    if trap.expect.codes:
        assert isinstance(caught.value, ReadError)
        assert caught.value.code in trap.expect.codes


@each(SEVERAL)
def test_several_stacks_are_listed_and_each_can_be_chosen(trap: Trap, tmp_path: Path) -> None:
    path = trap.make(tmp_path)
    with pytest.raises(AmbiguousSeriesError) as caught:
        read(path)
    listed = list_series(path)
    assert len(listed) == len(caught.value.choices) == trap.expect.listed
    assert len({info.key for info in listed}) == len(listed)
    says_nothing_of_the_patient(caught.value, *listed)
    for number, info in enumerate(listed, start=1):
        scan = read(path, series=info.key)
        assert scan.shape == info.shape
        assert read(path, series=number).source.digest == scan.source.digest


@each([trap for trap in READABLE if trap.expect.listed])
def test_a_readable_trap_is_listed_as_often_as_it_should(trap: Trap, tmp_path: Path) -> None:
    path = trap.make(tmp_path)
    listed = list_series(path)
    assert len(listed) == trap.expect.listed
    says_nothing_of_the_patient(*listed)


@each(TRAPS)
def test_listing_a_trap_ends_well_or_with_a_typed_refusal(trap: Trap, tmp_path: Path) -> None:
    path = trap.make(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            listed = list_series(path)
        except (MedcolorError, FileNotFoundError) as error:
            says_nothing_of_the_patient(error)
        else:
            says_nothing_of_the_patient(*listed)


@pytest.mark.parametrize("name", ["mr-dwi", "mr-two-echoes", "mr-cardiac", "mr-temporal-positions", "ct-perfusion"])
def test_volumes_of_one_series_are_not_mixed(name: str, tmp_path: Path) -> None:
    path = BY_NAME[name].make(tmp_path)
    volumes = [read(path, series=info.key).voxels for info in list_series(path)]
    step = 0 if name == "ct-perfusion" else 1000  # volume n of the MR traps is the first plus 1000 n
    for n, volume in enumerate(volumes):
        assert np.array_equal(volume, volumes[0] + step * n)


def test_the_second_volume_of_a_file_can_be_chosen(tmp_path: Path) -> None:
    path = BY_NAME["mr-enhanced-two-times"].make(tmp_path)
    first, second = (read(path, series=info.key) for info in list_series(path))
    assert np.array_equal(second.voxels, first.voxels + 1000)


def test_links_are_not_followed_out_of_the_folder_by_the_listing_either(tmp_path: Path) -> None:
    path = BY_NAME["symlink-out-of-the-folder"].make(tmp_path)
    assert len(list_series(path)) == 1


def test_there_are_at_least_sixty_traps_and_their_names_differ() -> None:
    assert len(BY_NAME) == len(TRAPS) >= 60


def test_the_canary_is_in_the_files(tmp_path: Path) -> None:
    path = BY_NAME["ct-plain"].make(tmp_path)
    assert CANARY.encode() in (path / "0001.dcm").read_bytes()


@pytest.mark.parametrize("name", ["ct-plain", "ct-oblique-30", "ct-reversed-order", "ct-jpeg-ls-signed", "ct-deflated"])
def test_simpleitk_sees_the_same_volume_in_a_trap_it_can_read(name: str, tmp_path: Path) -> None:
    import SimpleITK as sitk

    folder = BY_NAME[name].make(tmp_path)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    expect = BY_NAME[name].expect
    assert expect.voxels is not None
    assert np.array_equal(sitk.GetArrayFromImage(image), to_slices(expect.voxels))
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    assert expect.affine_lps is not None
    assert np.abs(affine - expect.affine_lps).max() < 1e-3
