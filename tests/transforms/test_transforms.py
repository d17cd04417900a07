from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medcolor import load_colorizer, phantom, read
from medcolor.color import restore_gray
from medcolor.windowing import display_gray

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning:monai"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ct")
    phantom.write_dicom(phantom.scan("CT", shape=(48, 40, 3)), path)
    return path


def test_a_compose_gives_the_same_colour_as_the_library(folder: Path) -> None:
    from monai.transforms import Compose

    from medcolor.transforms import ColorizeScand, ReadScand, ScanToTensord

    steps = [ReadScand("image"), ColorizeScand("image", palette="contrast"), ScanToTensord("image")]
    tensor = Compose(steps)({"image": folder})["image"]
    scan = read(folder)
    expected = load_colorizer("auto", palette="contrast")(scan)
    assert tensor.shape == (3, 48, 40, 3)
    np.testing.assert_array_equal(tensor.numpy().astype(np.uint8), np.moveaxis(expected.rgb, -1, 0))
    np.testing.assert_array_equal(tensor.affine.numpy(), scan.geometry.affine)
    rgb = np.moveaxis(tensor.numpy().astype(np.uint8), 0, -1)
    np.testing.assert_array_equal(restore_gray(rgb), display_gray(scan))


def test_monai_resamples_what_we_hand_over_on_the_right_grid(folder: Path) -> None:
    from monai.transforms import Compose, Spacingd

    from medcolor.transforms import ReadScand, ScanToTensord

    out = Compose([ReadScand("image"), ScanToTensord("image"), Spacingd("image", (2.0, 2.0, 2.0))])({"image": folder})
    np.testing.assert_allclose(np.linalg.norm(out["image"].affine.numpy()[:3, :3], axis=0), 2.0)


def test_a_path_is_not_a_scan() -> None:
    from medcolor.transforms import ScanToTensord

    with pytest.raises(TypeError, match="ReadScand"):
        ScanToTensord("image")({"image": "ct/"})
