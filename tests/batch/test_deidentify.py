"""De-identified output: nothing that was planted anywhere in the input is anywhere in the output."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from batch import canaries, nights

from medcolor.batch import BatchReport, BatchSettings, Conduct, run_batch
from medcolor.batch.finding import find_files
from medcolor.batch.salt import read_salt
from medcolor.batch.task import State
from medcolor.errors import PrivacyError, SettingError
from medcolor.io import read
from medcolor.io.dicom.deidentify import deidentify

pytest.importorskip("dicomanonymizer", reason="dicom-anonymizer is not installed (pip install medcolor[batch])")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
MODALITIES = ("CT", "MR", "PT", "US")
# formats, and of how many modalities each can be made: US has colours of its own
FORMS = {"dicom": 4, "dicom-multiframe": 4, "seg": 4, "presentation": 3, "thumbnail": 4, "png": 4, "nifti": 4}
ALLOWED = (
    r"is only permitted to be empty when actually unknown",
    r"needed to build DICOMDIR - (Study (ID|Date|Time))$",
)
SALT = b"5a" * 16


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a canary in every element. Do not change it."""
    folder = tmp_path_factory.mktemp("source")
    for modality in MODALITIES:
        paths = canaries.write_series(folder, modality)
        assert canaries.elements(pydicom.dcmread(paths[0])) > 3000
    return folder


