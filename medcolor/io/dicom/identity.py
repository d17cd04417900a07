"""Copying what the source says of patient and study: whole modules, values untouched, nothing private."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from medcolor.io.dicom.uids import derived_uid

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

# Modules of PS3.3 that are copied whole: Patient C.7.1.1, General Study C.7.2.1, Patient Study C.7.2.2; Clinical Trial
# (C.7.1.3, C.7.2.3, C.7.3.2) is group 0012. OtherPatientIDs (0010,1000) is retired and stays behind.
_IDENTITY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "TypeOfPatientID", "IssuerOfPatientIDQualifiersSequence",
    "PatientBirthDate", "PatientBirthTime", "PatientBirthDateInAlternativeCalendar",
    "PatientDeathDateInAlternativeCalendar", "PatientAlternativeCalendar", "PatientSex",
    "QualityControlSubject", "ReferencedPatientSequence", "ReferencedPatientPhotoSequence", "OtherPatientNames",
    "OtherPatientIDsSequence", "SourcePatientGroupIdentificationSequence",
    "GroupOfPatientsIdentificationSequence", "EthnicGroup", "EthnicGroupCodeSequence",
    "PatientSpeciesDescription", "PatientSpeciesCodeSequence", "PatientBreedDescription",
    "PatientBreedCodeSequence", "BreedRegistrationSequence", "StrainDescription", "StrainNomenclature",
    "StrainStockSequence", "StrainAdditionalInformation", "StrainCodeSequence", "GeneticModificationsSequence",
    "ResponsiblePerson", "ResponsiblePersonRole", "ResponsibleOrganization", "PatientComments",
    "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "IssuerOfAccessionNumberSequence", "ReferringPhysicianName", "ReferringPhysicianIdentificationSequence",
    "ConsultingPhysicianName", "ConsultingPhysicianIdentificationSequence", "PhysiciansOfRecord",
    "PhysiciansOfRecordIdentificationSequence", "NameOfPhysiciansReadingStudy",
    "PhysiciansReadingStudyIdentificationSequence", "ReferencedStudySequence", "ProcedureCodeSequence",
    "RequestingService", "RequestingServiceCodeSequence", "ReasonForPerformedProcedureCodeSequence",
    "AdmittingDiagnosesDescription", "AdmittingDiagnosesCodeSequence", "PatientAge", "PatientSize",
    "PatientSizeCodeSequence", "PatientWeight", "PatientBodyMassIndex", "MeasuredAPDimension",
    "MeasuredLateralDimension", "MedicalAlerts", "Allergies", "Occupation", "SmokingStatus",
    "AdditionalPatientHistory", "PregnancyStatus", "LastMenstrualDate", "PatientSexNeutered", "ReasonForVisit",
    "ReasonForVisitCodeSequence", "AdmissionID", "IssuerOfAdmissionIDSequence", "ServiceEpisodeID",
    "ServiceEpisodeDescription", "IssuerOfServiceEpisodeIDSequence", "PatientState",
    "LongitudinalTemporalInformationModified", "TimezoneOffsetFromUTC",
)  # fmt: skip
_TYPE_2 = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID"),
)


def copy_identity(out: Dataset, header: Any, source_key: str) -> None:
    """Put patient and study of the source into ``out``; what it lacks is empty, or derived where DICOM needs it.

    Parameters
    ----------
    out, header : pydicom.Dataset
    source_key : str
        Content digest of the source, for the UID of a study that has none.
    """
    copy_present(header, out, ("SpecificCharacterSet",))
    if not out.get("SpecificCharacterSet"):
        out.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _TYPE_2:
        setattr(out, keyword, None)
    copy_present(header, out, _IDENTITY)
    # Clinical trial attributes all live in group 0012; a few are in the list above already
    copy_present(header, out, [e.tag for e in header.group_dataset(0x0012)])
    if not out.get("StudyInstanceUID"):  # a study of our own
        out.StudyInstanceUID = derived_uid(source_key, "study")
        out.StudyID = out.StudyID or hashlib.sha256(source_key.encode()).hexdigest()[:8]
    if out.get("PatientIdentityRemoved") == "YES" and not (
        out.get("DeidentificationMethod") or out.get("DeidentificationMethodCodeSequence")
    ):
        out.DeidentificationMethod = "not stated by the source"  # required where identity was removed


def copied(element: DataElement) -> DataElement:
    """Return the element as it is; a sequence without the private attributes of its items."""
    from pydicom import DataElement, Dataset
    from pydicom.sequence import Sequence

    if element.VR != "SQ":
        return element
    items = []
    for source in element.value:
        item = Dataset()
        for inner in source:
            if not inner.tag.is_private and inner.tag.element != 0:
                item[inner.tag] = copied(inner)
        items.append(item)
    return DataElement(element.tag, "SQ", Sequence(items), already_converted=True)


def copy_present(source: Any, target: Dataset, keywords: Iterable[str]) -> None:
    """Copy those of ``keywords`` that ``source`` has."""
    for keyword in keywords:
        if keyword in source:
            element = copied(source[keyword])
            target[element.tag] = element


def put(target: Dataset, keyword: str, value: Any) -> None:
    """Set a value that came from the source without judging it: what is odd there stays odd here."""
    from pydicom import DataElement
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    target[tag] = DataElement(tag, dictionary_VR(tag), value, already_converted=True)


def whole(header: Any, keyword: str) -> int | None:
    """Return an integer of the source, None where it is absent or no integer."""
    try:
        value = header.get(keyword)
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None
