"""Training of the recognizer: seeded, only from who may train it; and the bars, on patients it never saw."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from medcolor import phantom
from medcolor.errors import OutputExistsError, TrainingError
from medcolor.networks.recognizer import CLASSES, SIDE, Recognizer
from medcolor.recognition import load_judge, recognize
from medcolor.resources import config_dir
from medcolor.scan import MODALITIES, to_slices
from medcolor.training import drawn_scans, looks, pictures, recognition
from medcolor.training.looks import OTHER, STORED, Look
from medcolor.training.metrics import auroc
from medcolor.training.recognition_card import card
from medcolor.training.recognition_figures import Figures, alone, foreign_examples, measure, picture_scan
from medcolor.training.variation import Varied

pytest.importorskip("skimage", reason="pictures that are no scan come from scikit-image (extra: test)")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@cache
def few_looks() -> tuple[Look, ...]:
    """A phantom's slice of each family and two drawings: enough to turn the wheels."""
    found = []
    for kind, family in enumerate(MODALITIES):
        plane = to_slices(phantom.scan(family, shape=(64, 64, 2)).voxels)[1]
        found.append(looks._stored(kind, "phantom", plane, hounsfield=family == "CT"))
    found += [looks._stored(OTHER, "drawn", pictures.drawn(kind, 0)) for kind in ("text", "noise")]
    return tuple(found)


@pytest.mark.parametrize("kind", [*pictures.DRAWN, *pictures.TEST_DRAWN])
@pytest.mark.parametrize("seed", range(5))
def test_a_drawing_is_a_picture_and_the_same_for_the_same_seed(kind: str, seed: int) -> None:
    gray = pictures.drawn(kind, seed)
    assert gray.dtype == np.float32
    assert gray.shape == (160, 160)
    assert np.isfinite(gray).all()
    np.testing.assert_array_equal(gray, pictures.drawn(kind, seed))
    if kind not in {"shape", "plot"}:
        assert np.ptp(gray) > 0


@pytest.mark.parametrize("draw", [drawn_scans.hand, drawn_scans.limb, drawn_scans.sonogram])
def test_a_drawn_scan_is_finite_and_the_same_for_the_same_seed(draw: object) -> None:
    for seed in range(3):
        gray = draw(seed)  # type: ignore[operator]
        assert np.isfinite(gray).all()
        assert np.ptp(gray) > 0
        np.testing.assert_array_equal(gray, draw(seed))  # type: ignore[operator]


def test_pictures_of_the_test_train_nothing() -> None:
    assert not set(pictures.TRAIN_PHOTOS) & set(pictures.TEST_PHOTOS)
    assert not set(pictures.DRAWN) & set(pictures.TEST_DRAWN)
    for name in (*pictures.TRAIN_PHOTOS, *pictures.TEST_PHOTOS):
        assert pictures.photo(name).ndim == 3
    with pytest.raises(TrainingError, match="brings no"):
        pictures.photo("nobody.png")


def test_crops_lie_inside_the_picture() -> None:
    picture = pictures.photo("coins.png")
    parts = list(pictures.crops(picture, np.random.default_rng(0), 20))
    assert all(size >= 0.7 * whole for size, whole in zip(parts[0].shape, picture.shape, strict=False))
    assert all(part.min() >= 0 and part.max() <= 1.0001 and min(part.shape) >= 24 for part in parts)


@pytest.mark.filterwarnings("ignore:.*grid_sample.*")
def test_a_batch_depends_on_its_seed_and_number_alone() -> None:
    varied = Varied(few_looks(), seed=3)
    x, kinds = varied.batch(5, 16)
    assert x.shape == (16, SIDE, SIDE)
    assert torch.isfinite(x).all()
    varied.batch(6, 16)
    again, same = Varied(few_looks(), seed=3).batch(5, 16)
    assert torch.equal(x, again)
    assert torch.equal(kinds, same)
    assert not torch.equal(x, varied.batch(6, 16)[0])


def test_hounsfield_units_survive_in_the_store() -> None:
    hu = np.linspace(-1024, 3071, STORED * STORED, dtype=np.float32).reshape(STORED, STORED)
    look = looks._stored(0, "x", hu, hounsfield=True)
    low, high = looks.HU_RANGE
    np.testing.assert_allclose(low + (high - low) * look.gray.float().numpy(), hu, atol=2)


