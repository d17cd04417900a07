"""``medcolor benchmark``: colorizers looked at on test patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from medcolor.cli.messages import note, progress_bar, result
from medcolor.errors import SettingError


def benchmark_app() -> App:
    """Return the commands below ``medcolor benchmark``."""
    app = App(name="benchmark", help="Look at what trained colorizers do on test patients.")
    app.command(gallery)
    return app


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
