"""``medcolor export``: trained colorizers in other forms."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from medcolor.cli.messages import note, progress_bar, result


def export_app() -> App:
    """Return the commands below ``medcolor export``."""
    app = App(name="export", help="Write a trained colorizer in another form.")
    app.command(onnx)
    return app


def onnx(
    bundle: str,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    int8: bool = False,
    data: Path | None = None,
    modality: str | None = None,
    trust: bool = False,
    force: bool = False,
    quiet: bool = False,
) -> None:
    """Write the network of a trained bundle as ONNX; "medcolor colorize --colorizer NAME --onnx FILE" runs it.

    Needs pip install "medcolor[onnx]".

    Parameters
    ----------
    bundle
        A name that "medcolor colorizers" lists; with --trust the folder of a bundle.
    output
        FILE.onnx. FILE.onnx.json beside it says what it is.
    int8
        Convolutions in 8 bits: smaller and faster, less exact. Needs --data.
    data
        Image packs, a folder of DICOM files or volumes, or a decathlon list (.json): colours are compared with those
        of the bundle on its test patients. Left out, the file says that this was not measured.
    modality
        Of files in DATA that do not say theirs.
    trust
        A bundle is code: the one in this folder may run on this computer.
    force
        Overwrite.
    quiet
        Print nothing but errors.
    """
    from medcolor.exporting.export import export_onnx

    with ExitStack() as bars:

        def stage(title: str) -> Callable[[int, int], None] | None:
            bars.close()
            return bars.enter_context(progress_bar(title, quiet=quiet))

        written = export_onnx(
            bundle, output, int8=int8, data=data, modality=modality, trust=trust, force=force, stage=stage
        )
    if quiet:
        return
    note(f"{written.path.stat().st_size / 1e6:.1f} MB, {written.precision}")
    if not written.parity:
        note("parity not measured: no --data")
    for precision, parity in written.parity.items():
        note(f"{precision} against the bundle: {parity}")
        note(
            f"{precision} took {parity.time_ratio:.2f} of the bundle's time (a slice from values to colours, in turn, "
            f"{written.threads} threads)"
        )
    result(str(written.path))
