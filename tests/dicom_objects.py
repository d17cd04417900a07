"""DICOM datasets built in memory, for tests that need one exact header or pixel layout."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, generate_uid

_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "US": "1.2.840.10008.5.1.4.1.1.3.1",
}


def image(
    pixels: np.ndarray | bytes, *, modality: str = "MR", syntax: str = ExplicitVRLittleEndian, **attributes: Any
) -> Dataset:
    """Build an image of (rows, columns), (frames, rows, columns) or (..., 3); attributes by keyword, None deletes."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = _CLASSES.get(modality, "1.2.840.10008.5.1.4.1.1.7")
    ds.SOPInstanceUID = generate_uid(entropy_srcs=["medcolor", modality])
    ds.Modality = modality
    if isinstance(pixels, np.ndarray):
        color = pixels.shape[-1] == 3 and attributes.get("SamplesPerPixel", 0) == 3
        shape = pixels.shape[:-1] if color else pixels.shape
        ds.Rows, ds.Columns = shape[-2:]
        if len(shape) == 3:
            ds.NumberOfFrames = shape[0]
        ds.SamplesPerPixel = 3 if color else 1
        ds.PhotometricInterpretation = "RGB" if color else "MONOCHROME2"
        if color:
            ds.PlanarConfiguration = 0
        ds.BitsAllocated = ds.BitsStored = pixels.dtype.itemsize * 8
        ds.PixelRepresentation = int(pixels.dtype.kind == "i")
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        raw = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    else:
        raw = pixels
    for keyword, value in attributes.items():
        if value is None:
            if keyword in ds:
                delattr(ds, keyword)
        elif isinstance(value, list) and value and isinstance(value[0], Dataset):
            setattr(ds, keyword, Sequence(value))
        else:
            setattr(ds, keyword, value)
    ds.add_new("PixelData", "OB" if ds.get("BitsAllocated", 8) <= 8 else "OW", raw + b"\0" * (len(raw) % 2))
    return ds


def item(**attributes: Any) -> Dataset:
    """Build a sequence item."""
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, Sequence(value) if isinstance(value, list) and isinstance(value[0], Dataset) else value)
    return ds
