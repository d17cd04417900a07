"""The JSON record that medcolor writes into and beside its files, read back without trust."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medcolor.geometry import Geometry, Space
from medcolor.scan import KAxis

_MAX_RECORD = 64 << 20


def parse_record(text: bytes | str) -> dict[str, Any] | None:
    """Return a medcolor record, None for anything else."""
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "medcolor" in record else None


def recorded_geometry(record: Mapping[str, Any] | None, shape: tuple[int, int, int]) -> Geometry | None:
    """Return the grid a record describes, None when it has none or the pixels were resized since."""
    try:
        found = (record or {})["geometry"]
        if found is None or list(found["shape"]) != list(shape):
            return None
        return Geometry(shape, np.array(found["affine_ras_mm"]), Space(found["space"]))
    except (KeyError, TypeError, ValueError):
        return None


def slice_geometry(record: Mapping[str, Any] | None, size: tuple[int, int]) -> Geometry | None:
    """Return the grid of the one slice that a recorded file holds, None when it does not say."""
    try:
        shape = (record or {})["geometry"]["shape"]
        k = int((record or {})["slice"])
        whole = recorded_geometry(record, (size[0], size[1], int(shape[2])))
        if whole is None or not 0 <= k < whole.shape[2]:
            return None
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    affine = whole.affine.copy()
    affine[:3, 3] = whole.index_to_world((0, 0, k))
    return Geometry((*size, 1), affine, whole.space)


def recorded_axis(record: Mapping[str, Any] | None, otherwise: KAxis) -> KAxis:
    """Return what the record says the third axis is."""
    try:
        return KAxis((record or {})["k_axis"])
    except (KeyError, ValueError):
        return otherwise


def sidecar_record(path: Path) -> dict[str, Any] | None:
    """Return the record in a provenance file, None when it is none of ours."""
    if not path.is_file() or path.stat().st_size > _MAX_RECORD:
        return None
    record = parse_record(path.read_bytes())
    return record if record and isinstance(record.get("files"), dict) else None
