"""Small scans and label maps that several tests colour."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np

from medcolor import phantom
from medcolor.geometry import Geometry
from medcolor.scan import Scan, from_slices
from medcolor.tissue_map import Segmentation
from medcolor.windowing import display_gray

SHAPE = (14, 11, 6)


def oblique(shape: tuple[int, int, int] = SHAPE, spacing: tuple[float, float, float] = (0.9, 1.3, 2.5)) -> Geometry:
    a, b = 0.4, -0.7
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ tilt @ np.diag(spacing)
    affine[:3, 3] = (31.0, -12.5, 7.25)
    return Geometry(shape, affine)


def scan_on(geometry: Geometry, **changes: object) -> Scan:
    ni, nj, nk = geometry.shape
    voxels = np.random.default_rng(1).integers(-200, 300, (nk, nj, ni)).astype(np.int16)
    return Scan(from_slices(voxels), geometry, "CT", "HU", **changes)  # type: ignore[arg-type]


def blobs(geometry: Geometry, labels: tuple[int, ...] = (1, 2, 5)) -> Segmentation:
    ni, nj, nk = geometry.shape
    block = np.zeros((nk, nj, ni), np.uint16)
    for n, label in enumerate(labels):
        generator = np.random.default_rng(n)
        lows = [int(generator.integers(0, max(1, side // 2))) for side in block.shape]
        block[tuple(slice(low, low + max(1, side // 2)) for low, side in zip(lows, block.shape, strict=True))] = label
    return Segmentation(from_slices(block), geometry, {label: f"label {label}" for label in labels})


def gray_of(scan: Scan) -> np.ndarray:
    return display_gray(scan)


@cache
def simulated(family: str) -> tuple[Scan, Segmentation]:
    scan = phantom.scan(family)
    labels = phantom.labels(family)
    part = (slice(None, None, 2), slice(None, None, 2), slice(0, 2))  # every second pixel of two slices: quick to check
    geometry = Geometry(scan.voxels[part].shape, scan.geometry.affine @ np.diag([2.0, 2, 1, 1]), scan.geometry.space)
    small = dataclasses.replace(scan, voxels=scan.voxels[part], geometry=geometry, padding=None)
    return small, Segmentation(labels.labels[part], geometry, labels.names)
