"""What a colour object says about its making, and how ``restore`` finds it again.

Secondary Capture has no attribute for an algorithm, so the record travels as canonical JSON in the Contribution
Description of the Contributing Equipment item that names medcolor.
"""

from __future__ import annotations

import json
from typing import Any

from medcolor.color_scan import Law, Provenance

MODEL_NAME = "medcolor"
_MARK = "provenance="
_PART = 960  # characters; Contribution Description is ST, at most 1024


def describe_making(provenance: Provenance) -> tuple[str, ...]:
    """Return the texts of the Contribution Descriptions, nearly always one: weights' full hash, then the record."""
    weights = f"weights sha256:{provenance.weights_sha256}" if provenance.weights_sha256 else "no weights: physics/lut"
    record = provenance.dumps()
    first = max(0, _PART - len(weights))
    if len(record) > first:
        record = record.replace(" ", r"\u0020")  # a space at the end of a part would be taken for padding
    parts = [record[:first], *(record[n : n + _PART] for n in range(first, len(record), _PART))]
    return (f"{weights}; {_MARK}{parts[0]}", *(f"{_MARK}{part}" for part in parts[1:]))


def read_provenance(header: Any) -> Provenance | None:
    """Return how a DICOM colour object was made, None when medcolor did not write it.

    Parameters
    ----------
    header : pydicom.Dataset
    """
    texts = [
        str(item.get("ContributionDescription", ""))
        for item in header.get("ContributingEquipmentSequence") or ()
        if item.get("ManufacturerModelName") == MODEL_NAME
    ]
    record = "".join(text.partition(_MARK)[2] for text in texts)
    try:
        return Provenance.from_json(json.loads(record))
    except (ValueError, TypeError):
        return None


def style_of(provenance: Provenance) -> str:
    """Return colorizer and palette in a few ASCII words, for labels."""
    palette = provenance.options.get("palette")
    words = provenance.colorizer if provenance.law is Law.LUT or not palette else f"{provenance.colorizer} {palette}"
    return ascii_label(words)


def ascii_label(text: str) -> str:
    """Return ``text`` fit for any DICOM character set: ASCII, no backslash, no control characters."""
    plain = text.encode("ascii", "replace").decode()
    return "".join("/" if c == "\\" else c for c in plain if c.isprintable())
