"""What a scan is made of: soft tissue posteriors by physics and intensity models, one module per modality.

``fit`` does the work that needs the whole volume (regions, mixtures); ``posteriors`` of the model it returns is cheap
and streams over slices. These models are the baseline, and the targets, of everything learned later. They are a
designed prior, not a diagnosis: ``docs/tissue.md`` says where each is known to be wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import MappingProxyType

import numpy as np

from medcolor.errors import ModalityError
from medcolor.scan import MODALITIES, Scan, from_slices
from medcolor.tissue.model import CLASSES, TissueModel
from medcolor.tissue_map import TissueMap

__all__ = ["CLASSES", "TissueModel", "fit", "tissue_map"]

_MODULES = MappingProxyType({name: f"medcolor.tissue.{name.lower()}" for name in MODALITIES})


def fit(scan: Scan) -> TissueModel:
    """Fit the tissue model of the scan's modality.

    Parameters
    ----------
    scan : Scan
        Of a known modality; CT must be in HU.

    Returns
    -------
    TissueModel
        Class names, and soft posteriors for any range of slices.

    Raises
    ------
    ModalityError
        The modality is unknown, or its units are not what the model needs.
    """
    if scan.family is None:
        raise ModalityError(
            f'No tissue model for modality "{scan.modality}". Known: {", ".join(MODALITIES)} and their DICOM '
            "relatives (CR, DX, ...). Say what the image shows with modality=... (--modality)."
        )
    build: Callable[[Scan], TissueModel] = import_module(_MODULES[scan.family]).build
    return build(scan)


def tissue_map(scan: Scan) -> TissueMap:
    """Return the posteriors of the whole scan as one value, (ni, nj, nk, n_classes) float32.

    Raises
    ------
    ModalityError
        As :func:`fit`.
    """
    model = fit(scan)
    ni, nj, nk = scan.shape
    stacked = np.empty((len(model.classes), nk, nj, ni), dtype=np.float32)
    for k in range(nk):
        stacked[:, k : k + 1] = model.posteriors(slice(k, k + 1))
    per_voxel = from_slices(stacked.transpose(1, 2, 3, 0))
    return TissueMap(per_voxel, model.classes, scan.geometry, scan.family or scan.modality)
