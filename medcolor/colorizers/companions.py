"""What a colorizer knows beside the colours, for outputs that hold it: its tissue map, its table and window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from medcolor.colorizers.lut import LutColorizer
from medcolor.colorizers.segmentation import SegmentationColorizer
from medcolor.colorizers.slicewise import slicewise
from medcolor.errors import SettingError
from medcolor.io.dicom.tissue_codes import tissue_code
from medcolor.scan import Scan, from_slices
from medcolor.tissue_map import Segmentation
from medcolor.voi import Display
from medcolor.windowing import resolve_display

if TYPE_CHECKING:
    from medcolor.colorizers import Colorizer, Progress


def tissue_labels(colorizer: Colorizer, scan: Scan, *, progress: Progress | None = None) -> Segmentation:
    """Return the most probable tissue class of each voxel, by whatever colours the scan.

    Parameters
    ----------
    colorizer : Colorizer
        Physics or a trained bundle; "auto" is what it chooses.
    scan : Scan
    progress : callable, optional

    Returns
    -------
    Segmentation
        Label n is class n of the palette; 0 is the first class, what lies outside, and pixels without an image or
        with a colour of their own. With the palette's colours, and codes.

    Raises
    ------
    SettingError
        The colorizer knows no tissues: a colour table, or labels that somebody else made.
    ModalityError
        As calling the colorizer.
    """
    work = slicewise(colorizer, scan)
    if isinstance(work.colorizer, LutColorizer | SegmentationColorizer):
        what = "a colour table" if isinstance(work.colorizer, LutColorizer) else "labels that exist already"
        raise SettingError(
            f"{work.colorizer.name} is {what} and finds no tissues: there is no tissue map to write as SEG. "
            "Use auto, physics or a trained colorizer."
        )
    palette = work.look(work.own).palette
    if palette is None:
        raise SettingError(f"{work.colorizer.name} has no tissue classes: there is no tissue map to write as SEG.")
    ni, nj, nk = scan.shape
    labels = np.zeros((nk, nj, ni), np.uint16)
    for k in range(nk):
        evidence = work.evidence(k)
        if evidence is not None:
            labels[k] = evidence.posteriors().argmax(axis=0)
        labels[k][scan.padded(slice(k, k + 1))[0]] = 0
        if scan.colored is not None:
            labels[k][scan.colored[:, :, k].T] = 0
        if progress is not None:
            progress(k + 1, nk)
    inside = dict(enumerate(palette.classes[1:], start=1))
    return Segmentation(
        from_slices(labels),
        scan.geometry,
        {n: c.name for n, c in inside.items()},
        {n: c.ab for n, c in inside.items()},
        {n: tissue_code(scan.modality, c.name).type for n, c in inside.items()},
    )


def options_for(
    form: str | None,
    colorizer: Colorizer,
    scan: Scan,
    *,
    window: Display | str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Return what :func:`medcolor.write` needs beside the colours for an output format; nothing for most.

    ``write(colored, path, format=form, **options_for(form, colorizer, scan, window=window))``

    Raises
    ------
    SettingError
        The format does not suit the colorizer: "seg" needs tissues, "presentation" a colour table.
    """
    from medcolor.colorizers.auto import choice_for

    if form == "seg":
        return {"segmentation": tissue_labels(colorizer, scan, progress=progress)}
    if form == "presentation":
        chosen = choice_for(colorizer, scan).colorizer
        if not isinstance(chosen, LutColorizer):
            raise SettingError(
                f"A presentation state holds a colour table, and {chosen.name} is none: its colours depend on more "
                "than the gray. Use --colorizer lut:NAME, or write dicom."
            )
        return {"scan": scan, "display": resolve_display(scan, window)}
    return {}


__all__ = ["options_for", "tissue_labels"]
