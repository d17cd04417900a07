"""Reading in a child process gives the same scan, the same refusals, and survives what kills the child."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from medcolor import phantom
from medcolor.errors import AmbiguousSeriesError, MedcolorWarning, ReadCode, ReadError, SettingError
from medcolor.io import read
from medcolor.io.isolated import Isolated, read_isolated
from medcolor.phantom.traps import TRAPS
from medcolor.scan import Scan

BY_NAME = {trap.name: trap for trap in TRAPS}


@pytest.fixture(scope="module")
def cine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cine")
    phantom.write_dicom(phantom.scan("US", shape=(40, 30, 3)), folder)
    return folder


def equal(a: Scan, b: Scan) -> None:
    assert np.array_equal(a.voxels, b.voxels)
    assert a.voxels.dtype == b.voxels.dtype
    assert a.voxels.strides == b.voxels.strides, "laid out slice by slice"
    assert a.geometry.matches(b.geometry)
    assert (a.modality, a.units, a.windows, a.inverted, a.k_axis) == (
        b.modality,
        b.units,
        b.windows,
        b.inverted,
        b.k_axis,
    )
    assert (a.audit, dict(a.facts), a.source.digest) == (b.audit, dict(b.facts), b.source.digest)
    assert (a.rgb is None) == (b.rgb is None)
    assert a.rgb is None or np.array_equal(a.rgb, b.rgb)
    assert (a.padding is None) == (b.padding is None)
    assert a.padding is None or np.array_equal(a.padding, b.padding)
    assert [str(h) for h in a.source.headers] == [str(h) for h in b.source.headers]


def test_the_scan_is_the_same_and_as_read_only(ct_series: Path) -> None:
    here, there = read(ct_series), read_isolated(ct_series)
    equal(here, there)
    assert not there.voxels.flags.writeable
    with pytest.raises(TypeError):
        there.facts["x"] = 1


def test_colour_padding_and_cine_come_through(cine: Path, tmp_path: Path) -> None:
    equal(read(cine), read_isolated(cine))
    for name in ("us-doppler", "ct-padding-inside-body"):
        (tmp_path / name).mkdir()
        path = BY_NAME[name].make(tmp_path / name)
        equal(read(path), read_isolated(path))


def test_what_is_read_can_be_written(ct_series: Path, tmp_path: Path) -> None:
    import medcolor as mc

    colored = mc.load_colorizer("lut:hot_iron")(read_isolated(ct_series))
    direct = mc.load_colorizer("lut:hot_iron")(read(ct_series))
    one, two = mc.write(colored, tmp_path / "a"), mc.write(direct, tmp_path / "b")
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]


def test_refusals_are_those_of_read(tmp_path: Path) -> None:
    (tmp_path / "notes.dcm").write_text("no image at all " * 30)
    with pytest.raises(ReadError) as there:
        read_isolated(tmp_path / "notes.dcm")
    with pytest.raises(ReadError) as here:
        read(tmp_path / "notes.dcm")
    assert (str(there.value), there.value.code) == (str(here.value), here.value.code)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.dcm"):
        read_isolated(tmp_path / "nowhere.dcm")


def test_several_series_are_listed_and_warnings_come_through(tmp_path: Path) -> None:
    for number in ("1", "2"):
        phantom.write_dicom(phantom.scan("US", shape=(20, 16, 1)), tmp_path / number, series=number)
    with pytest.raises(AmbiguousSeriesError) as several:
        read_isolated(tmp_path)
    assert len(several.value.choices) == 2
    import medcolor as mc

    (picture,) = mc.write(phantom.scan("XR", shape=(20, 24, 1)), tmp_path / "x.nii")
    picture.with_name("x.nii.json").unlink()
    with warnings.catch_warnings(record=True) as direct:
        warnings.simplefilter("always")
        read(picture)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_isolated(picture)
    assert [str(w.message) for w in caught] == [str(w.message) for w in direct]
    assert all(issubclass(w.category, MedcolorWarning) for w in caught)


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_crashing_decoder_is_an_error_that_names_the_file(ct_series: Path, name: str) -> None:
    job = Isolated("medcolor.io.reading:read", ct_series)
    os.kill(job._child.pid, getattr(signal, name))
    with pytest.raises(ReadError, match=f"{ct_series}.*crashed.*{name}") as error:
        job.result()
    assert error.value.code is ReadCode.UNDECODABLE


def test_a_hanging_decoder_is_ended(ct_series: Path) -> None:
    with pytest.raises(ReadError, match="the time it was given"):
        read_isolated(ct_series, timeout=0.01)


def test_cancelling_leaves_no_process_and_no_file(ct_series: Path) -> None:
    job = Isolated("medcolor.io.reading:read", ct_series)
    folder = Path(job._folder.name)
    job.cancel()
    job.cancel()
    assert job.poll()
    assert not folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="address space limits")
def test_what_does_not_fit_into_the_memory_given_is_refused(tmp_path: Path) -> None:
    import medcolor as mc

    (path,) = mc.write(phantom.scan("CT", shape=(8, 8, 2)), tmp_path / "small.nii")
    start = int(np.frombuffer(path.read_bytes()[108:112], "<f4")[0])
    header = bytearray(path.read_bytes()[:start])
    header[40:48] = np.array([3, 1500, 1500, 1000], "<i2").tobytes()
    path.write_bytes(header)
    os.truncate(path, start + 2 * 1500 * 1500 * 1000)  # 4.5 GB that take no room on disk
    with pytest.raises(ReadError) as error:
        read_isolated(path, memory=1 << 20, modality="CT")
    assert error.value.code is ReadCode.TOO_LARGE


def test_only_functions_of_medcolor_run() -> None:
    with pytest.raises(SettingError):
        Isolated("os:system", "true")
