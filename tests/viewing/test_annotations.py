"""Drawings on the grid of their scan: written as segmentations, with true volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import medcolor
from medcolor import phantom
from medcolor.errors import WriteError
from medcolor.viewing.annotations import annotation, empty_drawing, volumes_in_words
from medcolor.viewing.placement import place


@pytest.mark.parametrize("family", ["CT", "PT"])
def test_a_drawing_is_read_back_where_it_was_drawn(family: str, tmp_path: Path) -> None:
    scan = phantom.scan(family, shape=(24, 20, 6))
    drawing = empty_drawing(scan)
    where = place(scan)
    drawing[where.position(3, 4, 5)] = 2
    axes = [where.axes.index(axis) for axis in range(3)]
    made = annotation(scan, drawing.transpose(axes), {2: "a spot"})
    assert made.labels[3, 4, 5] == 2
    medcolor.write(made, tmp_path / "drawn.nii.gz")
    again = medcolor.read_segmentation(tmp_path / "drawn.nii.gz")
    assert np.array_equal(again.labels, made.labels)
    assert again.geometry.matches(scan.geometry)
    assert volumes_in_words(made) == f"a spot: {scan.geometry.voxel_volume / 1000:.3g} ml"


def test_pixels_of_a_projection_are_counted() -> None:
    scan = phantom.scan("XR", shape=(40, 48, 1))
    labels = np.zeros((1, 48, 40), np.int64)
    labels[0, 5:7, 5:8] = 1
    assert volumes_in_words(annotation(scan, labels)) == "annotation 1: 6 pixels"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.zeros((6, 20, 24), int), "Nothing is drawn"),
        (np.ones((6, 20, 23), int), "size of its scan"),
        (np.ones((6, 20, 24)), "whole numbers"),
        (np.full((6, 20, 24), 70_000), "65535"),
        (np.full((6, 20, 24), -1), "65535"),
    ],
)
def test_what_is_no_drawing_is_refused(labels: np.ndarray, said: str) -> None:
    with pytest.raises(WriteError, match=said):
        annotation(phantom.scan("CT", shape=(24, 20, 6)), labels)
