"""Names and colours of labels from the tables people keep beside their label maps."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medcolor.cielab import rgb_to_lab
from medcolor.errors import ReadCode, ReadError

_MOST_BYTES = 1 << 20
_ACCEPTED = (
    "An ITK-SNAP label file, a FreeSurfer or 3D Slicer colour table (NUMBER NAME R G B A), or the dataset.json of "
    "nnU-Net or the Medical Segmentation Decathlon is accepted."
)
_ITK_SNAP = re.compile(r'^(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+[\d.]+\s+\d+\s+\d+\s+"(.*)"$')
_COLOR_TABLE = re.compile(r"^(\d+)\s+(\S.*?)\s+(\d+)\s+(\d+)\s+(\d+)(?:\s+\d+)?$")


@dataclass(frozen=True, slots=True)
class LabelTable:
    """What a table says: names, and colours (a*, b*) where it has them."""

    names: dict[int, str] = field(default_factory=dict)
    colors: dict[int, tuple[float, float]] = field(default_factory=dict)


def read_label_table(path: Path | str) -> LabelTable:
    """Read names and colours.

    Parameters
    ----------
    path : Path or str
        ITK-SNAP label description, FreeSurfer or 3D Slicer colour table, or dataset.json (nnU-Net 1 and 2, decathlon).

    Raises
    ------
    FileNotFoundError
    ReadError
        None of these, or it contradicts itself; the line is named.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such label table. {_ACCEPTED}")
    if path.stat().st_size > _MOST_BYTES:
        raise ReadError(path, ReadCode.TOO_LARGE, "a label table of over 1 MiB is none.", _ACCEPTED)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ReadError(path, ReadCode.UNSUPPORTED_FORMAT, "the label table is no UTF-8 text.", _ACCEPTED) from None
    table = _dataset(path, text) if text.lstrip().startswith("{") else _lines(path, text)
    if not table.names:
        raise ReadError(path, ReadCode.EMPTY, "the table names no label.", _ACCEPTED)
    return table


def ab_of_srgb(rgb: Sequence[float]) -> tuple[float, float]:
    """Return the a*, b* of an sRGB colour given in 0..1."""
    _, a, b = rgb_to_lab(rgb).tolist()
    return float(a), float(b)


def _lines(path: Path, text: str) -> LabelTable:
    table = LabelTable()
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if found := _ITK_SNAP.match(line):
            label, name, rgb = found[1], found[5], found.group(2, 3, 4)
        elif found := _COLOR_TABLE.match(line):
            label, name, rgb = found[1], found[2].strip('"'), found.group(3, 4, 5)
        else:
            raise ReadError(path, ReadCode.UNSUPPORTED_FORMAT, f"line {number} is not understood.", _ACCEPTED)
        _add(path, table, int(label), name, f"line {number}")
        levels = [int(v) for v in rgb]
        if max(levels) > 255:
            raise ReadError(path, ReadCode.CORRUPT, f"line {number}: red, green and blue go from 0 to 255.")
        if int(label):
            table.colors[int(label)] = ab_of_srgb([v / 255 for v in levels])
    return table


def _dataset(path: Path, text: str) -> LabelTable:
    try:
        labels = json.loads(text).get("labels")
    except (ValueError, RecursionError):
        raise ReadError(path, ReadCode.CORRUPT, "the JSON cannot be parsed.", _ACCEPTED) from None
    if not isinstance(labels, dict):
        raise ReadError(path, ReadCode.UNSUPPORTED_FORMAT, 'this JSON has no "labels".', _ACCEPTED)
    table = LabelTable()
    regions: list[tuple[str, list[int]]] = []
    for key, value in labels.items():
        if isinstance(value, list) and value and all(_is_label(v) for v in value):
            regions.append((key, value))
        elif _is_label(value):  # nnU-Net: "liver": 1
            _add(path, table, value, key, f'"{key}"')
        elif isinstance(value, str) and key.isdecimal():  # decathlon: "1": "liver"
            _add(path, table, int(key), value, f'"{key}"')
        else:
            raise ReadError(path, ReadCode.CORRUPT, f'the entry "{key}" of "labels" is not understood.', _ACCEPTED)
    for label in sorted({n for _, members in regions for n in members}):
        # nnU-Net trains on unions; a label is what its smallest union adds to the smaller ones inside of it
        smallest = min((r for r in regions if label in r[1]), key=lambda r: len(r[1]))
        _add(path, table, label, smallest[0] if len(smallest[1]) == 1 else f"{smallest[0]}, label {label}", "regions")
    return table


def _is_label(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _add(path: Path, table: LabelTable, label: int, name: str, where: str) -> None:
    if not 0 <= label < 1 << 16:
        raise ReadError(path, ReadCode.CORRUPT, f"{where}: label {label}; 0 to 65535 are accepted.")
    if label in table.names:
        raise ReadError(path, ReadCode.CORRUPT, f"{where}: label {label} is there twice.")
    if label:
        table.names[label] = name.strip() or f"label {label}"
