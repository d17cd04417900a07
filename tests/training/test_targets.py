"""What networks are taught: context cleans physics and contradicts it nowhere else; experts count where they can."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tissue_laws import scan_of

from medcolor import phantom, tissue
from medcolor.errors import GeometryError, ModalityError
from medcolor.geometry import Geometry, Space
from medcolor.scan import MODALITIES, KAxis, Scan, from_slices, to_slices
from medcolor.tissue import CLASSES
from medcolor.tissue_map import Segmentation
from medcolor.training.expert_masks import joined, mask_classes
from medcolor.training.simulate import SIMULATED, simulated
from medcolor.training.targets import CleanTargets, clean_targets, content_hash, contiguous_slices

SMALL = {
    "CT": (96, 96, 5), "MR": (80, 96, 4), "PT": (72, 128, 5), "NM": (144, 480, 2), "US": (120, 96, 1),
    "XR": (120, 144, 1), "MG": (96, 144, 1),
}  # fmt: skip


def small(family: str) -> Scan:
    return phantom.scan(family, shape=SMALL[family])


@pytest.mark.parametrize("family", MODALITIES)
def test_targets_are_posteriors_whatever_the_block(family):
    scan = small(family)
    model = CleanTargets(scan, contiguous=True)
    whole = model.posteriors(slice(None))
    assert model.classes == CLASSES[family]
    assert whole.dtype == np.float32
    assert whole.min() >= 0
    np.testing.assert_allclose(whole.sum(axis=0), 1, atol=1e-5)
    for k in range(scan.shape[2]):
        np.testing.assert_array_equal(model.posteriors(slice(k, k + 1)), whole[:, k : k + 1])


@pytest.mark.parametrize("family", MODALITIES)
def test_targets_are_no_further_from_the_truth_than_physics(family):
    scan = small(family)
    truth = to_slices(phantom.labels(family, shape=SMALL[family]).labels).astype(int) - 1
    physics = tissue.fit(scan).posteriors(slice(None)).argmax(axis=0)
    cleaned = CleanTargets(scan).posteriors(slice(None)).argmax(axis=0)
    assert np.mean(cleaned == truth) >= np.mean(physics == truth) - 0.003


def test_noise_in_even_tissue_is_cleaned_away():
    rng = np.random.default_rng(5)
    truth = np.full((64, 64), 50.0)
    truth[20:44, 20:44] = -90.0
    hu = np.full((1, 96, 96), -1000.0)
    hu[0, 16:80, 16:80] = truth
    scan = scan_of((hu + rng.normal(0, 45, hu.shape)).astype(np.float32), "CT")
    inside = (slice(0, 1), slice(24, 72), slice(24, 72))
    fat = (hu[inside] < 0).ravel()
    names = CLASSES["CT"]

    def wrong(p):
        found = p.argmax(axis=0)[inside].ravel()
        return np.mean(found != np.where(fat, names.index("fat"), names.index("soft_tissue")))

    assert wrong(CleanTargets(scan).posteriors(slice(None))) < 0.5 * wrong(tissue.fit(scan).posteriors(slice(None)))


def test_a_speck_stays_only_where_the_next_slice_has_it_too():
    hu = np.full((3, 64, 64), -1000, np.float32)
    hu[:, 8:56, 8:56] = 50
    hu[:, 20:22, 20:22] = -100  # through all slices
    hu[1, 40:42, 40:42] = -100  # in one
    scan = scan_of(hu, "CT", spacing=(1, 1, 3))
    found = CleanTargets(scan).posteriors(slice(None)).argmax(axis=0)
    fat = CLASSES["CT"].index("fat")
    assert (found[:, 20:22, 20:22] == fat).any()
    assert not (found[1, 40:42, 40:42] == fat).any()


def test_slices_are_neighbours_only_in_even_near_space():
    block = np.zeros((3, 8, 8), np.float32)
    assert contiguous_slices(scan_of(block, "CT", spacing=(1, 1, 5)))
    assert not contiguous_slices(scan_of(block, "CT", spacing=(1, 1, 12)))
    assert not contiguous_slices(scan_of(block, "NM", k_axis=KAxis.VIEW))


def test_padding_stays_outside_and_nothing_unreal_gets_in():
    hu = np.full((1, 48, 48), 60, np.float32)
    hu[0, :5, :5] = np.nan
    padding = np.zeros(hu.shape, bool)
    padding[:, 30:] = True
    p = CleanTargets(scan_of(hu, "CT", padding=padding)).posteriors(slice(None))
    assert np.isfinite(p).all()
    assert (p[0][padding] == 1).all()
    assert (p[0][np.isnan(hu)] == 1).all()


def test_clean_targets_is_a_tissue_map():
    scan = small("CT")
    found = clean_targets(scan)
    assert found.classes == CLASSES["CT"]
    assert found.posteriors.shape == (*scan.shape, len(found.classes))
    expected = CleanTargets(scan).posteriors(slice(0, 1))
    np.testing.assert_allclose(to_slices(found.posteriors)[0], np.moveaxis(expected[:, 0], 0, -1), atol=1e-3)


def test_an_unknown_modality_is_refused():
    with pytest.raises(ModalityError):
        CleanTargets(scan_of(np.zeros((1, 8, 8), np.float32), "OT"))


@pytest.mark.parametrize(
    ("name", "family", "expected"),
    [
        ("fat", "CT", ("fat",)),
        ("Subcutaneous fat", "CT", ("fat",)),
        ("liver", "CT", ("soft_tissue", "enhanced")),
        ("sarcoma", "CT", CLASSES["CT"][1:]),
        ("sarcoma", "PT", CLASSES["PT"][1:]),
        ("hippocampus", "MR", CLASSES["MR"][1:]),
        ("liver", "MR", CLASSES["MR"][1:]),  # signal levels name no organ, but it is patient
        ("fetal_head_ellipse", "US", None),  # reaches beyond the sector
        ("left lung", "XR", ("air", "bone")),
        ("outside", "CT", None),
        ("label 7", "CT", None),
        ("pectoral muscle", "MG", ("pectoral",)),
    ],
)
def test_what_a_mask_says_of_our_classes(name, family, expected):
    assert mask_classes(name, family) == expected


def _posteriors(draw_shape=(10, 1, 6, 6), seed=0):
    p = np.random.default_rng(seed).random(draw_shape).astype(np.float32)
    return p / p.sum(axis=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([("fat",), ("soft_tissue", "enhanced"), CLASSES["CT"][1:]]))
def test_a_joined_mask_moves_chance_only_inside_and_only_to_what_it_allows(seed, allowed):
    names = CLASSES["CT"]
    p = _posteriors(seed=seed)
    labels = np.random.default_rng(seed + 1).integers(0, 2, p.shape[1:]).astype(np.uint16)
    padding = np.zeros(labels.shape, bool)
    padding[0, 0] = True
    out = joined(p, labels, {1: allowed}, names, no_image=padding)
    np.testing.assert_allclose(out.sum(axis=0), 1, atol=1e-5)
    untouched = (labels == 0) | padding
    np.testing.assert_array_equal(out[:, untouched], p[:, untouched])
    keep = [names.index(n) for n in allowed]
    assert (out[keep].sum(axis=0)[~untouched] >= 0.95 - 1e-5).all()


def test_an_expert_is_believed_against_physics():
    hu = np.full((1, 48, 48), -1000, np.float32)
    hu[0, 4:44, 4:44] = 50
    scan = scan_of(hu, "CT")
    labels = np.zeros(hu.shape, np.uint16)
    labels[0, 10:30, 10:30] = 1
    masks = Segmentation(from_slices(labels), scan.geometry, {1: "ascites"})
    named = Segmentation(from_slices(labels), scan.geometry, {1: "fluid"})
    fluid = CLASSES["CT"].index("fluid")
    assert CleanTargets(scan, named).posteriors(slice(None)).argmax(axis=0)[0, 20, 20] == fluid
    assert content_hash(scan) != content_hash(scan, masks) != content_hash(scan, named)


def test_masks_of_another_grid_are_refused():
    scan = small("CT")
    other = Geometry.from_spacing((4, 4, 1), (1, 1, 1), Space.PIXEL)
    with pytest.raises(GeometryError, match="do not fit"):
        CleanTargets(scan, Segmentation(np.zeros((4, 4, 1), np.uint16), other, {}))


def test_equal_content_has_equal_hash_and_any_change_another():
    block = np.zeros((2, 8, 8), np.int16)
    first = content_hash(scan_of(block, "CT"))
    assert content_hash(scan_of(block.copy(), "CT")) == first
    changed = block.copy()
    changed[1, 3, 3] = 1
    padding = np.zeros(block.shape, bool)
    padding[0, 0, 0] = True
    others = [
        scan_of(changed, "CT"), scan_of(block, "MR"), scan_of(block, "CT", spacing=(1, 1, 2)),
        scan_of(block, "CT", padding=padding), scan_of(block.astype(np.float32), "CT"),
    ]  # fmt: skip
    assert len({first, *(content_hash(scan) for scan in others)}) == 6


@pytest.mark.parametrize("family", SIMULATED)
def test_simulated_scans_know_their_answer(family):
    shape = (96, 128)
    scan, truth = simulated(family, seed=3, shape=shape)
    again, same = simulated(family, seed=3, shape=shape)
    other, _ = simulated(family, seed=4, shape=shape)
    np.testing.assert_array_equal(scan.voxels, again.voxels)
    np.testing.assert_array_equal(truth, same)
    assert not np.array_equal(scan.voxels, other.voxels)
    assert scan.family == family
    assert truth.shape == (len(CLASSES[family]), *scan.shape[::-1])
    assert truth.min() >= 0
    np.testing.assert_allclose(truth.sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("family", SIMULATED)
def test_physics_recognizes_most_of_a_simulated_scan(family):
    agree = []
    for seed in range(4):
        scan, truth = simulated(family, seed=seed)
        agree.append(np.mean(tissue.fit(scan).posteriors(slice(None)).argmax(axis=0) == truth.argmax(axis=0)))
    assert np.mean(agree) > 0.75


def test_all_classes_of_the_simulated_families_are_met():
    for family in SIMULATED:
        most = np.max([simulated(family, seed=seed)[1].max(axis=(1, 2, 3)) for seed in range(8)], axis=0)
        assert (most > 0.5).all(), dict(zip(CLASSES[family], most, strict=True))


def test_only_families_without_open_data_are_simulated():
    with pytest.raises(ModalityError, match="NM, MG"):
        simulated("CT", seed=0)
