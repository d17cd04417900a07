"""What every tissue model owes, whatever it is shown."""

from __future__ import annotations

import numpy as np

from medcolor.geometry import Geometry, Space
from medcolor.scan import Scan, from_slices
from medcolor.tissue import CLASSES, fit

UNITS = {"CT": "HU", "PT": "SUVbw", "NM": "counts"}


def scan_of(slices, modality, *, units=None, spacing=(1.0, 1.0, 1.0), space=Space.PATIENT, padding=None, **other):
    """A scan from (nk, nj, ni) values."""
    nk, nj, ni = slices.shape
    geometry = Geometry.from_spacing((ni, nj, nk), spacing, space)
    units = UNITS.get(modality, "arbitrary") if units is None else units
    padding = None if padding is None else from_slices(padding)
    voxels = from_slices(np.ascontiguousarray(slices))
    return Scan(voxels, geometry, modality=modality, units=units, padding=padding, **other)


def require_posteriors(scan):
    """Fit, check the laws, and return the posteriors (K, nk, nj, ni)."""
    ni, nj, nk = scan.shape
    model = fit(scan)
    assert model.classes == CLASSES[scan.family]
    p = model.posteriors(slice(None))
    assert p.dtype == np.float32
    assert p.shape == (len(model.classes), nk, nj, ni)
    assert np.isfinite(p).all()
    assert p.min() >= 0
    np.testing.assert_allclose(p.sum(axis=0), 1, atol=1e-5)
    k = nk // 2
    np.testing.assert_array_equal(model.posteriors(slice(k, k + 1)), p[:, k : k + 1])
    np.testing.assert_array_equal(fit(scan).posteriors(slice(None)), p)
    if scan.padding is not None:
        assert (p[0][scan.padded(slice(None))] == 1).all()
    return p


def most_probable(p, scan):
    """Class names, (nk, nj, ni)."""
    return np.array(CLASSES[scan.family])[p.argmax(axis=0)]
