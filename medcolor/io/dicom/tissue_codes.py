"""What each tissue class is in a terminology: the one table of codes, for segmentations.

Every code here is in PS3.16 (CID 7150, 7166, 7191, 7193, 7194, 7197, 6154). Where the standard has no word as narrow
as the class, the wider true one stands ("Bone" for spongy and for cortical bone), and label and description say the
rest. Levels of signal, of uptake and of density in this image name no anatomy: they are coded as plain "Tissue".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from medcolor.scan import family
from medcolor.tissue_map import Code


@dataclass(frozen=True, slots=True)
class TissueCode:
    """Segmented Property Category and Type of a class.

    ``general`` where the code says less than the class does, because no code says as much.
    """

    category: Code
    type: Code
    general: bool = False


def _sct(value: str, meaning: str) -> Code:
    return Code("SCT", value, meaning)


_TISSUE = _sct("85756007", "Tissue")
_STRUCTURE = _sct("91723000", "Anatomical Structure")
_FLUIDS = _sct("91720002", "Body Substance")
_SUBSTANCE = _sct("105590001", "Substance")
_OBJECT = _sct("260787004", "Physical object")
_ABNORMAL = _sct("49755003", "Morphologically Abnormal Structure")
_RELATIVE = _sct("309825002", "Spatial and Relational Concept")

GENERAL = TissueCode(_TISSUE, _TISSUE, general=True)

_SOFT = TissueCode(_TISSUE, _sct("87784001", "Soft tissue"))
_FAT = TissueCode(_TISSUE, _sct("55603005", "Fat"))
_BONE = TissueCode(_TISSUE, _sct("3138006", "Bone"))
_PART_OF_BONE = TissueCode(_BONE.category, _BONE.type, general=True)
_METAL = TissueCode(_OBJECT, _OBJECT, general=True)


def _echo(value: str, meaning: str) -> TissueCode:
    return TissueCode(_RELATIVE, Code("DCM", value, meaning))


_CODES: Mapping[tuple[str, str], TissueCode] = MappingProxyType(
    {
        ("CT", "gas"): TissueCode(_FLUIDS, _sct("74947009", "Gas")),
        ("CT", "lung"): TissueCode(_STRUCTURE, _sct("39607008", "Lung")),
        ("CT", "fat"): _FAT,
        ("CT", "fluid"): TissueCode(_FLUIDS, _sct("32457005", "Body fluid")),
        ("CT", "soft_tissue"): _SOFT,
        ("CT", "enhanced"): TissueCode(_SUBSTANCE, _sct("7140000", "Contrast agent"), general=True),
        ("CT", "spongy_bone"): _PART_OF_BONE,
        ("CT", "cortical_bone"): _PART_OF_BONE,
        ("CT", "metal"): _METAL,
        ("US", "anechoic"): _echo("111361", "Anechoic"),
        ("US", "hypoechoic"): _echo("111364", "Hypoechoic"),
        ("US", "isoechoic"): _echo("111365", "Isoechoic"),
        ("US", "hyperechoic"): _echo("111362", "Hyperechoic"),
        ("XR", "air"): TissueCode(_SUBSTANCE, _sct("15158005", "Air"), general=True),
        ("XR", "soft_tissue"): _SOFT,
        ("XR", "bone"): _BONE,
        ("XR", "metal"): _METAL,
        ("MG", "skin"): TissueCode(_TISSUE, _sct("39937001", "Skin")),
        ("MG", "fat"): _FAT,
        ("MG", "pectoral"): TissueCode(_STRUCTURE, _sct("60005003", "Pectoralis major muscle")),
        ("MG", "calcification"): TissueCode(_ABNORMAL, _sct("309587003", "Calcification of breast")),
    }
)


def tissue_code(modality: str, name: str) -> TissueCode:
    """Return the codes of a tissue class, :data:`GENERAL` where nothing narrower is true.

    Parameters
    ----------
    modality : str
        Family or DICOM modality code.
    name : str
        As palettes and tissue models name it.
    """
    return _CODES.get((family(modality) or "", name), GENERAL)


__all__ = ["GENERAL", "TissueCode", "tissue_code"]
