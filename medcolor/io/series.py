"""One line of a listing: a series that :func:`medcolor.read` can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medcolor.scan import Finding


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """What is known of a series before its pixels are read.

    Parameters
    ----------
    key : str
        What ``read(path, series=key)`` accepts: the SeriesInstanceUID, with "#2" appended for the second stack or
        phase; "#1", "#2" ... for the volumes of a file that has no UIDs.
    format : str
        "dicom", "nifti", "nrrd", "mha", "png", "tiff" or "jpeg".
    modality : str
        DICOM modality code, "OT" when the file does not say.
    description : str
        What the file calls it; never a patient's name.
    shape : tuple of int
        (ni, nj, nk).
    spacing : tuple of float or None
        Along i, j, k in mm; None where the file has no pixel size.
    n_files : int
    audit : tuple of Finding
        What can be said of geometry without the pixels.
    paths : tuple of Path
        Files, in slice order.
    """

    key: str
    format: str
    modality: str
    description: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float] | None = None
    n_files: int = 1
    audit: tuple[Finding, ...] = ()
    paths: tuple[Path, ...] = ()

    def __str__(self) -> str:
        size = " x ".join(str(n) for n in self.shape)
        spacing = "" if self.spacing is None else " at " + " x ".join(f"{s:.4g}" for s in self.spacing) + " mm"
        files = f"{self.n_files} file{'s' if self.n_files != 1 else ''}"
        text = f"{self.key}  {self.modality}  {size}{spacing}, {files}"
        return f"{text}, {self.description}" if self.description else text

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able description, without paths."""
        return {
            "key": self.key,
            "format": self.format,
            "modality": self.modality,
            "description": self.description,
            "shape": list(self.shape),
            "spacing": None if self.spacing is None else list(self.spacing),
            "files": self.n_files,
            "audit": [finding.to_json() for finding in self.audit],
        }
