"""``medcolor batch``: thousands of series in, coloured series out, over night."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from medcolor.cli.ending import Terminated, terminable, told
from medcolor.cli.messages import DONE, FAILED, REFUSED, fail, result

if TYPE_CHECKING:
    from medcolor.batch import BatchSettings, Caps, Conduct
    from medcolor.batch.engine import Engine
    from medcolor.cli.pacs import Ends

BatchFormat = Literal[
    "auto", "dicom", "dicom-multiframe", "seg", "presentation", "nifti", "nrrd", "mha", "png", "tiff", "thumbnail"
]


def batch(
    *inputs: Path,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    colorizer: str = "auto",
    to: BatchFormat = "auto",
    palette: str | None = None,
    strength: float = 1.0,
    cvd: str | None = None,
    fade: float | None = None,
    window: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    modality: str | None = None,
    burn_in: bool = False,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    trust: bool = False,
    deidentify: bool = False,
    pixel_text: Literal["refuse", "flag"] = "refuse",
    salt_file: Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    jobqueue: Literal["slurm", "pbs", "sge", "lsf"] | None = None,
    memory: float = 4.0,
    timeout: float = 1800.0,
    dry_run: bool = False,
    wait: bool = False,
    retry: bool = False,
    rehash: bool = False,
    source_uids: bool = False,
    metrics: Path | None = None,
    find: str | None = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    query: Annotated[list[str] | None, Parameter(name="--query")] = None,
    most_series: int = 10_000,
    drop_retrieved: bool = False,
    to_pacs: str | None = None,
    retries: str = "5x1m,10x10m",
    quiet: bool = False,
) -> int:
    """Colour every series found in folders, archives, files and CSV lists; a run that was killed goes on where it was.

    Exit code 0: all coloured; 3: some were not, OUT/summary.html says which and why; 2: refused; 1: the system failed.
    No patient data in names, messages, manifests and the summary. Without --deidentify nothing is claimed of outputs
    themselves: DICOM objects carry their patient, and names and UIDs of outputs, which need no secret, can be linked
    to a source by whoever has that source.

    Parameters
    ----------
    inputs
        Folders, zip archives, files; or a CSV with a column "path" and if wanted "series" (a SeriesInstanceUID) and
        "modality".
    output
        Folder: OUT/STUDY/SERIES/..., named by hashes of source UIDs and settings.
    colorizer
        As in "medcolor colorize": auto, physics, a trained bundle, lut:NAME.
    to
        Output format; auto is the format of the source (DICOM for DICOM), PNG where that cannot hold colour.
    palette
        Style of the palette, or a personal YAML file.
    strength
        0 is the displayed gray, 1 full colour.
    cvd
        Separate colours for protan, deutan or tritan viewers; with a severity: deutan:0.6.
    fade
        Trained bundles only: how far colour fades to gray where the network is unsure.
    window
        CENTER/WIDTH in the scan's units, or a name such as lung; each modality's own when left out.
    modality
        DICOM code for files that do not say theirs.
    burn_in
        DICOM only: a strip below the image that says "not for diagnostic use".
    device
        Where trained bundles compute; auto takes a GPU where there is one.
    trust
        A bundle is code: the one in this folder may run on this computer.
    deidentify
        Leave the patient behind before anything is derived: PS3.15 Basic Profile, and beyond it everything that a
        derived object does not need. UIDs, names and pseudonyms are keyed with a salt. Pixels are not cleaned.
    pixel_text
        With --deidentify, pictures that may hold text (Burned In Annotation YES; screens and films that do not say):
        refuse them, or flag: colour them, and say in the objects that identity was not removed.
    salt_file
        With --deidentify: a file with a secret of at least 16 bytes, the same UIDs for the same source wherever it is
        used. When left out: OUT/.medcolor/deidentify.salt, made by the first run.
    workers
        Child processes; as many as processors when left out. Each decodes and colours one series at a time. With
        --jobqueue: jobs.
    scheduler
        Colour on the Dask cluster whose scheduler has this address (tcp://HOST:PORT, tls://HOST:PORT) instead of here.
        Inputs and OUT have the same paths on its workers.
    jobqueue
        Have this job queue start Dask workers (dask-jobqueue; its configuration says what a job is).
    memory
        GiB that one child may have in memory before it is ended.
    timeout
        Seconds that one series may take before its child is ended.
    dry_run
        Show what would be done; write nothing.
    wait
        Wait for another run on this output to end; without it, refuse.
    retry
        Do again what was refused, or parked after it ended its child three times.
    rehash
        Read every file again to see whether it changed; without it, size and time decide.
    source_uids
        Write the UIDs of the sources into the manifests.
    metrics
        Keep this file up to date for Prometheus (node-exporter's textfile collector: NAME.prom in its folder).
    find
        Say which files a name in the summary or in a message stands for, and do nothing else.
    from_
        A PACS to retrieve from: dicomweb+https://HOST/PATH or dimse://AE@HOST:PORT (docs/pacs.md).
    query
        With --from: StudyDate=20260101-20260131, Modality=CT, ...; one --query each, or @FILE.
    most_series
        With --from: refuse where more series match.
    drop_retrieved
        With --from: remove what was retrieved of each series once it is coloured; asked for again, it is fetched again.
    to_pacs
        A PACS to send the objects to. What it does not take yet waits in the outbox: medcolor outbox OUT.
    retries
        With --to-pacs: when to try again. 5x1m,10x10m: five times after a minute, ten times after ten; then parked.
    quiet
        Print nothing but what needs somebody.
    """
    from medcolor.batch import BatchSettings, Caps, Conduct
    from medcolor.batch.metrics import Metrics
    from medcolor.batch.settings import default_workers
    from medcolor.cli.pacs import Ends
    from medcolor.errors import SettingError

    if not inputs and from_ is None:
        return fail("No input given. Usage: medcolor batch INPUT... -o OUT", REFUSED)
    if find is not None:
        return _find(inputs, output, find, salt_file)
    if (workers is not None and workers < 1) or memory <= 0 or timeout <= 0:
        raise SettingError("--workers, --memory and --timeout must be above 0.")
    if scheduler is not None and (jobqueue is not None or workers is not None):
        raise SettingError("--scheduler uses the workers of a cluster that runs: leave --workers and --jobqueue out.")
    if salt_file is not None and not deidentify:
        raise SettingError("--salt-file is for --deidentify.")
    caps = Caps(int(memory * 2**30), timeout)
    settings = BatchSettings(
        colorizer,
        to,
        palette,
        strength,
        cvd,
        fade,
        window,
        modality,
        burn_in=burn_in,
        device=device,
        trust=trust,
        deidentify=deidentify,
        pixel_text=pixel_text,
    )
    conduct = Conduct(
        workers=workers or default_workers(),
        caps=caps,
        dry_run=dry_run,
        wait=wait,
        retry=retry,
        rehash=rehash,
        source_uids=source_uids,
        salt_file=salt_file,
        metrics=Metrics(None if dry_run else metrics),
        quiet=quiet,
    )
    where = _where(scheduler, jobqueue, workers, device)
    try:
        with terminable(), told(conduct.metrics) as ended:
            ends = Ends.of(from_, query, most_series, to_pacs, retries, quiet=quiet)
            return ended(_run(inputs, output, settings, conduct, ends, where, drop_retrieved))
    except KeyboardInterrupt as stop:
        code = fail("Stopped. Run the same line again, and it goes on where it was; nothing is half-written.", FAILED)
        if isinstance(stop, Terminated):
            stop.follow()
        return code


def _find(inputs: Sequence[Path], output: Path, name: str, salt_file: Path | None) -> int:
    """Say which files a name stands for."""
    from medcolor.batch.finding import find_files

    paths = find_files(inputs, output, name, salt_file=salt_file)
    for path in paths:
        result(path)
    return DONE if paths else fail(f'No file of these inputs is called "{name}" in {output}.', REFUSED)


def _run(
    inputs: Sequence[Path],
    output: Path,
    settings: BatchSettings,
    conduct: Conduct,
    ends: Ends,
    where: Callable[[Caps], Engine | None],
    drop: bool,
) -> int:
    """Retrieve, colour and send; return the exit code of it all."""
    from medcolor.batch import run_batch

    fetched = ends.fetch(settings, output, conduct)
    if not (inputs or fetched.folders or fetched.missing):
        return DONE
    conduct = replace(conduct, missing=fetched.missing)
    report = run_batch([*inputs, *fetched.folders], output, settings, conduct, engine=where(conduct.caps))
    if conduct.dry_run:
        for task in report.plan.todo:
            result(f"{task.folder}  {task.form}  {len(task.files)} files")
        return report.exit_code
    if report.summary is not None and not conduct.quiet:
        result(str(report.summary))
    return ends.send(output, report, drop=drop)


def _where(
    scheduler: str | None, jobqueue: str | None, workers: int | None, device: str
) -> Callable[[Caps], Engine | None]:
    """Return what gives the place where series are coloured; None stands for children of this process."""

    def engine(caps: Caps) -> Engine | None:
        if scheduler is None and jobqueue is None:
            return None
        from medcolor.batch.dask_engine import connect, start_jobs

        if scheduler is not None:
            return connect(scheduler, caps, device=device)
        assert jobqueue is not None
        return start_jobs(jobqueue, workers or 1, caps, device=device)

    return engine
