"""Commands that look and do not touch: ``info``, ``palettes``, ``colorizers``; and ``demo``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter

from medcolor.cli.messages import note, progress_bar, result

if TYPE_CHECKING:
    from medcolor.colorizers import ColorizerInfo
    from medcolor.scan import Scan


def info(path: Path, *, series: str | None = None, modality: str | None = None, json_: JsonFlag = False) -> None:
    """Say what a file or folder holds, and whether its geometry and values are sound.

    Parameters
    ----------
    path
        A file, folder, DICOMDIR or zip.
    series
        Look closely at one of several series.
    modality
        For files that do not say theirs.
    json_
        Machine-readable, on stdout.
    """
    from medcolor.io import list_series, read

    found = list_series(path)
    scan = read(path, series=series, modality=modality) if series is not None or len(found) == 1 else None
    if json_:
        record: dict[str, Any] = {"series": [entry.to_json() for entry in found]}
        result(json.dumps(record | ({"scan": _scan_record(scan)} if scan else {}), indent=2))
        return
    for number, entry in enumerate(found, start=1):
        result(f"{number}. {entry}")
        for finding in entry.audit:
            result(f"     {finding.severity}: {finding.message}")
    if scan is not None:
        _print_scan(scan, known={finding.message for entry in found for finding in entry.audit})


JsonFlag = Annotated[bool, Parameter(name="--json", negative="")]


def _scan_record(scan: Scan) -> dict[str, Any]:
    from medcolor.windowing import default_display

    return {
        "modality": scan.modality,
        "units": scan.units,
        "range": [float(scan.voxels.min()), float(scan.voxels.max())],
        "dtype": str(scan.voxels.dtype),
        "geometry": scan.geometry.to_json(),
        "display": str(default_display(scan)),
        "inverted": scan.inverted,
        "third_axis": str(scan.k_axis),
        "padding_voxels": 0 if scan.padding is None else int(np.count_nonzero(scan.padding)),
        "already_colored_pixels": 0 if scan.colored is None else int(scan.colored.sum()),
        "facts": {name: str(value) for name, value in scan.facts.items()},
        "audit": [finding.to_json() for finding in scan.audit],
    }


def _print_scan(scan: Scan, known: set[str]) -> None:
    record = _scan_record(scan)
    low, high = record["range"]
    result(f"   {scan.modality}, {low:g} to {high:g} {scan.units}, stored as {record['dtype']}")
    result(f"   {scan.geometry.describe()} ({scan.geometry.space} space)")
    result(f"   shown with {record['display']}{', low values bright' if scan.inverted else ''}")
    for finding in scan.audit:
        if finding.message not in known:
            result(f"     {finding.severity}: {finding.message}")


def palettes(modality: str | None = None, *, html: Path | None = None, force: bool = False) -> None:
    """Draw the palettes: swatches at three lightnesses, meaning, and how far apart neighbours are.

    Parameters
    ----------
    modality
        One of CT MR PT NM US XR MG; all when left out.
    html
        Write a page instead of drawing in the terminal.
    force
        Overwrite the page.
    """
    from medcolor.cli.swatches import draw, write_swatches

    if html is None:
        draw(modality)
    else:
        result(str(write_swatches(html, modality, force=force)))


def colorizers(*, all_: Annotated[bool, Parameter(name="--all", negative="")] = False, json_: JsonFlag = False) -> None:
    """List the colorizers; of a method that has one bundle for each modality, one line.

    Parameters
    ----------
    all_
        List every bundle of every method.
    json_
        Machine-readable, on stdout; always complete.
    """
    from medcolor.bundle_files import TISSUE
    from medcolor.colorizers import list_colorizers

    listed = list_colorizers()
    if json_:
        rows = [
            {"name": i.name, "law": str(i.law), "modalities": i.modalities, "about": i.description}
            | ({} if i.facts is None else asdict(i.facts) | {"method": i.method})
            for i in listed
        ]
        result(json.dumps(rows, indent=2))
        return
    shown: set[str] = set()
    for entry in listed:
        if not all_ and entry.method is not None and entry.method != TISSUE:
            if entry.method not in shown:
                _print_method([other for other in listed if other.method == entry.method])
            shown.add(entry.method)
            continue
        result(f"{entry.name:24s} {entry.law:10s} {' '.join(entry.modalities):24s} {entry.description}")
        if entry.facts is not None:
            size, data, times = entry.facts.size, entry.facts.data, entry.facts.times_eccv16
            speed = "speed not recorded" if times is None else f"{times:.0f} x faster than ECCV16"
            result(f"{'':24s} {size / 1e6:.1f} MB; {speed}; trained on {data or 'data it does not name'}")
    if shown:
        note('"medcolor colorizers --all" lists each bundle of each method.')


def _print_method(bundles: list[ColorizerInfo]) -> None:
    names, families = ", ".join(b.name for b in bundles), " ".join(f for b in bundles for f in b.modalities)
    result(f"{bundles[0].method:24s} {bundles[0].law:10s} {families:24s} learned colours, no tissue: {names}")


def demo(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    colorizer: str = "auto",
    palette: str | None = None,
    force: bool = False,
    quiet: bool = False,
) -> None:
    """Colour images of all seven modalities (PET is simulated) and write one page that compares gray and colour.

    Parameters
    ----------
    output
        Folder for the page (demo.html) and the coloured images.
    colorizer
        auto takes the trained bundle that is the default of each modality, else physics; or physics, or lut:NAME.
    palette
        Style of the palettes.
    force
        Overwrite an earlier demo.
    quiet
        Print nothing but errors.
    """
    from medcolor.demo import run_demo

    with progress_bar("demo", quiet=quiet) as progress:
        page = run_demo(output, colorizer=colorizer, palette=palette, force=force, progress=progress)
    if not quiet:
        note("Open the page in a browser; it needs no network.")
        result(str(page))
