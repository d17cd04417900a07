"""Mammography: air, skin, fat, fibroglandular tissue, pectoral muscle, calcifications.

The outline, the pectoral muscle and the calcifications are regions found at reduced resolution; between fat and
fibroglandular tissue the gray decides, softly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.scan import Scan
from medcolor.tissue.mg_regions import SKIN_MM, Region, calcifications, depth, fat_level, outline, pectoral
from medcolor.tissue.mixture import otsu
from medcolor.tissue.model import CLASSES, TableModel, bin_values, binned, step, table, valid, values_of
from medcolor.tissue.regions import bilinear, enlarge, pixel_mm, reduced, reduction, sample

_LONGEST = 512
_FINE_LONGEST = 2560  # for calcifications: about 0.1 mm
_FIELD_MM = 240.0
_BINS = 1024


def build(scan: Scan) -> TableModel:
    """Fit the mammography model; dense is bright after turning MONOCHROME1."""
    factor = reduction(scan.shape, _LONGEST)
    mm = pixel_mm(scan, field_mm=_FIELD_MM)
    small = reduced(scan, factor)
    small = -small if scan.inverted else small
    low, high = (float(v) for v in np.percentile(sample(small, 1_000_000), (0.5, 99.8)))
    high = max(high, low + max(abs(low), 1.0) * 1e-6)
    gray = np.clip((small - low) / (high - low), 0, 1)
    deep, codes, fat = (np.stack(a) for a in zip(*(_parts(g, scan, mm * factor) for g in gray), strict=True))
    middle, width = _fat_to_gland((gray - fat)[codes == Region.BREAST])
    sign = np.float32(-1 if scan.inverted else 1)
    fine = reduction(scan.shape, _FINE_LONGEST)
    ni, nj, _ = scan.shape

    def grays(block: slice) -> NDArray[np.float32]:
        return (sign * values_of(scan, block) - np.float32(low)) / np.float32(high - low)

    def regions(block: slice) -> NDArray[np.uint8]:
        below_skin = bilinear(deep[block], (nj, ni))
        full = enlarge(codes[block], factor, (nj, ni)).copy()
        full[full == Region.SKIN] = Region.BREAST
        full[(below_skin < SKIN_MM) & (full != Region.PECTORAL)] = Region.SKIN
        full[below_skin < 0] = Region.AIR
        for specks, plane in zip(found[block], full, strict=True):
            plane[specks[0], specks[1]] = Region.CALCIFICATION
        good = valid(scan, block)
        if good is not None:
            full[~good] = Region.AIR
        return full

    found = [calcifications(grays(slice(k, k + 1))[0], codes[k], factor, fine, mm) for k in range(scan.shape[2])]

    def bins(block: slice) -> NDArray[np.uint16]:
        return binned(grays(block) - bilinear(fat[block], (nj, ni)), -1, 1, _BINS)

    return TableModel(CLASSES["MG"], _tables(middle, width), regions, bins)


def _parts(
    gray: NDArray[np.float32], scan: Scan, mm: float
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]:
    """Return distance to the air, region codes and the level of fat of one view."""
    breast = outline(gray, mm)
    deep = depth(breast, mm)
    codes = np.where(breast, np.uint8(Region.BREAST), np.uint8(Region.AIR))
    view = str(scan.facts.get("ViewPosition", "")).upper()
    if view in {"", "MLO", "ML", "LM", "LMO", "SIO"}:
        codes[pectoral(gray, breast, mm)] = Region.PECTORAL
    fat = fat_level(gray, deep, codes == Region.BREAST)
    codes[(codes == Region.BREAST) & (deep < SKIN_MM)] = Region.SKIN
    codes[~breast & (deep > -2 * mm)] = Region.SKIN  # the fine outline decides
    return deep, codes, fat


def _fat_to_gland(inside: NDArray[np.float32]) -> tuple[float, float]:
    """Return the middle and width of the step from fat to fibroglandular tissue, from the breast's own grays."""
    values = sample(inside, 200_000).astype(np.float64)
    if values.size < 16 or np.ptp(values) < 1e-6:
        return 0.5, 0.3
    middle = otsu(values)
    below, above = values[values <= middle], values[values > middle]
    gap = float(above.mean() - below.mean()) if below.size and above.size else 0.3
    return middle, max(0.8 * gap, 0.05)


def _tables(middle: float, width: float) -> NDArray[np.float32]:
    x = bin_values(-1, 1, _BINS)
    gland = step(x, middle, width)
    zero = np.zeros_like(x)
    one = np.ones_like(x)
    rows = {
        Region.BREAST: (zero, zero, 1 - gland, gland, zero, zero),
        Region.SKIN: (0.15 * one, one, 0.3 * (1 - gland), 0.15 * gland, zero, zero),
        Region.PECTORAL: (zero, zero, 0.1 * (1 - gland), 0.1 * gland, one, zero),
        Region.CALCIFICATION: (zero, zero, zero, 0.2 * one, zero, one),
    }
    return table([np.stack(rows[region]) for region in Region if region is not Region.AIR])
