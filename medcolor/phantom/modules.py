"""The DICOM attributes a phantom needs to be a valid object of its modality, one function per module or IOD."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from medcolor.geometry import Geometry

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SOP_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "CT-ENHANCED": "1.2.840.10008.5.1.4.1.1.2.1",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "MR-ENHANCED": "1.2.840.10008.5.1.4.1.1.4.1",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
    "NM": "1.2.840.10008.5.1.4.1.1.20",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "US-MULTIFRAME": "1.2.840.10008.5.1.4.1.1.3.1",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "DX-PROCESSING": "1.2.840.10008.5.1.4.1.1.1.1.1",
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
    "MG-PROCESSING": "1.2.840.10008.5.1.4.1.1.1.2.1",
    "OT": "1.2.840.10008.5.1.4.1.1.7",
    "RTSTRUCT": "1.2.840.10008.5.1.4.1.1.481.3",
}
DATE, TIME = "20200102", "101500"
PET_WEIGHT_KG, PET_DOSE_BQ, PET_HALF_LIFE_S = 70.0, 370e6, 6586.2  # fluorine 18
PET_INJECTION_TIME, PET_SERIES_TIME = "091500.00", "101500"  # one hour of uptake


def uid(*parts: object) -> str:
    """Return a UID that depends on its arguments alone."""
    digest = hashlib.sha256("/".join(["medcolor phantom", *map(str, parts)]).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big') % 10**38}"


def item(**attributes: Any) -> Dataset:
    """Return a Dataset with these attributes."""
    from pydicom.dataset import Dataset

    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return a coded concept."""
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def decimal(value: float) -> Any:
    """Return a DS value of at most 16 characters, as exact as they allow."""
    from pydicom.valuerep import DSfloat

    return DSfloat(float(value), auto_format=True)


def decimals(values: Any) -> list[Any]:
    """Return DS values."""
    return [decimal(v) for v in np.asarray(values, float).ravel()]


def orientation(geometry: Geometry) -> list[Any]:
    """Return Image Orientation (Patient): the direction of a row, then of a column, LPS."""
    lps = geometry.to_lps()[:3, :3]
    return decimals((lps / np.linalg.norm(lps, axis=0))[:, :2].T)


def position(geometry: Geometry, k: float) -> list[Any]:
    """Return Image Position (Patient) of slice k: the center of its first pixel, LPS mm."""
    return decimals(geometry.to_lps()[:3] @ np.array([0, 0, k, 1.0]))


def pixel_spacing(geometry: Geometry) -> list[Any]:
    """Return Pixel Spacing: distance of rows, then of columns, in mm."""
    return decimals([geometry.spacing[1], geometry.spacing[0]])


def patient_study(modality: str, *, series: str, study: str, patient: str, description: str) -> Dataset:
    """Return patient, study, series and equipment of a synthetic patient."""
    return item(
        ImageType=["ORIGINAL", "PRIMARY"], StudyDate=DATE, SeriesDate=DATE, AcquisitionDate=DATE, ContentDate=DATE,
        StudyTime=TIME, SeriesTime=TIME, AcquisitionTime=TIME, ContentTime=TIME, AccessionNumber="",
        Modality=modality, Manufacturer="medcolor phantom", ReferringPhysicianName="", StudyDescription="Phantom",
        SeriesDescription=description, ManufacturerModelName="phantom", PatientName=patient, PatientID="PHANTOM",
        PatientBirthDate="19700101", PatientSex="O", SoftwareVersions="1", DeviceSerialNumber="0",
        StudyInstanceUID=uid("study", study), SeriesInstanceUID=uid("series", study, series), StudyID="1",
        SeriesNumber=1, AcquisitionNumber=1,
    )  # fmt: skip


def plane(geometry: Geometry, k: float, study: str) -> Dataset:
    """Return Frame of Reference and Image Plane of slice k."""
    return item(
        FrameOfReferenceUID=uid("frame of reference", study), PositionReferenceIndicator="",
        ImagePositionPatient=position(geometry, k), ImageOrientationPatient=orientation(geometry),
        PixelSpacing=pixel_spacing(geometry), SliceThickness=decimal(geometry.spacing[2]), PatientPosition="HFS",
    )  # fmt: skip


