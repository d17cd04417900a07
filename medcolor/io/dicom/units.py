"""What unit values are in, and why not a better one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from medcolor.io.dicom import display, suv
from medcolor.io.dicom.pixels import Layout
from medcolor.io.dicom.rescale import Rescale
from medcolor.scan import GRAY_LEVEL
from medcolor.voi import Display

ARBITRARY = "arbitrary"
# Rescale Type and Modality LUT Type (PS3.3 C.11.1.1.2) that name a unit; US is "unspecified"
_NAMED = frozenset({"OD", "HU", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT"})

_HOUNSFIELD_INTERCEPTS = frozenset({-1000.0, -1024.0, -8192.0})


@dataclass(slots=True)
class Units:
    """The unit of a volume and the transforms that reach it.

    Parameters
    ----------
    name : str
    rescales : list of Rescale
        One for each slice, with an SUV factor multiplied in.
    notes : list of (code, message)
    carried : Rescale or None
        What display windows of the file must go through to be in this unit.
    needs_negative : bool
        HU is only what the values are if some are below 0.
    """

    name: str
    rescales: list[Rescale]
    notes: list[tuple[str, str]] = field(default_factory=list)
    carried: Rescale | None = None
    needs_negative: bool = False

    def after(self, low: float, notes: list[tuple[str, str]]) -> str:
        """Return the unit now that the least value is known."""
        if self.name == "HU" and self.needs_negative and low >= 0:
            notes.append(
                (
                    "units-unknown",
                    "This CT is unsigned with intercept 0 and does not say that it is in HU: air would be missing. "
                    "Its values are kept without a unit.",
                )
            )
            return ARBITRARY
        return self.name

    def carry(self, displays: tuple[Display, ...], notes: list[tuple[str, str]]) -> tuple[Display, ...]:
        """Return the file's displays in this unit."""
        if self.carried is None:
            return displays
        moved = [display.carried(d, self.carried) for d in displays]
        if any(m is None for m in moved):
            notes.append(("display-dropped", f"A display table of the file cannot be expressed in {self.name}."))
        return tuple(m for m in moved if m is not None)


def choose_units(
    headers: Sequence[Any],
    frames: Sequence[tuple[int, int]],
    rescales: list[Rescale],
    layouts: dict[int, Layout],
    modality: str,
) -> Units:
    """Decide the unit from modality and header; nothing is guessed.

    Parameters
    ----------
    headers, frames
        As in ``values.read_frames``.
    rescales : list of Rescale
        One for each slice, settled.
    layouts : dict
        Header index -> layout.
    modality : str
    """
    first = rescales[0]
    kinds = {r.kind for r in rescales}
    kind = first.kind if len(kinds) == 1 else ""
    if modality == "PT":
        return _pet(headers, frames, rescales)
    if modality == "CT":
        return _ct(headers, frames, rescales, layouts, kind)
    if first.origin == "mapping":
        one = len(set(rescales)) == 1
        return Units(first.units or ARBITRARY, rescales, carried=first if one else None)
    if kind in _NAMED - {"HU"}:
        return Units(kind, rescales)
    if modality == "NM" and first.origin == "none":
        return Units("counts", rescales)
    layout = layouts[frames[0][0]]
    if (
        layout.allocated == 8
        and all(r.identity for r in rescales)
        and modality in {"US", "IVUS", "OT", "SC", "ES", "XC"}
    ):
        return Units(GRAY_LEVEL, rescales)
    return Units(ARBITRARY, rescales)


def _ct(
    headers: Sequence[Any],
    frames: Sequence[tuple[int, int]],
    rescales: list[Rescale],
    layouts: dict[int, Layout],
    kind: str,
) -> Units:
    origin = rescales[0].origin
    if origin == "mapping":
        return Units(rescales[0].units or ARBITRARY, rescales)
    if origin == "none":
        why = "This CT has no rescale slope and intercept: its stored values are kept, without a unit."
        return Units(ARBITRARY, rescales, [("units-unknown", why)])
    if kind == "HU":
        return Units("HU", rescales)
    if kind == "US" and all(r.slope == 1 and r.intercept in _HOUNSFIELD_INTERCEPTS for r in rescales):
        why = "The file calls its rescaled unit unspecified; slope 1 and this intercept are the Hounsfield scale's: HU."
        return Units("HU", rescales, [("units-assumed-hu", why)])
    if kind:
        known = kind in _NAMED
        why = f"This CT is rescaled to {kind if known else 'an unspecified unit'}, not to HU."
        return Units(kind if known else ARBITRARY, rescales, [("units-not-hu", why)])
    doubtful = all(
        not layouts[i].signed and r.intercept >= 0 and r.lut is None for (i, _), r in zip(frames, rescales, strict=True)
    )
    return Units("HU", rescales, needs_negative=doubtful)


def _pet(headers: Sequence[Any], frames: Sequence[tuple[int, int]], rescales: list[Rescale]) -> Units:
    if rescales[0].origin == "mapping":
        name = suv.UCUM_SUV.get(rescales[0].units)
        one = len(set(rescales)) == 1
        if name is not None:
            note = ("suv-from-file", f"{name} comes from the file's own real world value mapping.")
            return Units(name, rescales, [note], carried=rescales[0] if one else None)
    factors, name, reasons = suv.suv_factors([headers[i] for i, _ in frames])
    if factors is None:
        return Units(name, rescales, reasons)
    scaled = [r.scaled(f) for r, f in zip(rescales, factors, strict=True)]
    middle = factors[len(factors) // 2]
    carried = None if all(f == 1 for f in factors) else Rescale(middle, 0.0)
    return Units(name, scaled, reasons, carried=carried)
