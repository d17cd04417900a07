"""``medcolor batch``: thousands of series in, coloured series out, over night."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from medcolor.cli.messages import DONE, REFUSED, fail, result

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
    workers: int | None = None,
    memory: float = 4.0,
    timeout: float = 1800.0,
    dry_run: bool = False,
    wait: bool = False,
    retry: bool = False,
    rehash: bool = False,
    source_uids: bool = False,
    find: str | None = None,
    quiet: bool = False,
) -> int:
    """Colour every series found in folders, archives, files and CSV lists; a run that was killed goes on where it was.

    Exit code 0: all coloured; 3: some were not, OUT/summary.html says which and why; 2: refused; 1: the system failed.
    No patient data in names, messages, manifests and the summary. Outputs are not de-identified: DICOM objects carry
    their patient, and names and UIDs of outputs can be linked to a source by whoever has that source.

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
    workers
        Child processes; as many as processors when left out. Each decodes and colours one series at a time.
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
    find
        Say which files a name in the summary or in a message stands for, and do nothing else.
    quiet
        Print nothing but what needs somebody.
    """
    from medcolor.batch.finding import find_files
    from medcolor.batch.run import run_batch
    from medcolor.batch.settings import BatchSettings, Caps, default_workers
    from medcolor.errors import SettingError

    if not inputs:
        return fail("No input given. Usage: medcolor batch INPUT... -o OUT", REFUSED)
    if find is not None:
        paths = find_files(inputs, output, find)
        for path in paths:
            result(path)
        return DONE if paths else fail(f'No file of these inputs is called "{find}" in {output}.', REFUSED)
    if (workers is not None and workers < 1) or memory <= 0 or timeout <= 0:
        raise SettingError("--workers, --memory and --timeout must be above 0.")
    settings = BatchSettings(
        colorizer, to, palette, strength, cvd, fade, window, modality, burn_in=burn_in, device=device, trust=trust
    )
    report = run_batch(
        inputs,
        output,
        settings,
        workers=workers or default_workers(),
        caps=Caps(int(memory * 2**30), timeout),
        dry_run=dry_run,
        wait=wait,
        retry=retry,
        rehash=rehash,
        source_uids=source_uids,
        quiet=quiet,
    )
    if dry_run:
        for task in report.plan.todo:
            result(f"{task.folder}  {task.form}  {len(task.files)} files")
    elif report.summary is not None and not quiet:
        result(str(report.summary))
    return report.exit_code