def pixels(dataset: Dataset, stored: np.ndarray[Any, Any], *, bits: int | None = None, inverted: bool = False) -> None:
    """Put stored integers (rows, columns), (frames, rows, columns) or RGB bytes (..., 3) into a dataset."""
    color = stored.ndim >= 3 and stored.shape[-1] == 3 and stored.dtype == np.uint8
    rows, columns = stored.shape[-3:-1] if color else stored.shape[-2:]
    allocated = 8 * stored.dtype.itemsize
    dataset.SamplesPerPixel = 3 if color else 1
    dataset.PhotometricInterpretation = "RGB" if color else "MONOCHROME1" if inverted else "MONOCHROME2"
    if color:
        dataset.PlanarConfiguration = 0
    if stored.ndim - color == 3:
        dataset.NumberOfFrames = stored.shape[0]
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated, dataset.BitsStored = allocated, bits or allocated
    dataset.HighBit, dataset.PixelRepresentation = (bits or allocated) - 1, int(stored.dtype.kind == "i")
    data = np.ascontiguousarray(stored.astype(stored.dtype.newbyteorder("<"))).tobytes()
    dataset.add_new(0x7FE00010, "OB" if allocated == 8 else "OW", data + b"\0" * (len(data) % 2))


def ct_image(dataset: Dataset, *, intercept: float = 0.0, slope: float = 1.0) -> None:
    """Add CT Image."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.KVP, dataset.RescaleType, dataset.ConvolutionKernel = "120", "HU", "B30f"
    dataset.RescaleIntercept, dataset.RescaleSlope = decimal(intercept), decimal(slope)


def mr_image(dataset: Dataset) -> None:
    """Add MR Image: a 3-D T1-weighted gradient echo."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "GR", "SP", ""
    dataset.MRAcquisitionType, dataset.RepetitionTime, dataset.EchoTime = "3D", "8", "3"
    dataset.EchoTrainLength = 1


def pet_image(dataset: Dataset, *, k: int, slices: int, slope: float, units: str = "BQML") -> None:
    """Add PET Series, Isotope and Image: 370 MBq of FDG, 70 kg, one hour of uptake, decay corrected to START."""
    dataset.Units, dataset.CountsSource, dataset.SeriesType = units, "EMISSION", ["WHOLE BODY", "IMAGE"]
    dataset.NumberOfSlices, dataset.ImageIndex, dataset.CorrectedImage = slices, k + 1, ["DECY", "ATTN"]
    dataset.DecayCorrection, dataset.CollimatorType, dataset.PatientWeight = "START", "NONE", str(PET_WEIGHT_KG)
    dataset.SeriesTime, dataset.PatientSize = PET_SERIES_TIME, "1.75"
    dataset.RescaleIntercept, dataset.RescaleSlope = decimal(0), decimal(slope)
    dataset.FrameReferenceTime, dataset.ActualFrameDuration, dataset.DecayFactor = "0", "120000", "1"
    dataset.AttenuationCorrectionMethod = "CT"
    dataset.RadiopharmaceuticalInformationSequence = [
        item(
            Radiopharmaceutical="Fluorodeoxyglucose", RadiopharmaceuticalStartTime=PET_INJECTION_TIME,
            RadionuclideTotalDose=decimal(PET_DOSE_BQ), RadionuclideHalfLife=decimal(PET_HALF_LIFE_S),
            RadionuclidePositronFraction="0.97",
            RadionuclideCodeSequence=[code("77004003", "SCT", "^18^Fluorine")],
            RadiopharmaceuticalCodeSequence=[code("35321007", "SCT", "Fluorodeoxyglucose F^18^")],
        )
    ]  # fmt: skip
    dataset.PatientOrientationCodeSequence = [code("102538003", "SCT", "recumbent")]
    dataset.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = [
        code("40199007", "SCT", "supine")
    ]
    dataset.PatientGantryRelationshipCodeSequence = [code("102540008", "SCT", "headfirst")]
    del dataset.PatientPosition  # the coded orientation stands in its place


def pet_suv_factor() -> float:
    """Return SUVbw per Bq/ml of :func:`pet_image`: weight in g over the dose left after one hour."""
    return PET_WEIGHT_KG * 1000 / (PET_DOSE_BQ * 2 ** (-3600 / PET_HALF_LIFE_S))


