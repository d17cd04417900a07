"""CT: classes by HU, told apart by where they are.

HU alone cannot say whether -1000 is room air or bowel gas, whether -100 next to lung is fat or a mixture of lung and
muscle, or whether 200 is contrast medium or spongy bone. Regions (see :mod:`medcolor.tissue.ct_regions`) decide
which classes a voxel may have; HU decides among them, softly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import ModalityError
from medcolor.scan import Scan
from medcolor.tissue.ct_regions import Region, find_regions, noise_hu
from medcolor.tissue.model import CLASSES, TableModel, bin_values, binned, step, table, values_of
from medcolor.tissue.regions import region_lookup

LOW, HIGH, BINS = -1024.0, 3071.0, 4096  # one bin per HU: the 12-bit scale
NOISE_STEPS = (14.0, 28.0)  # HU; above each, one more pass of smoothing
EDGE_HU = 80.0  # neighbours that differ by more belong to another tissue and are not averaged in


def build(scan: Scan) -> TableModel:
    """Fit the CT model.

    Raises
    ------
    ModalityError
        Units are not HU.
    """
    if scan.units != "HU":
        raise ModalityError(
            f'The CT tissue model needs Hounsfield units, this scan has "{scan.units}". Read the original DICOM '
            "(its rescale slope and intercept give HU); for a picture of a CT use the colorizer auto or ct_tissue."
        )
    codes, factor = find_regions(scan)
    some = np.unique(np.linspace(0, scan.shape[2] - 1, min(scan.shape[2], 5)).astype(int))
    noise = noise_hu(np.concatenate([values_of(scan, slice(k, k + 1)) for k in some]))
    passes = 1 + int(np.searchsorted(NOISE_STEPS, noise))

    def bins(block: slice) -> NDArray[np.uint16]:
        hu = np.clip(values_of(scan, block), LOW, HIGH)
        for _ in range(passes):
            hu = smoothed(hu)
        return binned(hu, LOW, HIGH, BINS)

    return TableModel(CLASSES["CT"], _tables(), region_lookup(scan, codes, factor), bins)


def smoothed(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average each voxel with those of its 8 neighbours in the slice that are alike (sigma filter, Lee 1983)."""
    _, nj, ni = hu.shape
    padded = np.pad(hu, ((0, 0), (1, 1), (1, 1)), mode="edge")
    difference, total = np.empty_like(hu), np.zeros_like(hu)
    count = np.ones_like(hu)
    for dj in range(3):
        for di in range(3):
            if dj == di == 1:
                continue
            np.subtract(padded[:, dj : dj + nj, di : di + ni], hu, out=difference)
            alike = np.abs(difference) < EDGE_HU
            difference *= alike
            total += difference
            count += alike
    total /= count
    total += hu
    return total


def _tables() -> NDArray[np.float32]:
    h = bin_values(LOW, HIGH, BINS)
    names = CLASSES["CT"]

    def between(low: float, high: float, low_width: float, high_width: float) -> NDArray[np.float64]:
        return step(h, low, low_width) * (1 - step(h, high, high_width))

    # HU ranges: docs/tissue.md lists the sources. Widths are noise plus biological spread.
    air = 1 - step(h, -700, 400)
    gas = 1 - step(h, -500, 350)
    lung = between(-965, -450, 30, 350)
    fat = between(-400, -28, 200, 36)
    fluid = between(-15, 20, 14, 12)
    soft = between(-28, 130, 36, 40)
    soft_or_mixed = between(-450, 130, 350, 40)  # partial volume between gas or lung and soft tissue
    enhanced = between(130, 420, 40, 160)
    bright = step(h, 130, 40)
    spongy = between(105, 320, 40, 90)
    marrow = between(0, 320, 60, 90)
    cortical = between(320, 2500, 90, 300)
    metal = step(h, 2500, 300)

    def row(**weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([weights.get(name, np.zeros_like(h)) for name in names])

    calcified = between(420, 2500, 160, 300)
    rows = {
        Region.SKIN: row(
            outside=air, fat=0.15 * fat, soft_tissue=between(-700, 130, 400, 40), enhanced=enhanced,
            cortical_bone=calcified, metal=metal,
        ),
        Region.BODY: row(
            gas=gas, fat=fat, fluid=0.04 * fluid, soft_tissue=soft, enhanced=enhanced, cortical_bone=calcified,
            metal=metal,
        ),
        Region.LUNG: row(
            gas=1 - step(h, -965, 30), lung=lung, soft_tissue=soft_or_mixed, enhanced=enhanced,
            cortical_bone=calcified, metal=metal,
        ),
        Region.LUNG_RIM: row(
            lung=1 - step(h, -450, 350), fat=0.25 * fat, soft_tissue=soft_or_mixed, enhanced=enhanced,
            cortical_bone=calcified, metal=metal,
        ),
        Region.GAS: row(
            gas=gas, fat=0.1 * fat, soft_tissue=soft_or_mixed, enhanced=enhanced, cortical_bone=calcified, metal=metal
        ),
        Region.FLUID: row(
            gas=gas, fat=fat, fluid=fluid, soft_tissue=between(-28, 130, 36, 40) * 0.3, enhanced=enhanced,
            cortical_bone=calcified, metal=metal,
        ),
        Region.BONE: row(
            gas=gas, fat=fat, soft_tissue=between(-28, 105, 36, 40), spongy_bone=spongy, cortical_bone=cortical,
            metal=metal,
        ),
        Region.MARROW: row(
            gas=gas, fat=between(-400, -40, 200, 60), soft_tissue=between(-40, 0, 60, 60), spongy_bone=marrow,
            cortical_bone=cortical, metal=metal,
        ),
        Region.CONTRAST: row(gas=gas, fat=fat, soft_tissue=soft, enhanced=bright * (1 - metal), metal=metal),
    }  # fmt: skip
    return table([rows[region] for region in Region if region is not Region.OUTSIDE])
