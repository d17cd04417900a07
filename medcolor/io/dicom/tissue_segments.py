"""What a DICOM Segmentation says of each tissue class: name, codes, colour, and the algorithm that found it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medcolor.color_scan import ColorScan
from medcolor.io.dicom.attributes import coded
from medcolor.io.dicom.provenance import ascii_label
from medcolor.io.dicom.tissue_codes import GENERAL, TissueCode, tissue_code
from medcolor.scan import family
from medcolor.tissue_map import Code, Segmentation

if TYPE_CHECKING:
    from pydicom import Dataset

_SHOWN_AT = 62.0  # L* of the recommended colours: that of the legends


def segment_item(number: int, segmentation: Segmentation, colored: ColorScan) -> Dataset:
    """Return the item of one label: what it is, its colour, and what found it.

    Parameters
    ----------
    number : int
    segmentation : Segmentation
    colored : ColorScan
        Made from the same tissues.
    """
    from pydicom import Dataset

    made, name = colored.provenance, segmentation.names[number]
    code = _code(name, segmentation.codes.get(number), colored.modality)
    out, by = Dataset(), Dataset()
    out.SegmentNumber = number
    out.SegmentLabel = ascii_label(name.replace("_", " "))[:64]
    out.SegmentDescription = _meaning(name, colored.modality, code)
    out.SegmentAlgorithmType = "AUTOMATIC"
    out.SegmentAlgorithmName = f"medcolor {ascii_label(made.colorizer)}"[:64]
    learned = made.weights_sha256 is not None
    by.AlgorithmFamilyCodeSequence = [
        coded("123110", "Artificial Intelligence") if learned else coded("123105", "Histogram Analysis")
    ]
    by.AlgorithmName = out.SegmentAlgorithmName
    by.AlgorithmVersion = f"medcolor {made.version or 'unversioned'}"[:64]
    by.AlgorithmSource = "medcolor project"
    by.AlgorithmParameters = f"weights sha256:{made.weights_sha256}" if learned else "no weights: physics"
    out.SegmentationAlgorithmIdentificationSequence = [by]
    out.SegmentedPropertyCategoryCodeSequence = [_item(code.category)]
    out.SegmentedPropertyTypeCodeSequence = [_item(code.type)]
    if number in segmentation.colors:
        out.RecommendedDisplayCIELabValue = stored_lab(*segmentation.colors[number])
    return out


def stored_lab(a: float, b: float) -> list[int]:
    """Return a colour as DICOM stores it (PS3.3 C.10.7.1.1), at the lightness of our legends.

    a*, b* of every palette lie within the range; the white point is D65, as elsewhere here (the standard says D50).
    """
    scaled = [_SHOWN_AT / 100, (a + 128) / 255, (b + 128) / 255]
    return [round(65535 * min(max(value, 0.0), 1.0)) for value in scaled]


def _code(name: str, own: Code | None, modality: str) -> TissueCode:
    found = tissue_code(modality, name)
    return TissueCode(GENERAL.category, own) if own is not None and own != found.type else found


def _meaning(name: str, modality: str, code: TissueCode) -> str:
    from medcolor.palettes import load_palette

    known = family(modality)
    classes = load_palette(known).classes if known else ()
    said = next((ascii_label(c.meaning) for c in classes if c.name == name), "")
    general = "The code says less than this class: there is none as narrow. " if code.general else ""
    return f"{general}{said[:1].upper()}{said[1:]}."[:1024] if said else f"{general}{ascii_label(name)}."[:1024]


def _item(code: Code) -> Dataset:
    item = coded(code.value, code.meaning)
    item.CodingSchemeDesignator = code.scheme
    return item


__all__ = ["segment_item", "stored_lab"]
