"""``medcolor benchmark``: colorizers looked at on test patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from medcolor.cli.messages import note, progress_bar, result, told_progress
from medcolor.errors import SettingError


def benchmark_app() -> App:
    """Return the commands below ``medcolor benchmark``."""
    app = App(name="benchmark", help="Look at what trained colorizers do on test patients.")
    app.command(gallery)
    app.command(colorizers)
    app.command(khan)
    return app


def colorizers(
    *,
    data: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    modalities: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    methods: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    patients: int | None = None,
    slices: int = 4,
    also: list[Path] | None = None,
    trust: bool = False,
    tables: Path | None = None,
    cache: Path | None = None,
    costs: bool = True,
    force: bool = False,
    quiet: bool = False,
) -> None:
    """Measure every system of the review, and controls, on test patients: one table, intervals by patient.

    Writes colorizers.csv, colorizers.md and colorizers.html. The page shows patients: a folder inside a checkout of
    medcolor is refused for it. What is measured is kept, so an interrupted run goes on where it was. A method
    without a trained bundle has a row that says so; nothing stands in for it.

    Parameters
    ----------
    data
        Folder of image packs with splits.json, of DICOM files or volumes, or a decathlon list (.json); else the
        environment variable MEDCOLOR_DATA. NM and MG are simulated where the packs have none.
    output
        Folder outside of the repository; a folder of the system's temporary one when left out.
    modalities
        Some of CT MR PT NM US XR MG; all when left out.
    methods
        Some of gray lut physics tissue welsh deep zhang2016 zhang2017 nazeri histogan nogan ddcolor; all when left
        out, and the controls of single claims whose bundles are there.
    patients
        At most so many of each modality; all when left out.
    slices
        At most so many of each patient, spread evenly.
    also
        A further bundle, or a folder with bundles, with --trust; may be given several times. A bundle is called what
        its folder is called, without the modality in front: ct_nazeri_unet is nazeri_unet.
    trust
        A bundle is code: the ones in these folders may run on this computer.
    tables
        Folder that CSV and Markdown are written to as well, such as docs/review.
    cache
        Folder of targets, kept for the next time; that of a training will do. Else it is in the output folder.
    costs
        Also measure parameters, operations, time and memory.
    force
        Overwrite an earlier table.
    quiet
        Print nothing but errors.
    """
    import tempfile

    from medcolor.benchmarking.colorizers.asked import METHODS, Request
    from medcolor.benchmarking.colorizers.page import CELLS, check_output, write_results
    from medcolor.benchmarking.colorizers.run import benchmark
    from medcolor.scan import MODALITIES

    folder = output or Path(tempfile.gettempdir()) / "medcolor-colorizers"
    check_output(folder, tables, force=force)
    if also and not trust:
        raise SettingError(f"{also[0]}: a bundle is code that runs on this computer. If you trust it, add --trust.")
    request = Request(
        data,
        targets=cache or folder / "targets",
        cells=folder / CELLS,
        families=tuple(name.upper() for name in modalities or MODALITIES),
        methods=tuple(methods or METHODS),
        patients=patients,
        slices=slices,
        also=tuple(also or ()),
        costs=costs,
    )
    with told_progress("colorizers", quiet=quiet) as progress:
        table, shown = benchmark(request, progress=progress)
    written = write_results(table, shown, folder, tables=tables, force=force)
    if not quiet:
        for fact in table.facts:
            note(fact)
        note(f"{folder} shows patients: keep it out of every repository.")
        for path in written:
            result(str(path))


def khan(
    *,
    data: Path | None = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    modalities: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    patients: int = 20,
    slices: int = 3,
    tables: Path | None = None,
    force: bool = False,
    quiet: bool = False,
) -> None:
    """Measure Khan's columns: SSIM and PSNR of the coloured picture, segmentation on gray and on colour.

    Writes khan.csv and khan.md, with controls beside the colours and a plain statement where nothing is labelled. What
    is measured is kept in OUTPUT/cells, so an interrupted run goes on where it was; that folder holds outlines of
    patients, so one inside a checkout of medcolor is refused.

    Parameters
    ----------
    data
        Folder of image packs; else the environment variable MEDCOLOR_DATA. NM and MG are simulated.
    output
        Folder outside of the repository.
    modalities
        Some of CT MR PT NM US XR MG; all when left out.
    patients
        At most so many test patients of each modality and task.
    slices
        At most so many of each patient, spread evenly.
    tables
        Folder that both files are written to as well, such as docs/study: they name and show nobody.
    force
        Overwrite an earlier table.
    quiet
        Print nothing but errors.
    """
    import time

    from medcolor.benchmarking.khan.page import CELLS, check_output, write_results
    from medcolor.benchmarking.khan.run import Request, benchmark
    from medcolor.comparison.made import made_by
    from medcolor.scan import MODALITIES

    check_output(output, tables, force=force)
    families = tuple(name.upper() for name in modalities or MODALITIES)
    request = Request(data, output / CELLS, families, patients, slices)
    with told_progress("khan", quiet=quiet) as progress:
        sections = benchmark(request, progress=progress)
    asked = f" --modalities {' '.join(families)}" if modalities else ""
    asked += f" --patients {patients}" if patients != 20 else ""
    asked += f" --slices {slices}" if slices != 3 else ""
    made = made_by(f"medcolor benchmark khan --data DATA -o DIR{asked}")
    made["processor time of the last run"] = f"{time.process_time():.0f} s"
    written = write_results(sections, made, output, tables=tables, force=force)
    if not quiet:
        note(f"{output} holds outlines of patients: keep it out of every repository.")
        for path in written:
            result(str(path))


def gallery(
    *modalities: str,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    data: Path | None = None,
    patients: int = 2,
    palette: str = "contrast",
    colorizer: list[str] | None = None,
    trust: bool = False,
    device: str = "auto",
    seed: int = 0,
    cache: Path | None = None,
    force: bool = False,
    quiet: bool = False,
) -> None:
    """Show test patients of each modality as gray, physics, learned, confidence and target, clean and degraded.

    The page shows patients. No picture of a patient may be committed: a folder inside a checkout of medcolor is
    refused. NM and MG are simulated where the data has none, and say so.

    Parameters
    ----------
    modalities
        Some of CT MR PT NM US XR MG; all when left out.
    output
        Folder for gallery.html and gallery.json (the figures), outside of the repository.
    data
        Folder of image packs with splits.json, of DICOM files or volumes, or a decathlon list (.json); else the
        environment variable MEDCOLOR_DATA.
    patients
        How many of each modality; the first is also shown degraded.
    palette
        Style the colours are shown and measured in.
    colorizer
        Trained bundles to look at instead of those that are shipped; may be given several times. With --trust also
        folders of bundles.
    trust
        A bundle is code: the ones in these folders may run on this computer.
    device
        Where networks compute: auto, cpu, cuda.
    seed
        Which of the test patients.
    cache
        Folder of targets, kept for the next time; that of a training will do.
    force
        Overwrite an earlier gallery.
    quiet
        Print nothing but errors.
    """
    from medcolor.benchmarking.gallery import load_network, make_gallery, shipped_colorizers
    from medcolor.benchmarking.gallery_page import check_output, write_gallery
    from medcolor.scan import MODALITIES

    check_output(output, force=force)
    if colorizer is None:
        learned = shipped_colorizers(device)
    else:
        loaded = [load_network(name, device=device, trust=trust) for name in colorizer]
        learned = {network.bundle.card.family: network for network in loaded}
        if len(learned) < len(loaded):
            raise SettingError("Two of these bundles are of one modality; a gallery shows one of each.")
    families = tuple(name.upper() for name in modalities) or MODALITIES
    with progress_bar("gallery", quiet=quiet) as progress:
        sections = make_gallery(
            data,
            learned,
            families=families,
            patients=patients,
            style=palette,
            seed=seed,
            cache=cache,
            progress=progress,
        )
    page = write_gallery(sections, output, seed=seed, force=force)
    if not quiet:
        for section in sections:
            if section.remark or not section.learned:
                note(f"{section.family}: {section.remark or 'no trained bundle'}")
        note("The page shows patients: keep it out of every repository.")
        result(str(page))
