"""Large images are shown reduced to a network that was trained on small ones; the gray that is coloured never is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_examples import random_bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from medcolor import phantom
from medcolor.bundles import load_bundle
from medcolor.color import restore_gray
from medcolor.colorizers.network import NetworkColorizer
from medcolor.colorizers.prediction import reduction_factor
from medcolor.colorizers.tiles import bands
from medcolor.scan import to_slices
from medcolor.windowing import grayscale, resolve_display


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("side", "shape", "factor"),
    [(None, (1, 4000, 5000), 1), (512, (1, 512, 512), 1), (512, (3, 700, 767), 1), (512, (1, 4000, 5000), 10)],
)
def test_only_what_is_far_larger_than_in_training_is_reduced(side: int | None, shape: tuple, factor: int) -> None:
    assert reduction_factor(side, shape) == factor


@settings(max_examples=30, deadline=None)
@given(nj=st.integers(1, 900), ni=st.integers(1, 3000), factor=st.integers(2, 9))
def test_bands_make_what_enlarging_the_whole_would(nj: int, ni: int, factor: int) -> None:
    small = torch.rand(1, 1, -(-nj // factor), 3, generator=torch.Generator().manual_seed(nj))
    whole = torch.nn.functional.interpolate(small, scale_factor=float(factor), mode="bilinear")[0, 0, :nj]
    parts = []
    for band in bands((nj, ni), factor):
        part = torch.nn.functional.interpolate(small[:, :, band.seen], scale_factor=float(factor), mode="bilinear")
        parts.append(part[0, 0, band.inner])
        assert len(parts[-1]) == band.kept.stop - band.kept.start
    # where a pixel looks is computed in single precision: 1e-7 of some hundred rows
    torch.testing.assert_close(torch.cat(parts), whole, atol=1e-3, rtol=0)


@pytest.mark.parametrize("shape", [(130, 97, 2), (64, 201, 1)])
def test_a_reduced_prediction_fills_the_image_and_keeps_the_law(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    random_bundle(tmp_path / "x", family="MR")
    bundle = load_bundle(tmp_path / "x", trust=True)
    scan = phantom.scan("MR", shape=shape, seed=3)
    small = NetworkColorizer(replace(bundle, normalization=replace(bundle.normalization, side=32)), device="cpu")
    posteriors = small.predict(scan).posteriors(slice(None))
    assert posteriors.shape == (len(bundle.card.classes), *to_slices(scan.voxels).shape)
    np.testing.assert_allclose(posteriors.sum(axis=0), 1, atol=1e-4)
    gray = grayscale(scan, resolve_display(scan, None))(slice(None))
    np.testing.assert_array_equal(restore_gray(to_slices(small(scan).rgb)), gray)
    assert (small.predict(scan).confidence(slice(None)) > 0).all()
    direct = NetworkColorizer(bundle, device="cpu").predict(scan).posteriors(slice(None))
    assert not np.array_equal(posteriors, direct)
