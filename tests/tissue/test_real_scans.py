"""Real scans: what a look at the pictures showed to be right must stay right."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tissue_laws import most_probable, require_posteriors, scan_of

from medcolor.scan import XRAY_CODES

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def packs() -> Path:
    if "MEDCOLOR_DATA" not in os.environ:
        pytest.skip("needs the external data folder named by MEDCOLOR_DATA")
    return Path(os.environ["MEDCOLOR_DATA"]) / "packs"


@pytest.fixture(scope="module")
def chest_ct(packs):
    with np.load(packs / "ct_abd_chest.npz") as pack:
        return pack["images"][130:150], pack["images"][20:40]


def test_chest_ct_has_two_lungs_and_little_else_that_is_lung(chest_ct):
    scan = scan_of(chest_ct[0], "CT", spacing=(1.5, 1.5, 3))
    names = most_probable(require_posteriors(scan), scan)
    body = names != "outside"
    assert 0.2 < np.mean(names[body] == "lung") < 0.6
    assert np.mean(names[body] == "metal") < 0.001
    assert np.mean(names[body] == "gas") < 0.02


def test_ct_outside_reaches_the_corners_and_holds_the_table(chest_ct):
    for images in chest_ct:
        scan = scan_of(images, "CT", spacing=(1.5, 1.5, 3))
        names = most_probable(require_posteriors(scan), scan)
        assert (names[:, [0, 0, -1, -1], [0, -1, 0, -1]] == "outside").all()
        assert 0.3 < np.mean(names == "outside") < 0.8
        assert np.mean((names == "outside") & (images > -300)) > 0.001  # the table is denser than air


@pytest.mark.parametrize(
    ("pack", "modality", "units"),
    [
        ("sts_mr_t1", "MR", "arbitrary"),
        ("sts_pet", "PT", "SUVbw"),
        ("us_hc18", "US", "gray level"),
        ("xray_nih", "DX", "gray level"),
    ],
)
def test_every_kind_of_real_image_uses_most_of_its_classes(packs, pack, modality, units):
    with np.load(packs / f"{pack}.npz") as arrays:
        images = arrays["images"]
    used = set()
    for image in images[:: max(1, len(images) // 12)]:
        scan = scan_of(image[None].astype(np.float32), modality, units=units)
        used |= set(np.unique(most_probable(require_posteriors(scan), scan)))
    assert len(used) >= (4 if modality in XRAY_CODES | {"PT"} else 6)


def test_tumours_in_pet_are_hotter_than_the_rest(packs):
    with np.load(packs / "sts_pet.npz") as arrays:
        images, masks = arrays["images"], arrays["masks"]
    inside, outside = [], []
    for k in range(0, len(images), 60):
        if masks[k].any():
            scan = scan_of(images[k][None].astype(np.float32), "PT", spacing=(4, 4, 4))
            level = np.tensordot(np.arange(6), require_posteriors(scan)[:, 0], 1)
            inside.append(level[masks[k] > 0].mean())
            outside.append(level[masks[k] == 0].mean())
    assert np.mean(inside) > np.mean(outside) + 0.7
