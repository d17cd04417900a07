"""The work on one series: read, colour, write beside. A function of its task; knows no journal and no pool."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medcolor.batch.publishing import staging
from medcolor.batch.settings import FOLDER_FORMATS, SUFFIXES, BatchSettings
from medcolor.batch.task import BatchCode, Outcome, State, Task, plain
from medcolor.errors import AmbiguousSeriesError, MedcolorError, PrivacyError, ReadCode, ReadError, WriteError
from medcolor.mapped_files import on_disk_above

if TYPE_CHECKING:
    from medcolor.color_scan import ColorScan
    from medcolor.colorizers import Colorizer
    from medcolor.scan import Scan

_THUMBNAIL = 96
_NAMED = 50  # files of one series that are not in its output, by name
_IN_MEMORY = 256 << 20  # bytes of colour: 340 slices of 512 x 512
_SAID = {
    "ModalityError": "The modality is unknown, or not one this colorizer takes; name it with --modality or in the CSV.",
    "GeometryError": "The output format would misplace its slices: they are not evenly spaced; use --to dicom or png.",
    "BundleError": "The trained colorizer is damaged or incomplete.",
    "AmbiguousSeriesError": "It cannot be told apart from other series.",
    "UnknownColorizerError": "Its modality has no window or palette of that name; run it apart, with one that it has.",
    "PaletteError": "The personal palette does not fit its modality.",
    "SettingError": "A setting does not apply to it.",
}
_DAMAGED = frozenset({"unreadable-files"})


@dataclass(slots=True)
class _Parts:
    """The stacks of one series while they are coloured."""

    facts: list[dict[str, Any]] = field(default_factory=list)
    refused: list[ReadError | MedcolorError] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    outputs: dict[str, str] = field(default_factory=dict)
    thumbnail: str = ""


def run_task(task: Task, colorizer: Colorizer | None = None) -> Outcome:
    """Colour one series.

    Parameters
    ----------
    task : Task
    colorizer : Colorizer, optional
        What ``task.settings`` describe, ready for use; loaded when left out.

    Returns
    -------
    Outcome
        Whatever happens; only what ends the process has none. ``outcome.stage`` is yet to be published.
    """
    since = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they may quote headers and paths; findings are in the facts
        try:
            outcome = _run(task, colorizer)
        except BaseException as error:  # a panic in Rust is no Exception
            outcome = refusal(error)
    outcome.facts["seconds"] = round(time.monotonic() - since, 3)
    return outcome


def refusal(error: BaseException) -> Outcome:
    """Put an error in words that name nobody: of foreign errors, only their type."""
    from medcolor.batch.publishing import is_full
    from medcolor.io.atomic import os_error

    if is_full(error):
        return Outcome(State.NO_SPACE, BatchCode.NO_SPACE, "No space is left on the disk.")
    if isinstance(error, WriteError):
        failed = error.errno is not None
        words = "The output could not be written." if failed else "The output format cannot hold it."
        return Outcome(State.FAILED if failed else State.REFUSED, BatchCode.WRITE_FAILED, words)
    if isinstance(error, PrivacyError):
        return Outcome(State.REFUSED, BatchCode.IDENTITY, str(error))  # our own sentences
    if isinstance(error, ReadError):
        cause = os_error(error.__cause__)
        if cause is not None and cause.errno:  # the disk's fault, not the file's
            return Outcome(State.FAILED, BatchCode.READ_FAILED, "The disk or the network failed while it was read.")
        return Outcome(State.REFUSED, str(error.code), plain(error.reason))
    if isinstance(error, MemoryError):
        return Outcome(State.REFUSED, BatchCode.MEMORY, "It needs more memory than a child process may have.")
    if isinstance(error, FileNotFoundError):
        return Outcome(State.FAILED, BatchCode.VANISHED, "A file of it was there a moment ago.")
    if isinstance(error, PermissionError):
        return Outcome(State.FAILED, BatchCode.NO_PERMISSION, "No permission to read or write a file of it.")
    if isinstance(error, OSError):
        return Outcome(State.FAILED, BatchCode.READ_FAILED, "The disk or the network failed.")
    name = type(error).__name__
    if not isinstance(error, Exception):
        return Outcome(State.REFUSED, BatchCode.CRASHED, f"Its decoder gave up ({name}).")
    if isinstance(error, MedcolorError):
        return Outcome(State.REFUSED, name, _SAID.get(name, "It was refused."))
    return Outcome(State.FAILED, BatchCode.UNEXPECTED, f"Colouring it failed unexpectedly ({name}).")


def digest_inputs(files: tuple[str, ...]) -> str:
    """Return a sha256 over the contents of files, whatever they are called and in whatever order."""
    found = []
    for name in files:
        with open(name, "rb") as stream:  # noqa: PTH123
            found.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()


def _stamps(files: tuple[str, ...]) -> list[tuple[int, int, int]]:
    """Return size, time of change and number of files: other ones say that somebody wrote meanwhile."""
    found = [os.stat(name) for name in files]  # noqa: PTH116
    return [(status.st_size, status.st_mtime_ns, status.st_ino) for status in found]


def _run(task: Task, colorizer: Colorizer | None) -> Outcome:
    stamps, inputs = _stamps(task.files), digest_inputs(task.files)
    if task.known and task.known == inputs:
        return Outcome(State.UNCHANGED, inputs=inputs)
    settings = BatchSettings(**task.settings)
    paint = colorizer or settings.load()
    parts = _Parts()
    with staging(Path(task.out), task.key) as stage:
        with _scans(task, settings.modality) as reads:
            for number, read in enumerate(reads, start=1):
                try:
                    folder = stage.path if len(reads) == 1 else stage.path / f"{number:02d}"
                    _color(read(), paint, settings, folder, stage.path, task, parts)
                except MedcolorError as error:
                    if refusal(error).state is not State.REFUSED:
                        raise
                    parts.refused.append(error)
        if not parts.facts:
            return _with(refusal(parts.refused[0]), inputs)
        if _stamps(task.files) != stamps:
            return Outcome(State.FAILED, BatchCode.CHANGED, "Its files changed while they were read.", inputs)
        return _outcome(task, parts, inputs, stage.seal())


def _with(outcome: Outcome, inputs: str) -> Outcome:
    return Outcome(outcome.state, outcome.code, outcome.reason, inputs)


def _outcome(task: Task, parts: _Parts, inputs: str, stage: str) -> Outcome:
    first = parts.facts[0]
    facts = dict(first) | {"stacks": len(parts.facts)}
    facts["findings"] = sorted({code for each in parts.facts for code in each["findings"]})
    left = () if task.form != "dicom" else tuple(n for n, f in enumerate(task.files) if f not in parts.used)
    if left:
        facts["left_out"] = [task.labels[n] for n in left[:_NAMED]]
    state, code, reason = State.DONE, "", ""
    if parts.refused:
        why = refusal(parts.refused[0])
        state, code, reason = State.PARTIAL, why.code, f"{len(parts.refused)} of its stacks refused: {why.reason}"
    elif _DAMAGED & set(facts["findings"]):
        state, code, reason = State.PARTIAL, str(ReadCode.CORRUPT), "Damaged files of it were left out."
    return Outcome(state, code, reason, inputs, parts.outputs, left, facts, parts.thumbnail, stage)


@contextmanager
def _scans(task: Task, modality: str | None) -> Iterator[list[Callable[[], Scan]]]:
    """Yield a way to read each stack of the series, one at a time."""
    if task.form == "archive":
        with _unpacked(task) as files:
            yield _dicom_stacks(files[0].parent, tuple(files), modality)
    elif task.form == "dicom":
        files = [Path(name) for name in task.files]
        yield _dicom_stacks(files[0].parent, tuple(files), modality)
    else:
        yield _volumes(Path(task.files[0]), modality)


def _dicom_stacks(root: Path, files: tuple[Path, ...], modality: str | None) -> list[Callable[[], Scan]]:
    from medcolor.io.dicom.read import read_dicom
    from medcolor.io.dicom.series import list_dicom

    try:  # nearly every series is one stack: its headers are parsed once
        scan = [read_dicom(root, None, modality, files=files)]
    except AmbiguousSeriesError:
        keys = [info.key for info in list_dicom(root, files=files)]
        return [lambda key=key: read_dicom(root, key, modality, files=files) for key in keys]  # type: ignore[misc]
    return [scan.pop]


def _volumes(path: Path, modality: str | None) -> list[Callable[[], Scan]]:
    from medcolor.io import list_series, read

    keys = [info.key for info in list_series(path)]
    return [lambda key=key: read(path, series=key, modality=modality) for key in keys]  # type: ignore[misc]


@contextmanager
def _unpacked(task: Task) -> Iterator[list[Path]]:
    """Yield the files of one series of an archive."""
    from medcolor.batch.looking import of_series
    from medcolor.io.dicom.files import collect
    from medcolor.io.dicom.parse import quiet_pydicom

    path = Path(task.files[0])
    with quiet_pydicom(), collect(path, pixels=False) as found:
        files = [i.file for i in found.instances if of_series(i, task.series)]
        if not files:
            raise ReadError(path, ReadCode.EMPTY, "The archive does not hold this series any more.")
        yield files


def _color(
    scan: Scan, paint: Colorizer, settings: BatchSettings, folder: Path, stage: Path, task: Task, parts: _Parts
) -> None:
    """Colour one stack into ``folder`` and note what it was."""
    from medcolor.colorizers.auto import choice_for
    from medcolor.colorizers.companions import options_for
    from medcolor.io import write
    from medcolor.windowing import parse_window

    paths = {str(path) for path in scan.source.paths}
    if settings.deidentify:
        scan = deidentified(scan, task, settings)
    choice = choice_for(paint, scan)
    window = None if settings.window is None else parse_window(settings.window)
    options = options_for(settings.to, choice.colorizer, scan, window=window)
    options |= {"burn_in": True} if settings.burn_in else {}
    with on_disk_above(_IN_MEMORY):  # blocks of slices are coloured in memory; the whole lies in a file
        colored = choice.colorizer(scan, window=window)
    form = _format(settings.to, colored)
    target = folder / f"color{SUFFIXES[form]}" if form in SUFFIXES else folder
    write(colored, target, format=form, **options)
    parts.outputs |= _hashes(target, form, stage, task.folder)
    parts.used |= paths
    parts.facts.append(_facts(scan, colored, task))
    parts.thumbnail = parts.thumbnail or _thumbnail(colored)


def deidentified(scan: Scan, task: Task, settings: BatchSettings) -> Scan:
    """Return the scan without its patient, before anything is derived from it."""
    from medcolor.batch.salt import read_salt
    from medcolor.io.dicom.deidentify import deidentify
    from medcolor.io.dicom.parse import quiet_pydicom

    with quiet_pydicom():
        return deidentify(scan, read_salt(Path(task.salt_file)).value, pixel_text=settings.pixel_text)


def _format(wanted: str, colored: ColorScan) -> str:
    if wanted != "auto":
        return wanted
    source = colored.source.format
    return source if source in (*FOLDER_FORMATS, *SUFFIXES) else "png"


def _hashes(target: Path, form: str, stage: Path, folder: str) -> dict[str, str]:
    """Return the hashes that the writer noted, by path relative to the output folder."""
    sidecar = target.with_name(f"{target.name}.json") if form in SUFFIXES else target / "provenance.json"
    files = json.loads(sidecar.read_text("utf-8"))["files"]
    return {f"{folder}/{(sidecar.parent / name).relative_to(stage).as_posix()}": sha for name, sha in files.items()}


def _facts(scan: Scan, colored: ColorScan, task: Task) -> dict[str, Any]:
    made = colored.provenance
    facts: dict[str, Any] = {
        "modality": scan.modality if scan.family else "other",
        "shape": list(scan.shape),
        "colorizer": made.colorizer,
        "weights_sha256": made.weights_sha256,
        "law": str(made.law),
        "findings": sorted({f.code for f in (*scan.audit, *colored.audit)}),
    }
    if task.source_uids and scan.source.headers:
        head = scan.source.headers[0]
        facts["source_uids"] = {
            "study": str(head.get("StudyInstanceUID", "")),
            "series": str(head.get("SeriesInstanceUID", "")),
            "instances": [str(h.get("SOPInstanceUID", "")) for h in scan.source.headers],
        }
    return facts


def _thumbnail(colored: ColorScan) -> str:
    from PIL import Image

    from medcolor.scan import to_slices

    picture = Image.fromarray(np.ascontiguousarray(to_slices(colored.rgb)[colored.shape[2] // 2]))
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