@pytest.fixture(scope="module")
def outputs(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An output folder for each format."""
    base = tmp_path_factory.mktemp("out")
    (base / "salt").write_bytes(SALT)
    found = {}
    for form, count in FORMS.items():
        colorizer = "lut:viridis" if form == "presentation" else "physics"
        report = run(source, base / form, BatchSettings(colorizer, form, deidentify=True), salt_file=base / "salt")
        assert report.accounts.series[State.DONE] == count, [r.reason for r in report.accounts.refusals]
        found[form] = base / form
    return found


def run(source: Path, out: Path, settings: BatchSettings, **options: object) -> BatchReport:
    return run_batch([source], out, settings, Conduct(quiet=True, **options), engine=nights.LocalEngine())  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
def test_nothing_planted_is_in_any_byte_or_name_of_the_output(form: str, outputs: dict[str, Path]) -> None:
    files = [path for path in outputs[form].rglob("*") if path.is_file()]
    assert {"summary.html", "manifest.json", "provenance.json", "journal.sqlite"} <= {
        path.name.removeprefix("color.nii.gz.").replace("json", "provenance.json", form == "nifti")
        if path.name.startswith("color")
        else path.name
        for path in files
    } | ({"provenance.json"} if form == "nifti" else set())
    for path in files:
        content = path.read_bytes()
        content += gzip.decompress(content) if path.suffix == ".gz" else b""
        for planted in canaries.PLANTED:
            assert planted.encode() not in content, (path.name, planted)
            assert planted.encode("utf-16-le") not in content, (path.name, planted)
            assert planted not in str(path.relative_to(outputs[form]))


@pytest.mark.parametrize("form", ["dicom", "dicom-multiframe", "seg", "presentation"])
def test_objects_say_what_was_done_and_pass_the_validator(
    form: str, outputs: dict[str, Path], dciodvfy: Callable[[Path], list[str]]
) -> None:
    for path in outputs[form].rglob("*.dcm"):
        ds = pydicom.dcmread(path)
        assert ds.PatientIdentityRemoved == "YES"
        assert re.fullmatch(r"PS3.15 Basic Profile \w+ by dicom-anonymizer [\d.]+", ds.DeidentificationMethod)
        assert [(c.CodeValue, c.CodingSchemeDesignator) for c in ds.DeidentificationMethodCodeSequence] == [
            ("113100", "DCM")
        ]
        assert ds.LongitudinalTemporalInformationModified == "REMOVED"
        assert ds.get("BurnedInAnnotation", "NO") == "NO"
        assert [line for line in dciodvfy(path) if not any(re.search(p, line) for p in ALLOWED)] == []


def test_references_are_rewritten_alike_in_every_kind_of_object(outputs: dict[str, Path], source: Path) -> None:
    named: dict[str, set[str]] = {}
    for form in ("dicom", "seg", "presentation"):
        for path in outputs[form].rglob("*.dcm"):
            ds = pydicom.dcmread(path)
            found = {str(e.value) for e in ds.iterall() if e.keyword == "ReferencedSOPInstanceUID"}
            assert found
            named.setdefault(form, set()).update(found)
    assert named["presentation"] < named["dicom"] == named["seg"]
    assert len(named["dicom"]) == len(list(source.rglob("*.dcm")))


def test_one_patient_has_one_pseudonym_and_one_study_one_uid(source: Path, outputs: dict[str, Path]) -> None:
    found = {(str(ds.PatientID), str(ds.PatientName)) for ds in map(pydicom.dcmread, outputs["dicom"].rglob("*.dcm"))}
    assert len(found) == 1  # all four series are planted alike
    scan = deidentify(read(source, series=1), SALT)
    assert {(str(h.PatientID), str(h.PatientName)) for h in scan.source.headers} == found
    assert len({h.StudyInstanceUID for h in scan.source.headers}) == 1
    other = deidentify(read(source, series=1), SALT[::-1] * 2)
    assert other.source.headers[0].PatientID != scan.source.headers[0].PatientID
    assert other.source.headers[0].SOPInstanceUID != scan.source.headers[0].SOPInstanceUID


def test_equal_salts_give_equal_bytes_and_nobody_without_the_salt_can_link_them(
    source: Path, outputs: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(source, tmp_path / "elsewhere")
    (tmp_path / "salt").write_bytes(SALT)
    settings = BatchSettings("physics", "dicom", deidentify=True)
    again = run(tmp_path / "elsewhere", tmp_path / "again", settings, salt_file=tmp_path / "salt")
    assert nights.objects(tmp_path / "again") == nights.objects(outputs["dicom"])
    assert again.exit_code == 0
    # the linker has the source and this program, and runs it with a salt of his own
    linker = run(source, tmp_path / "linker", settings)
    assert not _names(tmp_path / "linker") & _names(outputs["dicom"])
    plain = run(source, tmp_path / "plain", BatchSettings("physics", "dicom"))
    assert not _names(tmp_path / "plain") & _names(outputs["dicom"])
    inputs = {line.outcome.inputs for line in (linker, plain) for line in ()}
    assert not inputs
    # what a new output folder made for itself is kept, and secret
    salt = tmp_path / "linker/.medcolor/deidentify.salt"
    assert salt.stat().st_mode & 0o077 == 0
    assert run(source, tmp_path / "linker", settings).plan.todo == []
    assert len(plain.plan.todo) == 4
    assert len(read_salt(salt).value) >= 32


def _names(out: Path) -> set[str]:
    """Return what outputs are called, outside and inside, and every hash that is told of them."""
    found = {part for path in out.rglob("*") if ".medcolor" not in path.parts for part in path.relative_to(out).parts}
    found = {name for name in found if re.fullmatch(r"[0-9a-f]{16}", name)}
    for path in out.rglob("*.dcm"):
        ds = pydicom.dcmread(path)
        found |= {str(e.value) for e in ds.iterall() if e.VR == "UI" and str(e.value).startswith("2.25.")}
    found -= {"2.25.119399448974134465206498142587074333357"}  # what wrote the file
    for path in out.glob("*/manifest.json"):
        found |= {str(series["inputs_sha256"]) for series in json.loads(path.read_text())["series"]}
    for path in out.rglob("provenance.json"):
        found.add(json.loads(path.read_text())["provenance"]["source_digest"])
    return found - {"None"}


def test_a_name_still_leads_to_its_files_for_whoever_has_the_salt(source: Path, outputs: dict[str, Path]) -> None:
    series = next(outputs["dicom"].glob("*/*/provenance.json")).parent.name
    assert find_files([source], outputs["dicom"], series, salt_file=outputs["dicom"].parent / "salt")
    assert find_files([source], outputs["dicom"], series) == []


@pytest.mark.parametrize(("said", "refused"), [("YES", True), (None, True), ("NO", False)])
def test_text_in_the_pixels_is_refused_or_flagged_and_then_nothing_is_claimed(
    said: str | None, refused: bool, tmp_path: Path
) -> None:
    canaries.write_series(tmp_path / "in", "US")
    path = next((tmp_path / "in").rglob("*.dcm"))
    ds = pydicom.dcmread(path)
    if said is None:
        del ds.BurnedInAnnotation
    else:
        ds.BurnedInAnnotation = said
    ds.save_as(path)
    if not refused:
        assert deidentify(read(path), SALT).source.headers[0].PatientIdentityRemoved == "YES"
        return
    with pytest.raises(PrivacyError, match="--pixel-text flag"):
        deidentify(read(path), SALT)
    settings = BatchSettings("physics", "dicom-multiframe", deidentify=True, pixel_text="flag")
    report = run(tmp_path / "in", tmp_path / "out", settings)
    assert report.exit_code == 0
    made = pydicom.dcmread(next((tmp_path / "out").rglob("*.dcm")))
    assert made.BurnedInAnnotation == "YES"
    assert made.PatientIdentityRemoved == "NO"
    assert "DeidentificationMethod" not in made
    manifest = json.loads(next((tmp_path / "out").glob("*/manifest.json")).read_text())
    assert "pixel-text" in manifest["series"][0]["findings"]
    strict = run(tmp_path / "in", tmp_path / "strict", BatchSettings("physics", deidentify=True))
    assert [refusal.code for refusal in strict.accounts.refusals] == ["MayIdentify"]


def test_words_in_the_place_of_codes_are_left_behind(tmp_path: Path) -> None:
    paths = canaries.write_series(tmp_path, "CT")
    view = pydicom.Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = "CANARY", "SCT", "CANARY"
    known = pydicom.Dataset()  # medio-lateral oblique, in a hospital's own words
    known.CodeValue, known.CodingSchemeDesignator, known.CodeMeaning = "R-10226", "SRT", "CANARY mlo"
    for n, path in enumerate(paths):
        ds = pydicom.dcmread(path)
        ds.ViewCodeSequence = [known if n else view]
        ds.Modality, ds.BurnedInAnnotation = "CANARYMOD", "NO"
        ds.PatientOrientation = ["L", "CANARY"]
        ds.save_as(path)
    scan = deidentify(read(tmp_path), SALT)
    assert scan.modality == "OT"
    assert "ViewCodeSequence" not in scan.source.headers[0]
    assert scan.source.headers[1].ViewCodeSequence[0].CodeMeaning == "medio-lateral oblique"
    assert not [h for h in scan.source.headers if canaries.elements(h)]
    assert not [value for value in scan.facts.values() if "CANARY" in str(value)]
    assert scan.source.paths == ()


def test_salts_and_settings_that_promise_too_much_are_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"secret")
    settings = BatchSettings("lut:viridis", deidentify=True)
    with pytest.raises(SettingError, match="at least 16"):
        run(source, tmp_path / "out", settings, salt_file=tmp_path / "short")
    with pytest.raises(SettingError, match="cannot be read"):
        run(source, tmp_path / "out", settings, salt_file=tmp_path / "nowhere")
    with pytest.raises(SettingError, match="source-uids"):
        run(source, tmp_path / "out", settings, source_uids=True)
    with pytest.raises(SettingError, match="at least 16"):
        deidentify(read(source, series=1), b"short")
