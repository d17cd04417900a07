"""The gallery, on packs of phantoms: figures are those of the evaluation, nobody is named, nothing can be committed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_examples import random_bundle

from medcolor import phantom
from medcolor.benchmarking.gallery import load_network, make_gallery
from medcolor.benchmarking.gallery_page import check_output, record, render
from medcolor.benchmarking.patients import find_patients
from medcolor.cli import run
from medcolor.errors import OutputExistsError, SettingError, TrainingError
from medcolor.training.arms import physics, shipped
from medcolor.training.datasets import TissueDataset
from medcolor.training.evaluate import evaluate, labeled_scans
from medcolor.training.sources import find_cases

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six radiographs of six people and four small CTs of four; two of each are to be tested on."""
    folder = tmp_path_factory.mktemp("packs")
    films = [phantom.scan("XR", seed=n, shape=(80, 96, 1)).voxels[..., 0].T for n in range(6)]
    films = [np.clip(film / film.max() * 255, 0, 255).astype(np.uint8) for film in films]
    people = [f"CANARY-{n}" for n in range(6)]
    np.savez(folder / "xray_nih.npz", images=np.stack(films), groups=np.array(people))
    volumes = [phantom.scan("CT", seed=n, shape=(64, 48, 3)).voxels.transpose(2, 1, 0) for n in range(4)]
    owners = [f"CANARY-{n}" for n in range(4) for _ in range(3)]
    np.savez(folder / "ct_abd_chest.npz", images=np.concatenate(volumes).astype(np.float16), groups=np.array(owners))
    manifest = [{"pack": "xray_nih.npz", "licence": "CC0"}, {"pack": "ct_abd_chest.npz", "licence": "CC BY 4.0"}]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    sides = {"train": [p for p in people if p[-1] not in "13"], "val": [], "test": ["CANARY-1", "CANARY-3"]}
    inside = {side: [p for p in who if int(p[-1]) < 4] for side, who in sides.items()}
    (folder / "splits.json").write_text(json.dumps({"xray_nih": sides, "ct_abd_chest": inside}))
    return folder


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    for family in ("CT", "XR"):
        random_bundle(folder / f"{family.lower()}_random", family=family)
    return folder


def test_figures_are_those_of_the_evaluation(packs: Path, bundles: Path, tmp_path: Path) -> None:
    network = load_network(str(bundles / "xr_random"), trust=True)
    (section,) = make_gallery(packs, {"XR": network}, families=["XR"], patients=2, cache=tmp_path)
    cases = find_cases(packs, family="XR")
    dataset = TissueDataset(cases, split="test", cache=tmp_path)
    arms = {"physics": physics, "learned": shipped(network)}
    table = evaluate(list(labeled_scans(dataset)), arms, family="XR").to_json()["clean"]
    clean = [row for row in section.rows if row.condition == "clean"]
    assert len(clean) == 2
    for arm in arms:
        mean = np.mean([getattr(row, arm).error for row in clean])
        assert mean == pytest.approx(table[arm]["error"]["value"], rel=1e-4)
    assert np.mean([row.gray_error for row in clean]) == pytest.approx(
        table["physics"]["gray_error"]["value"], rel=1e-4
    )


def test_every_modality_is_there_and_says_what_it_lacks(packs: Path, bundles: Path, tmp_path: Path) -> None:
    learned = {"CT": load_network(str(bundles / "ct_random"), trust=True)}
    done: list[tuple[int, int]] = []
    sections = make_gallery(
        packs, learned, families=["CT", "US", "NM"], patients=1, progress=lambda *seen: done.append(seen)
    )
    ct, us, nm = sections
    assert [row.condition for row in ct.rows] == [
        "clean",
        "gamma and noise, middle level",
        "units lost, as in an 8-bit picture",
    ]
    assert ct.rows[2].physics.picture is None
    assert "refuses" in ct.rows[2].physics.remark
    assert all(row.learned.picture is not None and row.confidence is not None for row in ct.rows)
    assert us.rows == ()
    assert "US" in us.remark
    assert "simulated" in nm.rows[0].caption
    assert nm.rows[0].learned.remark == "no trained bundle of NM"
    assert done == [(n + 1, 5) for n in range(5)]
    page = render(sections, seed=0)
    assert page.count("<section id=") == 3
    assert "No picture of a patient may be committed" in page
    figures = record(sections, seed=0)["families"]
    assert figures["NM"]["rows"][0]["learned"] is None
    assert figures["CT"]["bundle"] == "ct_random"
    json.dumps(figures, allow_nan=False)