def test_training_is_seeded_and_what_it_writes_can_be_used(tmp_path: Path) -> None:
    one, two = (recognition.fit(few_looks(), steps=3, batch=16, seed=4) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    other = recognition.fit(few_looks(), steps=3, batch=16, seed=5)
    assert not torch.equal(other.head.weight, one.head.weight)

    thresholds = dict.fromkeys(MODALITIES, 0.1)
    recognition.write(tmp_path, one, {"thresholds": thresholds}, "# card")
    judge = load_judge(tmp_path)
    assert dict(judge.thresholds) == thresholds
    scan = phantom.scan("XR")
    shipped = recognition.as_shipped(one)
    expected = recognize(scan, by=recognition.Judge(shipped, thresholds))
    assert recognize(scan, by=judge) == expected
    with pytest.raises(OutputExistsError):
        recognition.write(tmp_path, one, {"thresholds": thresholds}, "# card")


def test_foreign_examples_of_the_test_are_found_foreign() -> None:
    """The pictures that no patient is needed for: seven families, held-out photographs, drawings, noise, blanks."""
    judge = load_judge(config_dir() / "recognizer")
    examples = list(foreign_examples())
    kinds = {example.kind for example in examples}
    assert kinds == {"photographs", "colour pictures", "drawings", "noise", "blank"}
    seen = {kind: [recognize(e.scan, by=judge) for e in examples if e.kind == kind] for kind in kinds}
    assert {found.seen for found in seen["blank"]} == {"blank"}
    assert {found.seen for found in seen["colour pictures"]} == {"colour picture"}
    for kind, share in {"photographs": 0.6, "drawings": 0.9, "noise": 0.8}.items():  # small crops show little
        assert np.mean([found.seen == "other" for found in seen[kind]]) > share, kind
    phantoms = {family: recognize(phantom.scan(family, seed=5), by=judge) for family in MODALITIES}
    for family in MODALITIES:
        foreign = [found.doubt(family) for group in seen.values() for found in group]
        foreign += [found.doubt(family) for other, found in phantoms.items() if other != family]
        assert auroc([phantoms[family].doubt(family)], foreign) >= 0.95, family


def test_a_slice_alone_is_the_slice() -> None:
    scan = phantom.scan("CT", shape=(40, 30, 4))
    np.testing.assert_array_equal(alone(scan, 2).voxels[:, :, 0], scan.voxels[:, :, 2])


def test_the_card_is_made_of_the_figures() -> None:
    metadata = json.loads((config_dir() / "recognizer" / "metadata.json").read_text())["recognizer"]
    assert tuple(metadata["classes"]) == CLASSES
    told = metadata["measured"]
    from medcolor.training.statistics import Interval

    figures = Figures(
        counts={kind: tuple(pair) for kind, pair in told["counts"].items()},
        auroc={family: Interval(**row) for family, row in told["auroc"].items()},
        slices=told["auroc_single_slices"],
        against=told["auroc_against"],
        alarms=told["false_alarms"],
        caught=told["caught"],
        seen_as=told["seen_as"],
        elsewhere=told["elsewhere"],
    )
    assert (config_dir() / "recognizer" / "README.md").read_text() == card(metadata, figures)
    for family in MODALITIES:
        assert told["auroc"][family]["value"] >= 0.95


@pytest.mark.data
def test_no_share_alike_pack_and_no_patient_of_the_test_trains(data_folder: Path) -> None:
    for family in MODALITIES:
        cases = looks.cases_of(data_folder, family, simulated=20)
        assert not any("SA" in case.licence.upper().split() for case in cases)
        train = {case.patient for case in cases if case.split == "train"}
        assert not train & {case.patient for case in cases if case.split != "train"}


@pytest.mark.data
@pytest.mark.slow
def test_foreign_scans_are_told_apart_on_test_patients(data_folder: Path) -> None:
    """Bar 3 of the learned colorizers: AUROC of 0.95 for every family."""
    figures = measure(load_judge(config_dir() / "recognizer"), data_folder)
    for family in MODALITIES:
        assert figures.auroc[family].value >= 0.95, family
        assert figures.alarms[family]["clean"] <= 0.05, family


def test_a_picture_is_read_as_any_picture_is() -> None:
    scan = picture_scan(np.linspace(-3, 5, 64 * 32, dtype=np.float32).reshape(64, 32))
    assert scan.voxels.dtype == np.uint8
    assert (int(scan.voxels.min()), int(scan.voxels.max())) == (0, 255)
    assert scan.family is None


def test_the_network_is_what_the_metadata_says() -> None:
    assert Recognizer().head.out_features == len(CLASSES)
