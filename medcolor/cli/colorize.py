"""``medcolor colorize``: scans in, coloured scans out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from medcolor.cli.messages import DONE, PARTIAL, REFUSED, fail, failure_code, note, progress_bar, result, unexpected
from medcolor.errors import AmbiguousSeriesError, MedcolorError, SettingError, WriteError

if TYPE_CHECKING:
    from medcolor.color_scan import ColorScan
    from medcolor.colorizers import Colorizer
    from medcolor.colorizers.auto import Choice
    from medcolor.report import Entry
    from medcolor.scan import Scan
    from medcolor.voi import Window

OutputFormat = Literal[
    "auto", "dicom", "dicom-multiframe", "seg", "presentation", "nifti", "nrrd", "mha", "png", "tiff", "thumbnail"
]
SUFFIXES = {"nifti": ".nii.gz", "nrrd": ".nrrd", "mha": ".mha", "tiff": ".tif"}
SAME = {"dicom": "dicom", "nifti": "nifti", "nrrd": "nrrd", "mha": "mha", "png": "png", "tiff": "tiff"}


@dataclass(frozen=True)
class Job:
    """One input and the series to take from it."""

    path: Path
    series: str | None


def colorize(
    *inputs: Path,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    to: OutputFormat = "auto",
    colorizer: str = "auto",
    palette: str | None = None,
    strength: float = 1.0,
    cvd: str | None = None,
    soft_edge: float | None = None,
    bleed: float | None = None,
    modality: str | None = None,
    series: str | None = None,
    window: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    fade: float | None = None,
    trust: bool = False,
    onnx: Path | None = None,
    hint: Annotated[list[str] | None, Parameter(allow_leading_hyphen=True, negative="")] = None,
    hints: Path | None = None,
    reference: Path | None = None,
    compare: str | None = None,
    report: Path | None = None,
    burn_in: bool = False,
    force: bool = False,
    quiet: bool = False,
) -> int:
    """Colour scans: DICOM files, folders, DICOMDIRs and zips, NIfTI, NRRD, MHA, PNG, TIFF, JPEG.

    Parameters
    ----------
    inputs
        Files or folders. One input fills OUT itself; several get a folder each, named by a hash of source and settings.
    output
        Folder, or a file name for one volume (colored.nii.gz).
    to
        Output format; auto is the format of the source (DICOM for DICOM), PNG where that cannot hold colour. seg is a
        DICOM Segmentation of the tissue classes behind the colours; presentation a DICOM presentation state, for
        lut:NAME; thumbnail one small PNG of the middle slice.
    colorizer
        auto takes, for each scan, the trained bundle that is the default of its modality, else physics, and says
        which. Or name one: physics, a trained bundle, lut:NAME, or seg:PATH with a label map or DICOM SEG; "medcolor
        colorizers" lists them. With --trust also the folder of a bundle, such as the output of "medcolor train".
    palette
        Style of the modality's palette (anatomical, contrast, protan, deutan, tritan) or a personal YAML file; for
        seg:PATH a table of its labels (ITK-SNAP, FreeSurfer, 3D Slicer, dataset.json).
    strength
        0 is the displayed gray, 1 full colour.
    cvd
        Separate colours for protan, deutan or tritan viewers; with a severity: deutan:0.6.
    soft_edge
        seg:PATH only: width of the edges of labels in mm; 2 when left out.
    bleed
        seg:PATH only: how far labels grow into the background, in mm.
    modality
        DICOM code for files that do not say theirs: CT MR PT NM US XR MG.
    series
        Which series, where an input holds several: UID or number from "medcolor info"; "all" takes every one.
    window
        CENTER/WIDTH in the scan's units, or a name such as lung.
    device
        Where a trained bundle computes; auto takes a GPU where there is one. All else runs on the CPU.
    fade
        Trained bundles only: how far colour fades to gray where the network is unsure. 0 (as when left out): not at
        all; 1: chroma in proportion to the confidence, half of it where an error of 10 in (a*, b*) is expected. The
        gray stays exact. With auto it applies where a bundle was chosen; physics does not know how sure it is.
    trust
        A bundle is code: the one in this folder may run on this computer.
    onnx
        Trained bundles only: a file that "medcolor export onnx" made from this one; ONNX Runtime computes it.
    hint
        Bundles of zhang2017 only: a colour at a voxel, as I,J,K,CLASS or I,J,K,A,B (100,80,12,fat). Repeatable.
    hints
        The same from a CSV file, one hint a row.
    reference
        Bundles of histogan and welsh only: a coloured scan or picture whose colours to take.
    compare
        Another colorizer, such as physics, shown beside in the report: both colourings, where they differ, and by how
        much. The files written are not changed by it.
    report
        Also write an HTML page comparing gray and colour; with a trained bundle it shows how sure the colours are.
    burn_in
        DICOM only: a strip below the image that says "not for diagnostic use". Without it no text is in the pixels.
    force
        Overwrite existing output.
    quiet
        Print nothing but errors.
    """
    from medcolor.colorizers import load_colorizer
    from medcolor.colorizers.point_hints import parse_hint, read_hints
    from medcolor.colorizers.showing import load_compared
    from medcolor.windowing import parse_window

    if compare is not None and report is None:
        raise SettingError("--compare is shown in the report, and none was asked for: add --report PAGE.html.")
    if not inputs:
        return fail("No input given. Usage: medcolor colorize INPUT... -o OUT", REFUSED)
    paint = load_colorizer(
        colorizer,
        palette=palette,
        strength=strength,
        cvd=cvd,
        soft_edge=soft_edge,
        bleed=bleed,
        fade=fade,
        device=device,
        trust=trust,
        onnx=onnx,
        hints=(*(read_hints(hints) if hints is not None else ()), *(parse_hint(text) for text in hint or ())),
        reference=reference,
    )
    other = None
    if compare is not None:
        other = load_compared(compare, palette=palette, strength=strength, cvd=cvd, device=device, trust=trust)
    jobs = plan(inputs, series)
    if (hint or hints is not None) and len(jobs) > 1:
        raise SettingError("Hints belong to the one scan whose voxels they name; several inputs were given.")
    refuse_output(output, report, several=len(jobs) > 1, force=force)
    entries: list[Entry] = []
    settings = Settings(
        output,
        to,
        modality,
        None if window is None else parse_window(window),
        burn_in,
        force,
        quiet,
        several=len(jobs) > 1,
        compare=other,
    )
    outcomes = [run_job(job, paint, settings, entries if report else None) for job in jobs]
    if report and entries:
        from medcolor.report import write_page

        page = write_page(entries, report, title="medcolor report", force=force)
        if not quiet:
            result(str(page))
    # all failed alike says how; 1 where the system failed any of them
    return DONE if not any(outcomes) else PARTIAL if DONE in outcomes else min(outcomes)


@dataclass(frozen=True)
class Settings:
    """What the command line asked for, the same for every input."""

    output: Path
    to: OutputFormat
    modality: str | None
    window: Window | str | None
    burn_in: bool
    force: bool
    quiet: bool
    several: bool
    compare: Colorizer | None = None


def chosen_device(paint: Colorizer) -> str:
    """Return where a colorizer computes; only trained ones have a choice."""
    chosen = str(getattr(paint, "torch_device", "cpu"))
    return "the CPU" if chosen == "cpu" else chosen


def plan(inputs: tuple[Path, ...], series: str | None) -> list[Job]:
    """Expand ``--series all``, and take an input that was given twice once; nothing is decoded."""
    paths = list({path.resolve(): path for path in reversed(inputs)}.values())[::-1]
    if series != "all":
        return [Job(path, series) for path in paths]
    from medcolor.io import list_series

    return [Job(path, found.key) for path in paths for found in list_series(path)]


def refuse_output(output: Path, report: Path | None, *, several: bool, force: bool) -> None:
    """Refuse, before any work, an output that cannot be what was meant."""
    from medcolor.io import FILE_SUFFIXES
    from medcolor.io.atomic import refuse_existing

    if several and output.name.lower().endswith(FILE_SUFFIXES) and not output.is_dir():
        raise SettingError(f"{output}: several scans do not fit in one file. Name a folder.")
    if report is not None and not force:
        refuse_existing([report])


def run_job(job: Job, paint: Colorizer, settings: Settings, entries: list[Entry] | None) -> int:
    """Colour one input; say what went wrong and return its exit code, so that one bad scan never stops the rest."""
    try:
        scan, choice, colored = color_one(job, paint, settings)
        if entries is not None:
            entries.append(entry_of(scan, choice, colored, settings))
    except (MedcolorError, FileNotFoundError) as error:
        hint = "\nPass one with --series KEY, or --series all." if isinstance(error, AmbiguousSeriesError) else ""
        return fail(f"{error}{hint}", failure_code(error))
    except Exception as error:  # one bad scan never stops the rest
        return unexpected(error, job.path)
    return DONE


def color_one(job: Job, paint: Colorizer, settings: Settings) -> tuple[Scan, Choice, ColorScan]:
    """Read, colour and write one scan."""
    from medcolor.colorizers.auto import choice_for
    from medcolor.colorizers.companions import options_for
    from medcolor.io import read, write

    scan = read(job.path, series=job.series, modality=settings.modality)
    choice = choice_for(paint, scan)
    if not settings.quiet:
        because = f" (auto: {choice.reason})" if choice.reason else ""
        note(f"{choice.colorizer.name} on {chosen_device(choice.colorizer)}{because}")
    with progress_bar("tissues", quiet=settings.quiet or settings.to != "seg") as progress:
        options = options_for(settings.to, choice.colorizer, scan, window=settings.window, progress=progress)
    with progress_bar("colour", quiet=settings.quiet) as progress:
        colored = choice.colorizer(scan, window=settings.window, progress=progress)
    target, form = destination(colored, settings)
    if settings.burn_in and not (form or "").startswith("dicom"):
        raise WriteError(f"--burn-in writes its strip into DICOM objects, and {target} would be {form or 'none'}.")
    options |= {"burn_in": True} if settings.burn_in else {}
    write(colored, target, format=form, force=settings.force, **options)
    if not settings.quiet:
        describe(scan, colored)
        result(str(target))
    return scan, choice, colored


def entry_of(scan: Scan, choice: Choice, colored: ColorScan, settings: Settings) -> Entry:
    """Return what the report shows of one scan; a comparison that is not possible is said here, too."""
    from medcolor.colorizers.showing import entry_for

    with progress_bar("compare", quiet=settings.quiet or settings.compare is None) as progress:
        entry = entry_for(choice, scan, colored, display=settings.window, compare=settings.compare, progress=progress)
    if entry.compared is not None and entry.compared.colored is None and not settings.quiet:
        note(f"not compared with {entry.compared.name}: {entry.compared.refusal}")
    return entry


def destination(colored: ColorScan, settings: Settings) -> tuple[Path, str | None]:
    """Return where one result goes: a function of the source and the settings alone."""
    from medcolor.io import FILE_SUFFIXES

    out = settings.output
    if not settings.several and out.name.lower().endswith(FILE_SUFFIXES):
        return out, None if settings.to == "auto" else settings.to
    form = settings.to if settings.to != "auto" else SAME.get(colored.source.format, "png")
    if settings.several:
        key = f"{colored.source.digest}|{colored.provenance.digest}|{form}"
        out = out / hashlib.sha256(key.encode()).hexdigest()[:16]
    return (out / f"color{SUFFIXES[form]}" if form in SUFFIXES else out), form


def describe(scan: Scan, colored: ColorScan) -> None:
    """Say in a few lines what was done and what the reader noticed."""
    note(f"{scan.modality} in {scan.units}, {scan.geometry.describe()}; window {colored.provenance.window}")
    for finding in colored.audit:
        note(f"  {finding.severity}: {finding.message}")
    if colored.provenance.passed_through:
        note(f"  {colored.provenance.passed_through} pixels were colour already and passed through unchanged")
