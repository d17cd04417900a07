"""The same image in every lossless encoding: signed and unsigned, one answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from medcolor.geometry import Geometry
from medcolor.phantom import datasets
from medcolor.phantom.scans import scan
from medcolor.phantom.traps.table import CANARY, Expect, Trap
from medcolor.scan import Scan, from_slices, to_slices

SYNTAXES = {
    "jpeg-lossless": "1.2.840.10008.1.2.4.57",
    "jpeg-lossless-sv1": "1.2.840.10008.1.2.4.70",
    "jpeg-ls": "1.2.840.10008.1.2.4.80",
    "jpeg-2000": "1.2.840.10008.1.2.4.90",
    "rle": "1.2.840.10008.1.2.5",
}
_LPS = np.array([[2.0, 0, 0, -10], [0, 3, 0, -20], [0, 0, 5, 30], [0, 0, 0, 1]])
UNSIGNED = replace(scan("CT", shape=(40, 36, 2)), geometry=Geometry.from_lps((40, 36, 2), _LPS))
# below -1024 HU the phantom's files are signed with intercept 0
SIGNED = replace(UNSIGNED, voxels=from_slices(to_slices(UNSIGNED.voxels) - np.int16(600)))


def encoded(image: Scan, syntax: str) -> Callable[[Path], Path]:
    """Return a builder: the image's slices as GDCM encodes them."""

    def build(folder: Path) -> Path:
        import gdcm

        for path in datasets.write_dicom(image, folder, patient=CANARY):
            reader, writer, change = gdcm.ImageReader(), gdcm.ImageWriter(), gdcm.ImageChangeTransferSyntax()
            reader.SetFileName(str(path))
            reader.Read()
            change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
            change.SetInput(reader.GetImage())
            if not change.Change():
                raise RuntimeError(f"GDCM cannot encode to {syntax}.")
            writer.SetFile(reader.GetFile())
            writer.SetImage(change.GetOutput())
            writer.SetFileName(str(path))
            writer.Write()
        return folder

    return build


TRAPS = tuple(
    Trap(
        f"ct-{name}-{sign}",
        encoded(image, syntax),
        Expect(voxels=image.voxels, units="HU", affine_lps=_LPS, listed=1),
        "lossless is lossless",
    )
    for name, syntax in SYNTAXES.items()
    for sign, image in (("unsigned", UNSIGNED), ("signed", SIGNED))
)
