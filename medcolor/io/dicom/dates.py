"""DICOM dates and times of every spelling that standard and old software know (PS3.5 6.2)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from medcolor.io.dicom import header

_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6})\d*)?")
_DATE = re.compile(r"(\d{4})[.\-]?(\d{2})[.\-]?(\d{2})")
_ZONE = re.compile(r"([+-])(\d{2})(\d{2})$")


def date_time(date: str, time: str) -> datetime | None:
    """Combine DA and TM texts; None unless both are there and valid. A leap second counts as the next second."""
    day, clock = _DATE.fullmatch(date.strip()), _TIME.fullmatch(time.strip())
    if day is None or clock is None:
        return None
    hour, minute, second = (int(clock[n] or 0) for n in (1, 2, 3))
    micro = int((clock[4] or "0").ljust(6, "0"))
    try:
        start = datetime(int(day[1]), int(day[2]), int(day[3]))
        if hour > 23 or minute > 59 or second > 60:
            return None
        return start + timedelta(hours=hour, minutes=minute, seconds=second, microseconds=micro)
    except (ValueError, OverflowError):
        return None


def date_time_of(place: Any, keyword: str, ds: Any) -> datetime | None:
    """Read a DT attribute as local time of the scanner.

    An offset from UTC in the value is turned into the zone of ``ds`` (TimezoneOffsetFromUTC) where the file has one,
    as dates and times without an offset are in that zone; else the clock is taken as it reads.
    """
    text = header.text(place, keyword)
    zone = _ZONE.search(text)
    if zone is not None:
        text = text[: zone.start()]
    moment = date_time(text[:8], text[8:]) if len(text) >= 10 else None
    if moment is None or zone is None:
        return moment
    own = _ZONE.search(header.text(ds, "TimezoneOffsetFromUTC"))
    return moment if own is None else moment - _offset(zone) + _offset(own)


def _offset(zone: re.Match[str]) -> timedelta:
    offset = timedelta(hours=int(zone[2]), minutes=int(zone[3]))
    return -offset if zone[1] == "-" else offset
