"""Hypothesis strategies for the value types: geometries of every pose, scans, windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medcolor.geometry import Geometry
from medcolor.phantom import oblique
from medcolor.scan import Scan, from_slices
from medcolor.voi import Window, WindowFunction

shapes = st.tuples(st.integers(1, 9), st.integers(1, 8), st.integers(1, 6))
spacings = st.tuples(*[st.floats(0.1, 12.0, allow_subnormal=False)] * 3)
angles = st.tuples(*[st.floats(-180, 180)] * 3)
origins = st.tuples(*[st.floats(-2000, 2000, allow_subnormal=False)] * 3)


@st.composite
def geometries(draw: st.DrawFn, shape: tuple[int, int, int] | None = None, *, shear: bool = False) -> Geometry:
    """Oblique, flipped, anisotropic grids; with ``shear``, slices may slide as under a tilted gantry."""
    geometry = oblique(
        shape or draw(shapes),
        draw(spacings),
        angles=draw(st.just((0.0, 0.0, 0.0)) | angles),
        origin=draw(origins),
        flip=draw(st.tuples(*[st.booleans()] * 3)),
    )
    if not shear:
        return geometry
    affine = geometry.affine.copy()
    tilt = np.tan(np.radians(draw(st.floats(-30, 30))))
    affine[:3, 2] += tilt * geometry.spacing[2] * geometry.direction[:, 1]
    return replace(geometry, affine=affine)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    function = draw(st.sampled_from(WindowFunction))
    width = draw(st.floats(1.0 if function is WindowFunction.LINEAR else 0.01, 5000))
    return Window(draw(st.floats(-2000, 4000)), width, function)


@st.composite
def scans(draw: st.DrawFn, modality: str | None = None) -> Scan:
    """Scans of integers or floats of any supported modality, laid out slice by slice."""
    geometry = draw(geometries())
    dtype = draw(st.sampled_from([np.uint8, np.int16, np.uint16, np.float32]))
    elements = st.floats(-1000, 3000, width=32) if dtype is np.float32 else None
    block = draw(hnp.arrays(dtype, geometry.shape[::-1], elements=elements, fill=st.just(dtype(0))))
    code = modality or draw(st.sampled_from(["CT", "MR", "PT", "NM", "US", "DX", "CR", "MG", "OT"]))
    return Scan(from_slices(block), geometry, code)
