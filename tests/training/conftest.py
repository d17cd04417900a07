"""What several tests of training need."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from medcolor import phantom


@pytest.fixture(scope="session")
def five_volumes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Modality to a folder of five small volumes, sub-1.nii.gz to sub-5.nii.gz."""

    @cache
    def folder_of(modality: str) -> Path:
        folder = tmp_path_factory.mktemp(f"five-{modality}")
        for n in range(1, 6):
            scan = phantom.scan(modality, shape=(32, 28, 2), seed=n)
            nib.save(nib.Nifti1Image(np.asarray(scan.voxels), scan.geometry.affine), folder / f"sub-{n}.nii.gz")
        return folder

    return folder_of


@pytest.fixture(scope="session")
def small_training() -> dict[str, Any]:
    """Settings of a training on :func:`five_volumes` that takes seconds; the modality is to be said."""
    return {
        "network::widths": [4, 8],
        "network::refinement": 4,
        "augmentation::crop": [24, 24],
        "data::patients": None,
        "data::splits": {"train": ["sub-1", "sub-2"], "val": ["sub-3"], "test": ["sub-4", "sub-5"]},
        "fit::batch": 2,
        "fit::validate_every": 2,
    }