def nm_image(dataset: Dataset, frames: int) -> None:
    """Add NM: whole-body planar, frames are detectors (anterior, posterior)."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "WHOLE BODY", "EMISSION"]
    dataset.FrameIncrementPointer = [0x00540010, 0x00540020]
    dataset.EnergyWindowVector, dataset.NumberOfEnergyWindows = [1] * frames, 1
    dataset.DetectorVector, dataset.NumberOfDetectors = list(range(1, frames + 1)), frames
    window = item(EnergyWindowLowerLimit="126", EnergyWindowUpperLimit="154")
    dataset.EnergyWindowInformationSequence = [item(EnergyWindowName="Tc99m", EnergyWindowRangeSequence=[window])]
    dataset.RadiopharmaceuticalInformationSequence = [
        item(
            Radiopharmaceutical="Tc-99m MDP", RadionuclideTotalDose="700",
            RadionuclideCodeSequence=[code("72454000", "SCT", "^99m^Technetium")],
        )
    ]  # fmt: skip
    views = ("anterior", "255549009"), ("posterior", "255551008")
    dataset.DetectorInformationSequence = [
        item(
            ImagePositionPatient=None, ImageOrientationPatient=None,
            CollimatorGridName="LEHR", CollimatorType="PARA", FieldOfViewShape="RECTANGLE",
            ViewCodeSequence=[code(views[n % 2][1], "SCT", views[n % 2][0])],
        )
        for n in range(frames)
    ]  # fmt: skip
    dataset.PatientOrientation = ""
    dataset.CountsAccumulated, dataset.ActualFrameDuration, dataset.ScanVelocity = 1000000, "1200000", "2"
    dataset.WholeBodyTechnique = "1PS"
    dataset.ScanLength = "1930"
    dataset.PatientOrientationCodeSequence = [code("102538003", "SCT", "recumbent")]
    dataset.PatientGantryRelationshipCodeSequence = [code("102540008", "SCT", "headfirst")]


def us_image(dataset: Dataset, spacing: tuple[float, float], frames: int) -> None:
    """Add US: one calibrated tissue region, 25 frames a second."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "ABDOMINAL"]
    dataset.PatientOrientation, dataset.LossyImageCompression = "", "00"
    dataset.SequenceOfUltrasoundRegions = [us_region((0, 0, dataset.Columns - 1, dataset.Rows - 1), spacing)]
    if frames:
        dataset.FrameTime, dataset.FrameIncrementPointer = "40", 0x00181063
        dataset.CineRate, dataset.RecommendedDisplayFrameRate = 25, 25


def us_region(box: tuple[int, int, int, int], spacing: tuple[float, float], *, data_type: int = 1) -> Dataset:
    """Return one region: box (x0, y0, x1, y1) in pixels, spacing in mm; data type 1 is tissue, 2 color flow."""
    return item(
        RegionSpatialFormat=1, RegionDataType=data_type, RegionFlags=0, RegionLocationMinX0=box[0],
        RegionLocationMinY0=box[1], RegionLocationMaxX1=box[2], RegionLocationMaxY1=box[3],
        PhysicalUnitsXDirection=3, PhysicalUnitsYDirection=3, PhysicalDeltaX=spacing[0] / 10,
        PhysicalDeltaY=spacing[1] / 10,
    )  # fmt: skip


def projection_image(dataset: Dataset, geometry: Geometry, *, mammogram: bool, facts: dict[str, Any]) -> None:
    """Add DX Image, or Mammography Image, FOR PRESENTATION."""
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    dataset.ImageType = ["DERIVED", "PRIMARY", ""]
    dataset.PresentationIntentType, dataset.PixelIntensityRelationship = "FOR PRESENTATION", "LOG"
    dataset.PixelIntensityRelationshipSign = 1 if inverted else -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    dataset.LossyImageCompression, dataset.BurnedInAnnotation = "00", "NO"
    dataset.ImagerPixelSpacing = pixel_spacing(geometry)
    dataset.DetectorType, dataset.AcquisitionContextSequence = "DIRECT", []
    dataset.DetectorID, dataset.DateOfLastDetectorCalibration, dataset.DetectorConfiguration = "0", DATE, "AREA"
    dataset.BodyPartExamined, dataset.KVP = facts["BodyPartExamined"], "28" if mammogram else "120"
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    if not mammogram:
        dataset.ImageLaterality, dataset.PatientOrientation, dataset.ViewPosition = "U", ["L", "F"], "PA"
        dataset.AnatomicRegionSequence = [code("51185008", "SCT", "Chest")]
        dataset.ViewCodeSequence = [code("399348003", "SCT", "postero-anterior")]
        dataset.PositionerType = ""
        dataset.ViewCodeSequence[0].ViewModifierCodeSequence = []
        dataset.PatientOrientationCodeSequence = [code("10904000", "SCT", "erect")]
        return
    side, view = facts["ImageLaterality"], facts["ViewPosition"]
    dataset.ImageLaterality, dataset.ViewPosition = side, view
    down = {"MLO": "FR" if side == "L" else "FL", "CC": "R" if side == "L" else "L"}[view]
    dataset.PatientOrientation = ["A" if side == "L" else "P", down]
    dataset.PositionerType, dataset.OrganExposed, dataset.BreastImplantPresent = "MAMMOGRAPHIC", "BREAST", "NO"
    dataset.PartialView, dataset.QualityControlImage = "NO", "NO"
    dataset.AnatomicRegionSequence = [code("76752008", "SCT", "Breast")]
    name, meaning = {"MLO": ("399368009", "medio-lateral oblique"), "CC": ("399162004", "cranio-caudal")}[view]
    dataset.ViewCodeSequence = [code(name, "SCT", meaning)]
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = []
