"""``medcolor restore``: the gray back from a coloured scan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from medcolor.cli.messages import result


def restore(
    path: Path,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    series: str | None = None,
    assume_law: bool = False,
    force: bool = False,
    quiet: bool = False,
) -> None:
    """Recover the displayed gray, bit for bit, from an image that medcolor coloured.

    Parameters
    ----------
    path
        A coloured file or folder: DICOM, NIfTI, NRRD, MHA, PNG or TIFF.
    output
        Folder of PNG slices, or a file name such as gray.nii.gz.
    series
        Which series, where the input holds several.
    assume_law
        Read the luminance of an image without medcolor's provenance, on your own responsibility.
    force
        Overwrite existing output.
    quiet
        Print nothing but errors.
    """
    from medcolor.io import restore_to

    written = restore_to(path, output, series=series, assume_law=assume_law, force=force)
    if not quiet:
        result(str(output if len(written) > 1 else written[0]))
