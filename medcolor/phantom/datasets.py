"""Phantoms as real DICOM objects: the modality's own storage class, true geometry, deterministic UIDs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import ModalityError
from medcolor.geometry import Space
from medcolor.phantom import modules
from medcolor.phantom.modules import SOP_CLASSES, item, uid
from medcolor.scan import KAxis, Scan, to_slices
from medcolor.voi import Window

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
PATIENT = "PHANTOM^SYNTHETIC"


def stored_values(scan: Scan) -> tuple[NDArray[Any], NDArray[np.float64], float, int]:
    """Return what a scanner would store: integers (nk, nj, ni), slope for each slice, intercept, bits stored.

    CT: unsigned with intercept -1024 where that holds the range, else signed. PT: 15 bits and a slope for each
    slice, in Bq/ml. The others must be integers already.
    """
    block = to_slices(scan.voxels)
    ones = np.ones(len(block))
    if scan.family == "PT":
        activity = np.asarray(block, np.float64) / modules.pet_suv_factor()
        slopes = np.maximum(activity.max(axis=(1, 2)), 1.0) / 32767
        # the slope as it will be read back, 16 characters, so that rounding is to the nearest stored value
        slopes = np.array([float(str(modules.decimal(s))) for s in slopes])
        return np.rint(activity / slopes[:, None, None]).astype(np.int16), slopes, 0.0, 16
    if block.dtype.kind not in "iu" or block.dtype.itemsize > 2:
        raise ModalityError(f"A {scan.modality} phantom is stored from integers of up to 16 bits, got {block.dtype}.")
    if scan.family == "CT":
        if block.min() >= -1024:
            return (block.astype(np.int32) + 1024).astype(np.uint16), ones, -1024.0, 16
        return block.astype(np.int16), ones, 0.0, 16
    if scan.family in {"XR", "MG"} and block.max() < 4096:
        return block.astype(np.uint16), ones, 0.0, 12
    return block, ones, 0.0, 8 * block.dtype.itemsize


def finish(dataset: Dataset, sop_class: str, *key: object) -> Dataset:
    """Give a dataset its SOP class, a UID made from ``key``, and the file meta of Explicit VR Little Endian."""
    from pydicom.dataset import FileMetaDataset

    dataset.SOPClassUID, dataset.SOPInstanceUID = SOP_CLASSES[sop_class], uid("instance", *key)
    if not dataset.get("SpecificCharacterSet"):
        dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    return dataset


def save(dataset: Dataset, path: Path | str) -> Path:
    """Write a dataset as a DICOM part 10 file in the transfer syntax of its meta header."""
    from pydicom.uid import UID

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = dataset.file_meta
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.ImplementationClassUID = UID(uid("implementation"))
    dataset.save_as(path, enforce_file_format=True)
    return path


def single_frames(
    scan: Scan, *, series: str = "1", study: str = "1", patient: str = PATIENT, description: str = ""
) -> list[Dataset]:
    """Return one dataset per slice: CT, MR, PT, US, CR, DX or MG Image Storage; others Secondary Capture.

    Parameters
    ----------
    scan : Scan
        With ``rgb``, those pixels are stored (US and OT only).
    series, study : str
        Names from which the UIDs are made: equal names, equal UIDs.
    patient : str
        Patient name; tests put a canary here.
    """
    stored, slopes, intercept, bits = stored_values(scan)
    sop_class = scan.modality if scan.modality in {"CT", "MR", "PT", "US", "CR", "DX", "MG"} else "OT"
    color = None if scan.rgb is None else to_slices(scan.rgb)
    datasets = []
    for k in range(len(stored)):
        dataset = modules.patient_study(
            scan.modality, series=series, study=study, patient=patient, description=description
        )
        dataset.InstanceNumber = k + 1
        if scan.geometry.space is Space.PATIENT:
            dataset.update(modules.plane(scan.geometry, k, study))
        modules.pixels(dataset, stored[k] if color is None else color[k], bits=bits, inverted=scan.inverted)
        if "BodyPartExamined" in scan.facts:
            dataset.BodyPartExamined = scan.facts["BodyPartExamined"]
        _modality_module(dataset, scan, k, len(stored), float(slopes[k]), intercept)
        datasets.append(finish(dataset, sop_class, study, series, k))
    return datasets


def _modality_module(dataset: Dataset, scan: Scan, k: int, slices: int, slope: float, intercept: float) -> None:
    if scan.modality == "CT":
        modules.ct_image(dataset, intercept=intercept, slope=slope)
    elif scan.modality == "MR":
        modules.mr_image(dataset)
    elif scan.modality == "PT":
        modules.pet_image(dataset, k=k, slices=slices, slope=slope)
    elif scan.modality == "US":
        modules.us_image(dataset, scan.geometry.spacing[:2], 0)
    elif scan.modality in {"DX", "MG"}:
        facts = {"BodyPartExamined": "CHEST", **scan.facts}
        modules.projection_image(dataset, scan.geometry, mammogram=scan.modality == "MG", facts=facts)
    elif scan.modality == "CR":
        dataset.PatientOrientation, dataset.ViewPosition = ["L", "F"], "PA"
        dataset.ImagerPixelSpacing = modules.pixel_spacing(scan.geometry)
    else:
        dataset.ConversionType, dataset.PatientOrientation = "WSD", ""
    window = scan.windows[0] if scan.windows else None
    if isinstance(window, Window) and scan.family in {"CT", "MR", "PT"}:
        dataset.WindowCenter, dataset.WindowWidth = modules.decimal(window.center), modules.decimal(window.width)


def multiframe(
    scan: Scan, *, series: str = "1", study: str = "1", patient: str = PATIENT, description: str = ""
) -> Dataset:
    """Return one dataset for the whole scan: NM views, US cine, or Enhanced CT and MR.

    Raises
    ------
    ModalityError
        The modality has no multi-frame object here.
    """
    if scan.modality in {"CT", "MR"}:
        return _enhanced(scan, series=series, study=study, patient=patient, description=description)
    if scan.modality not in {"NM", "US"}:
        raise ModalityError(f"Multi-frame phantoms exist for CT, MR, NM and US, not {scan.modality}.")
    stored, _, _, bits = stored_values(scan)
    dataset = modules.patient_study(scan.modality, series=series, study=study, patient=patient, description=description)
    dataset.InstanceNumber = 1
    dataset.BodyPartExamined = scan.facts.get("BodyPartExamined", "WHOLEBODY")
    modules.pixels(dataset, stored if scan.rgb is None else to_slices(scan.rgb), bits=bits)
    if scan.modality == "US":
        modules.us_image(dataset, scan.geometry.spacing[:2], len(stored))
        return finish(dataset, "US-MULTIFRAME", study, series)
    modules.nm_image(dataset, len(stored))
    dataset.PixelSpacing = modules.pixel_spacing(scan.geometry)
    return finish(dataset, "NM", study, series)


def _enhanced(scan: Scan, *, series: str, study: str, patient: str, description: str) -> Dataset:
    stored, slopes, intercept, bits = stored_values(scan)
    modality = scan.modality
    dataset = modules.patient_study(modality, series=series, study=study, patient=patient, description=description)
    geometry = scan.geometry
    dataset.InstanceNumber, dataset.PatientPosition = 1, "HFS"
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = uid("frame of reference", study), ""
    modules.pixels(dataset, stored, bits=bits)
    frame_type = ["ORIGINAL", "PRIMARY", "VOLUME" if modality == "CT" else "T1", "NONE"]
    dataset.ImageType, dataset.AcquisitionDateTime = frame_type, modules.DATE + modules.TIME
    dataset.PixelPresentation, dataset.VolumetricProperties = "MONOCHROME", "VOLUME"
    dataset.VolumeBasedCalculationTechnique, dataset.ContentQualification = "NONE", "RESEARCH"
    dataset.BurnedInAnnotation, dataset.LossyImageCompression, dataset.PresentationLUTShape = "NO", "00", "IDENTITY"
    organization = uid("dimensions", study, series)
    dataset.DimensionOrganizationSequence = [item(DimensionOrganizationUID=organization)]
    dataset.DimensionIndexSequence = [
        item(DimensionOrganizationUID=organization, DimensionIndexPointer=pointer, FunctionalGroupPointer=group)
        for pointer, group in ((0x00209056, 0x00209111), (0x00209057, 0x00209111))
    ]
    measures = item(
        PixelSpacing=modules.pixel_spacing(geometry),
        SliceThickness=modules.decimal(geometry.spacing[2]),
        SpacingBetweenSlices=modules.decimal(geometry.spacing[2]),
    )
    frame_sequence = {"CT": "CTImageFrameTypeSequence", "MR": "MRImageFrameTypeSequence"}[modality]
    frame_kind = item(
        FrameType=frame_type, PixelPresentation="MONOCHROME", VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
    )  # fmt: skip
    shared = item(
        PixelMeasuresSequence=[measures],
        PlaneOrientationSequence=[item(ImageOrientationPatient=modules.orientation(geometry))],
        **{frame_sequence: [frame_kind]},
    )
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [
        _frame_groups(scan, k, float(slopes[k]), intercept) for k in range(len(stored))
    ]
    return finish(dataset, f"{modality}-ENHANCED", study, series)


def _frame_groups(scan: Scan, k: int, slope: float, intercept: float) -> Dataset:
    content = item(
        FrameAcquisitionNumber=1, StackID="1", InStackPositionNumber=k + 1, DimensionIndexValues=[1, k + 1],
        FrameReferenceDateTime=modules.DATE + modules.TIME, FrameAcquisitionDateTime=modules.DATE + modules.TIME,
        FrameAcquisitionDuration=1.0,
    )  # fmt: skip
    rescale = item(
        RescaleIntercept=modules.decimal(intercept), RescaleSlope=modules.decimal(slope),
        RescaleType="HU" if scan.modality == "CT" else "US",
    )  # fmt: skip
    groups = item(
        FrameContentSequence=[content],
        PlanePositionSequence=[item(ImagePositionPatient=modules.position(scan.geometry, k))],
        PixelValueTransformationSequence=[rescale],
    )
    window = scan.windows[0] if scan.windows else None
    if isinstance(window, Window):
        center, width = modules.decimal(window.center), modules.decimal(window.width)
        groups.FrameVOILUTSequence = [item(WindowCenter=center, WindowWidth=width)]
    return groups


def write_dicom(scan: Scan, folder: Path | str, *, layout: str = "auto", **names: str) -> list[Path]:
    """Write a scan as the DICOM files its scanner would make.

    Parameters
    ----------
    scan : Scan
    folder : path
        Made if needed; files are 0001.dcm ... in slice order.
    layout : {"auto", "series", "multiframe"}
        auto: NM and several US frames in one file, everything else one file per slice.
    **names
        ``series``, ``study``, ``patient``, ``description``.

    Returns
    -------
    list of Path
        In slice order.
    """
    one_file = scan.modality == "NM" or (scan.modality == "US" and scan.k_axis is KAxis.TIME and scan.shape[2] > 1)
    if layout == "multiframe" or (layout == "auto" and one_file):
        return [save(multiframe(scan, **names), Path(folder) / "0001.dcm")]
    return [save(d, Path(folder) / f"{n + 1:04d}.dcm") for n, d in enumerate(single_frames(scan, **names))]
