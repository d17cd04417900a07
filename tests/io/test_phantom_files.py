"""What the phantoms' files hold is what the reader gives back, for every family and every pose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import geometries

from medcolor import phantom
from medcolor.geometry import Geometry
from medcolor.io import read
from medcolor.scan import MODALITIES, Scan

WITHIN = {"PT": 1e-3}  # SUV are stored with 15 bits; everything else is exact


@pytest.mark.parametrize("family", MODALITIES)
def test_a_phantom_comes_back_from_its_files(family: str, tmp_path: Path) -> None:
    scan = phantom.scan(family, shape=(48, 40, 4 if family in {"CT", "MR", "PT"} else 2 if family == "NM" else 1))
    phantom.write_dicom(scan, tmp_path)
    again = read(tmp_path)
    assert np.abs(again.voxels.astype(float) - scan.voxels).max() <= WITHIN.get(family, 0)
    assert (again.modality, again.units) == (scan.modality, scan.units)
    assert again.k_axis is scan.k_axis or scan.shape[2] == 1
    assert again.geometry.matches(scan.geometry)
    assert again.facts.get("BodyPartExamined") == scan.facts.get("BodyPartExamined")


@pytest.mark.parametrize("family", ["XR", "MG"])
def test_an_inverted_radiograph_comes_back_inverted(family: str, tmp_path: Path) -> None:
    scan = phantom.scan(family, shape=(48, 40, 1), inverted=True)
    phantom.write_dicom(scan, tmp_path)
    again = read(tmp_path)
    assert again.inverted
    assert np.array_equal(again.voxels, scan.voxels)


@pytest.mark.parametrize("family", ["CT", "MR"])
def test_an_enhanced_phantom_comes_back_too(family: str, tmp_path: Path) -> None:
    scan = phantom.scan(family, shape=(24, 20, 5))
    (path,) = phantom.write_dicom(scan, tmp_path, layout="multiframe")
    again = read(path)
    assert np.array_equal(again.voxels, scan.voxels)
    assert again.geometry.matches(scan.geometry)


@settings(max_examples=40, deadline=None)
@given(geometry=geometries(shape=(4, 3, 5), shear=True))
def test_every_voxel_comes_back_at_its_place(tmp_path_factory: pytest.TempPathFactory, geometry: Geometry) -> None:
    scan: Scan = phantom.letter(geometry)
    folder = tmp_path_factory.mktemp("pose")
    phantom.write_dicom(scan, folder)
    again = read(folder)
    places = again.geometry.index_to_world(np.moveaxis(np.indices(again.shape), 0, -1))
    expected = geometry.index_to_world(phantom.letter_index(again.voxels, scan.shape))
    assert np.abs(places - expected).max() < 1e-3
