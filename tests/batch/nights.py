"""What tests of batches share: inputs full of planted names, runs as a user starts them, trees compared."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom

from medcolor import phantom
from medcolor.batch.engine import Source
from medcolor.batch.job import run_task
from medcolor.batch.task import Outcome, Task
from medcolor.batch.worker import hello

NAME, PATIENT_ID, DATE, ACCESSION = "CANARY^PHI", "CANARYID77", "19010203", "ACC4242X"
UID_ROOT = "1.2.826.0.1.3680043.10.77777"
PLANTED = ("CANARY", PATIENT_ID, DATE, "1901-02-03", ACCESSION, UID_ROOT, "PLANTEDTEXT")
CRASH, HANG, EAT = b"PLANTEDTEXT-CRASH", b"PLANTEDTEXT-HANG", b"PLANTEDTEXT-EAT"

# a decoder that a file can bring down: runs at the start of every child process of a test
_INJECTED = """
import hashlib, os, time
_digest = hashlib.file_digest
def digest(stream, name):
    head = stream.read(1 << 14); stream.seek(0)
    if b"PLANTEDTEXT-CRASH" in head: os.abort()
    if b"PLANTEDTEXT-HANG" in head: time.sleep(1000)
    if b"PLANTEDTEXT-EAT" in head:
        kept = []
        while True:
            kept.append(b"x" * (64 << 20)); time.sleep(0.02)
    return _digest(stream, name)
hashlib.file_digest = digest
"""


def series(folder: Path, number: int, *, slices: int = 2, size: int = 12, note: str = "") -> list[Path]:
    """Write a small CT series with an identity in every place that has one."""
    scan = phantom.scan("CT", shape=(size, size, slices), seed=number)
    paths = phantom.write_dicom(scan, folder)
    for k, path in enumerate(paths):
        ds = pydicom.dcmread(path)
        ds.PatientName, ds.PatientID, ds.PatientBirthDate = NAME, PATIENT_ID, DATE
        ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = DATE
        ds.AccessionNumber, ds.StudyDescription, ds.SeriesDescription = ACCESSION, "PLANTEDTEXT a", "PLANTEDTEXT b"
        ds.ReferringPhysicianName, ds.InstitutionName, ds.StationName = NAME, "PLANTEDTEXT c", "PLANTEDTEXT d"
        ds.StudyInstanceUID = f"{UID_ROOT}.{number // 2}"
        ds.SeriesInstanceUID = f"{UID_ROOT}.{number // 2}.{number}"
        ds.FrameOfReferenceUID = f"{UID_ROOT}.{number // 2}.9"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{UID_ROOT}.{number // 2}.{number}.{k + 1}"
        if note:
            ds.ImageComments = note
        ds.save_as(path)
    return paths


def environment(folder: Path, *, injected: bool = False) -> dict[str, str]:
    """Return the environment of a run: its own temporary folder, one thread, and if wanted a bad decoder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tmp").mkdir(exist_ok=True)
    if injected:
        (folder / "sitecustomize.py").write_text(_INJECTED)
    path = os.pathsep.join([str(folder), str(Path(phantom.__file__).parents[2])])
    return os.environ | {"PYTHONPATH": path, "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "medcolor", "batch", *map(str, arguments), "--colorizer", "lut:viridis"]


def night(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a batch as a user starts it."""
    return subprocess.run(command(*arguments), env=env, capture_output=True, text=True, check=False, timeout=250)


def objects(out: Path) -> dict[str, str]:
    """Return the hash of every output by relative path; journal, manifests and summary are none."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and ".medcolor" not in path.parts and path.name not in {"manifest.json", "summary.html"}
    }


class LocalEngine:
    """An engine in this process: what another scheduler must do, in ten lines."""

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        return hello(request["settings"])

    def before(self, task: Task) -> None:
        """Do something just before a task is done."""

    def run(self, source: Source, more: Callable[[], bool]) -> Iterator[tuple[Task, Outcome]]:
        while more():
            task = source()
            if task is not None:
                self.before(task)
                yield task, run_task(task)

    def close(self) -> None:
        """Nothing runs on."""
