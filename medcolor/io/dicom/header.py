"""Looking at a DICOM header without trusting it: damaged attributes read as absent, never as an exception."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

_MISSING: tuple[Any, ...] = (None, "")


def value(ds: Any, keyword: str) -> Any:
    """Return the value of an attribute, None when it is absent, empty or cannot be parsed."""
    try:
        found = ds.get(keyword)
        if found is None or (hasattr(found, "__len__") and len(found) == 0):
            return None
    except Exception:  # pydicom raises many kinds for a damaged value
        return None
    return found


def values(ds: Any, keyword: str) -> list[Any]:
    """Return a multi-valued attribute as a list, empty when absent."""
    found = value(ds, keyword)
    if found is None:
        return []
    return list(found) if isinstance(found, Iterable) and not isinstance(found, (str, bytes)) else [found]


def number(ds: Any, keyword: str) -> float | None:
    """Return the first value as a float; None when absent, NaN when present but not a finite number."""
    try:
        if keyword not in ds or ds.get_item(keyword).value in _MISSING:
            return None
    except Exception:
        return None
    found = values(ds, keyword)
    try:
        result = float(found[0])
    except (IndexError, TypeError, ValueError, OverflowError):
        return math.nan
    return result if math.isfinite(result) else math.nan


def numbers(ds: Any, keyword: str) -> list[float]:
    """Return all values as floats; NaN for those that are no finite number."""
    result: list[float] = []
    for found in values(ds, keyword):
        try:
            x = float(found)
        except (TypeError, ValueError, OverflowError):
            x = math.nan
        result.append(x if math.isfinite(x) else math.nan)
    return result


def integer(ds: Any, keyword: str) -> int | None:
    """Return the first value as an int, None when absent or not whole."""
    found = number(ds, keyword)
    return None if found is None or math.isnan(found) or found != int(found) else int(found)


def text(ds: Any, keyword: str) -> str:
    """Return the first value as stripped text, empty when absent."""
    found = values(ds, keyword)
    return str(found[0]).strip() if found else ""


def items(ds: Any, keyword: str) -> list[Any]:
    """Return the items of a sequence, empty when absent or not a sequence."""
    found = value(ds, keyword)
    try:
        return [item for item in found if hasattr(item, "get_item")] if found is not None else []
    except TypeError:
        return []


def functional_group(ds: Any, frame: int, macro: str) -> Any | None:
    """Return the item of a functional group macro for one frame: its own, else the shared one, else None."""
    for sequence, index in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        groups = value(ds, sequence)  # indexed, not listed: there may be thousands
        if groups is None:
            continue
        try:
            found = items(groups[index], macro)
        except (IndexError, TypeError, AttributeError):
            continue
        if found:
            return found[0]
    return None