def test_the_page_names_nobody_and_reaches_for_nothing_outside_itself(
    packs: Path, bundles: Path, tmp_path: Path
) -> None:
    learned = ["--colorizer", str(bundles / "ct_random"), "--colorizer", str(bundles / "xr_random"), "--trust"]
    arguments = ["benchmark", "gallery", "CT", "XR", "--data", str(packs), *learned, "--quiet"]
    for name in ("a", "b"):
        assert run([*arguments, "-o", str(tmp_path / name)]) == 0
    page, figures = ((tmp_path / "a" / name).read_text() for name in ("gallery.html", "gallery.json"))
    assert "CANARY" not in page + figures
    assert str(packs) not in page + figures
    assert "ct_abd_chest, test patient 1 of 2, slice 2 of 3" in page + figures
    for word in ("http://", "https://", 'src="/', "@import", "fetch(", "<script"):
        assert word not in page
    assert not re.search(r"\$\w", page)
    for name in ("gallery.html", "gallery.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert run([*arguments, "-o", str(tmp_path / "a")]) == 2, "it exists"


def test_a_seed_chooses_and_sources_take_turns(packs: Path) -> None:
    both = find_patients(packs, "XR", 2)
    assert {subject.case.patient for subject in both} == {"CANARY-1", "CANARY-3"}
    assert all(subject.case.split == "test" for subject in both)
    assert len(find_patients(packs, "XR", 9)) == 2
    firsts = {find_patients(packs, "XR", 1, seed=seed)[0].caption for seed in range(8)}
    assert firsts == {"xray_nih, test patient 1 of 2", "xray_nih, test patient 2 of 2"}


def test_a_cancelled_gallery_leaves_nothing(packs: Path, tmp_path: Path) -> None:
    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_gallery(packs, {}, families=["XR"], patients=1, progress=cancel)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", [ROOT, ROOT / "docs" / "images", ROOT / "no" / "such"])
def test_a_folder_inside_a_checkout_is_refused(place: Path, tmp_path: Path, packs: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    with pytest.raises(SettingError, match="may be committed"):
        check_output(place)
    assert run(["benchmark", "gallery", "XR", "--data", str(packs), "-o", str(place), "--quiet"]) == 2


def test_any_checkout_of_this_project_is_refused_and_other_folders_are_not(tmp_path: Path) -> None:
    for name in ("medcolor", "other"):
        (tmp_path / name / ".git").mkdir(parents=True)
        (tmp_path / name / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
    with pytest.raises(SettingError):
        check_output(tmp_path / "medcolor" / "pictures")
    (tmp_path / "link").symlink_to(tmp_path / "medcolor")
    with pytest.raises(SettingError):
        check_output(tmp_path / "link" / "pictures")
    check_output(tmp_path / "other" / "pictures")
    check_output(tmp_path)
    (tmp_path / "gallery.html").write_text("an earlier one")
    with pytest.raises(OutputExistsError):
        check_output(tmp_path)
    check_output(tmp_path, force=True)


@pytest.mark.parametrize("families", [["US"], ["US", "PT"]])
def test_data_without_any_test_patient_is_an_error(families: list[str], packs: Path) -> None:
    with pytest.raises(TrainingError):
        make_gallery(packs, {}, families=families)


@pytest.mark.parametrize("options", [{"patients": 0}, {"families": ["XX"]}, {"families": []}])
def test_a_request_that_makes_no_sense_is_refused(options: dict[str, object], packs: Path) -> None:
    with pytest.raises(SettingError):
        make_gallery(packs, {}, **options)  # type: ignore[arg-type]


def test_two_bundles_of_one_modality_are_refused(packs: Path, bundles: Path, tmp_path: Path) -> None:
    twice = ["--colorizer", str(bundles / "ct_random")] * 2
    arguments = ["benchmark", "gallery", "--data", str(packs), "-o", str(tmp_path / "out"), *twice, "--trust"]
    assert run(arguments) == 2
    assert not (tmp_path / "out").exists()


def test_help_says_that_patients_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["benchmark", "gallery", "--help"]) == 0
    assert "No picture of a patient may be" in " ".join(capsys.readouterr().out.split())
