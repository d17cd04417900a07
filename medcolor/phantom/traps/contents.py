"""Objects that are no scan, scans beside such objects, and texts and identifiers of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medcolor.errors import ReadCode
from medcolor.phantom import datasets, modules
from medcolor.phantom.traps.ct_geometry import GOOD, PLAIN
from medcolor.phantom.traps.table import CANARY, Expect, Trap, edited, one, refused, save_all, setting, slices_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SEG, RTDOSE, PRESENTATION = (
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.481.2",
    "1.2.840.10008.5.1.4.1.1.11.1",
)


def _structures(**more: Any) -> Dataset:
    dataset = modules.patient_study("RTSTRUCT", series="rt", study="1", patient=CANARY, description="")
    setting(StructureSetLabel="A", StructureSetDate="20200102", StructureSetTime="101500", **more)(dataset)
    return datasets.finish(dataset, "RTSTRUCT", "structures")


def _structures_alone(folder: Path) -> Path:
    return datasets.save(_structures(), folder / "rs.dcm")


def _structures_beside(folder: Path) -> Path:
    save_all(slices_of(PLAIN), folder)
    datasets.save(_structures(), folder / "rs.dcm")
    state = _structures()
    state.SOPClassUID, state.SOPInstanceUID, state.Modality = PRESENTATION, modules.uid("state"), "PR"
    datasets.save(state, folder / "pr.dcm")
    return folder


def _object(sop_class: str, modality: str) -> Callable[[Dataset], None]:
    def edit(dataset: Dataset) -> None:
        dataset.SOPClassUID, dataset.Modality = sop_class, modality

    return edit


def _text(character_set: Any, name: str) -> Callable[[Path], Path]:
    def edit(dataset: Dataset, _: int) -> None:
        dataset.SpecificCharacterSet = character_set
        dataset.PatientName, dataset.StudyDescription = f"{CANARY}={name}", "x"

    return edited(PLAIN, edit)


def _identifiers(make: Callable[[int], str]) -> Callable[[Path], Path]:
    """Return a builder: PLAIN with identifiers made from a number."""

    def edit(dataset: Dataset, k: int) -> None:
        from pydicom import config
        from pydicom.uid import UID

        for keyword, number in (("SOPInstanceUID", k), ("SeriesInstanceUID", 90), ("StudyInstanceUID", 91)):
            setattr(dataset, keyword, UID(make(number), validation_mode=config.IGNORE))

    return edited(PLAIN, edit)


def _no_series_uid(dataset: Dataset, _: int) -> None:
    del dataset.SeriesInstanceUID


def _unknown_modality(dataset: Dataset) -> None:
    dataset.Modality = ""
    dataset.SOPClassUID = modules.SOP_CLASSES["OT"]


TRAPS = (
    Trap("object-structure-set", _structures_alone, refused(ReadCode.NO_PIXEL_DATA), "contours are no image"),
    Trap("object-segmentation", one(PLAIN, _object(SEG, "SEG")), refused(ReadCode.UNSUPPORTED_OBJECT), "labels"),
    Trap("object-dose", one(PLAIN, _object(RTDOSE, "RTDOSE")), refused(ReadCode.UNSUPPORTED_OBJECT), "gray, no scan"),
    Trap(
        "object-image-without-pixels", one(PLAIN, setting(PixelData=None)), refused(ReadCode.NO_PIXEL_DATA),
        "a header sent alone",
    ),
    Trap("series-beside-structures", _structures_beside, GOOD, "a folder with an RTSTRUCT beside one series is it"),
    Trap("name-iso-2022-jp", _text(["", "ISO 2022 IR 87"], "山田^太郎"), GOOD),
    Trap("name-gb18030", _text("GB18030", "王^小东"), GOOD),
    Trap("name-unknown-character-set", _text("ISO_IR 999", "x"), GOOD, "texts are not needed to see the picture"),
    Trap("uid-leading-zeros", _identifiers(lambda n: f"1.2.0{n}.003"), GOOD, "not legal, and common"),
    Trap("uid-70-characters", _identifiers(lambda n: "1.2." + "9" * 63 + f".{n:02d}"), GOOD, "64 are allowed"),
    Trap("uid-traversal", _identifiers(lambda n: f"../../evil{n}"), GOOD, "an identifier is not a path"),
    Trap("uid-none-for-the-series", edited(PLAIN, _no_series_uid), Expect(voxels=PLAIN.voxels), "still one series"),
    Trap(
        "modality-empty", one(PLAIN, _unknown_modality), Expect(modality="OT", warns=True),
        "nothing is guessed: OT and a warning",
    ),
)  # fmt: skip
