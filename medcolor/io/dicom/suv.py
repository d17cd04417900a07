"""Standardized uptake values by body weight from the attributes of a PET series.

SUVbw = activity concentration [Bq/ml] * weight [g] / injected activity [Bq], both at one time. The steps are those of
the QIBA FDG-PET pseudo-code (RSNA QIBA, "SUV calculation for vendor neutral DICOM"). What is missing is never
guessed: the scan then keeps its own unit and says why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from medcolor.io.dicom import header
from medcolor.io.dicom.dates import date_time, date_time_of

Note = tuple[str, str]

UCUM_SUV = {"{SUVbw}g/ml": "SUVbw", "{SUVlbm}g/ml": "SUVlbm", "{SUVbsa}cm2/ml": "SUVbsa"}
_PHILIPS = "Philips PET Private Group"
_GE = "GEMS_PETD_01"
_UNITS = {"BQML": "Bq/ml", "CNTS": "counts", "CPS": "counts/s", "PROPCNTS": "counts", "PROPCPS": "counts/s"}
_MOST_HALF_LIVES = 10  # later nothing is left to see: the times must be wrong
_DISAGREEMENT = timedelta(seconds=60)


class _NoSuvError(Exception):
    """Why SUV cannot be computed; caught in :func:`suv_factors`."""


@dataclass(frozen=True, slots=True)
class Dose:
    """The injection: activity in Bq at ``time``, half-life in s."""

    activity: float
    half_life: float
    time: datetime | None
    clock: str  # TM text, when no date came with it


def suv_factors(slices: Sequence[Any]) -> tuple[list[float] | None, str, list[Note]]:
    """Return the factor from rescaled values to SUV for each slice.

    Parameters
    ----------
    slices : sequence of pydicom.Dataset
        The header of each slice of one series, in any order of time.

    Returns
    -------
    factors : list of float or None
        None when SUV cannot be had.
    units : str
        "SUVbw" (or the kind that the file holds), else the unit that values keep: "Bq/ml", "counts" ...
    notes : list of (code, message)
        Why not, or what was decided on the way.
    """
    units = header.text(slices[0], "Units").upper()
    kept = _UNITS.get(units, units.lower()[:16] or "arbitrary")
    notes: list[Note] = []
    try:
        factors, name = _factors(slices, units, notes)
    except _NoSuvError as reason:
        message = f"SUV could not be computed: {reason}. Values are in {kept}."
        return None, kept, [*notes, ("suv-not-computed", message)]
    return factors, name, notes


def _factors(slices: Sequence[Any], units: str, notes: list[Note]) -> tuple[list[float], str]:
    if len({header.text(ds, "Units").upper() for ds in slices}) > 1:
        raise _NoSuvError("its slices are in different units")
    if units in {"GML", "CM2ML"}:
        return [1.0] * len(slices), _ready_made(slices[0], units)
    concentration = [1.0] * len(slices)
    if units == "CNTS":
        direct = [f for f in (_philips(ds, 0x00) for ds in slices) if f is not None]
        if len(direct) == len(slices):
            return direct, "SUVbw"
        concentration = [f for f in (_philips(ds, 0x09) for ds in slices) if f is not None]
        if len(concentration) < len(slices):
            raise _NoSuvError("it counts in CNTS without a vendor factor, (7053,1000) or (7053,1009)")
    elif not units:
        raise _NoSuvError("the file does not say its unit (0054,1001)")
    elif units != "BQML":
        raise _NoSuvError(f"unit {units[:16]} does not lead to activity")
    return [c * f for c, f in zip(concentration, _by_weight(slices, notes), strict=True)], "SUVbw"


def _ready_made(ds: Any, units: str) -> str:
    """Name the SUV that GML or CM2ML values are; (0054,1006) absent with GML means body weight (PS3.3 C.8.9.1)."""
    kind = header.text(ds, "SUVType").upper() or ("BW" if units == "GML" else "BSA")
    if kind not in {"BW", "LBM", "LBMJAMES128", "LBMJANMA", "BSA", "IBW"}:
        raise _NoSuvError(f"SUV type {kind[:16]} is not known")
    return f"SUV{'lbm' if kind.startswith('LBM') else kind.lower()}"


def _philips(ds: Any, offset: int) -> float | None:
    """Return a factor of the Philips private group, None when it is absent or 0."""
    found: Any = None
    try:
        found = ds.private_block(0x7053, _PHILIPS)[offset].value
    except Exception:
        try:
            found = ds[0x7053, 0x1000 + offset].value if (0x7053, 0x0010) not in ds else None
        except Exception:
            return None
    if isinstance(found, bytes):
        found = found.decode("ascii", "replace").strip("\0 ")
    try:
        factor = float(found)
    except (TypeError, ValueError):
        return None
    return factor if math.isfinite(factor) and factor > 0 else None


def _by_weight(slices: Sequence[Any], notes: list[Note]) -> list[float]:
    first = slices[0]
    weight = header.number(first, "PatientWeight")
    if weight is None or not 0 < weight < 1000:
        raise _NoSuvError("the patient's weight (0010,1030) is missing, 0 or implausible")
    corrections = {str(x).strip().upper() for x in header.values(first, "CorrectedImage")}
    decay = header.text(first, "DecayCorrection").upper()
    if corrections and "ATTN" not in corrections:
        raise _NoSuvError("the images are not corrected for attenuation")
    if not corrections:
        notes.append(
            ("corrections-unstated", "The file does not list its corrections (0028,0051): taken as corrected.")
        )
    if decay in {"START", "ADMIN"} and corrections and "DECY" not in corrections:
        raise _NoSuvError("the file says both that decay was corrected and that it was not")
    dose = _dose(first)
    if decay == "ADMIN":
        return [weight * 1000 / dose.activity] * len(slices)
    if decay == "START":
        elapsed = _elapsed(dose, _scan_start(slices, dose, notes))
        return [weight * 1000 / (dose.activity * 0.5 ** (elapsed / dose.half_life))] * len(slices)
    if decay == "NONE":
        return [_undecayed(ds, dose, weight) for ds in slices]
    raise _NoSuvError("Decay Correction (0054,1102) is missing or unknown")


def _dose(ds: Any) -> Dose:
    items = header.items(ds, "RadiopharmaceuticalInformationSequence")
    if len(items) != 1:
        raise _NoSuvError(
            "radiopharmaceutical information (0054,0016) is missing" if not items else "several tracers were given"
        )
    activity, half_life = (header.number(items[0], k) for k in ("RadionuclideTotalDose", "RadionuclideHalfLife"))
    if activity is None or not activity > 0:
        raise _NoSuvError("the injected activity (0018,1074) is missing or 0")
    if half_life is None or not half_life > 0:
        raise _NoSuvError("the half-life (0018,1075) is missing or 0")
    if activity < 10_000:  # below 10 kBq nothing would be seen: MBq was written for Bq
        raise _NoSuvError("the injected activity (0018,1074) is too small for Bq, its unit by the standard")
    at = date_time_of(items[0], "RadiopharmaceuticalStartDateTime", ds)
    return Dose(activity, half_life, at, header.text(items[0], "RadiopharmaceuticalStartTime"))


def _elapsed(dose: Dose, scan: datetime) -> float:
    """Return seconds from injection to ``scan``."""
    start = dose.time
    if start is None:
        start = date_time(scan.strftime("%Y%m%d"), dose.clock)
        if start is None:
            raise _NoSuvError("the time of injection (0018,1078), (0018,1072) is missing")
        if start > scan:  # a time of day alone, later than the scan: injected before midnight
            start -= timedelta(days=1)
    elapsed = (scan - start).total_seconds()
    if elapsed < 0:
        raise _NoSuvError("the injection is dated after the scan")
    if elapsed > _MOST_HALF_LIVES * dose.half_life:
        raise _NoSuvError(f"injection and scan lie {elapsed / dose.half_life:.0f} half-lives apart")
    return elapsed


def _scan_start(slices: Sequence[Any], dose: Dose, notes: list[Note]) -> datetime:
    """Return the time that START decay correction refers to (QIBA): the series', unless it is a later copy."""
    series = _moment(slices[0], "Series")
    acquired = [t for t in (_moment(ds, "Acquisition") for ds in slices) if t is not None]
    earliest = min(acquired, default=None)
    if series is not None and (earliest is None or series <= earliest):
        return series
    vendor = _ge_scan_time(slices[0])
    if vendor is not None and (earliest is None or vendor <= earliest):
        notes.append(("scan-time", "The series time is later than the acquisition: GE's scan time is used for decay."))
        return vendor
    if earliest is None:
        raise _NoSuvError("the time of the scan (0008,0031), (0008,0032) is missing")
    notes.append(
        (
            "scan-time",
            "The series time is later than the acquisition or missing: the first slice's time is used for decay.",
        )
    )
    computed = [t for t in (_reference_time(ds, dose) for ds in slices) if t is not None]
    per_frame = len(set(acquired)) > 1 or len(set(computed)) <= 1  # GE repeats the start of the scan in every slice
    if computed and per_frame and abs(min(computed) - earliest) > _DISAGREEMENT:
        minutes = (earliest - min(computed)).total_seconds() / 60
        error = 100 * (2 ** (minutes * 60 / dose.half_life) - 1)
        notes.append(
            (
                "scan-time-disagrees",
                f"Frame reference times put the start {minutes:.1f} min earlier than the first acquisition time: "
                f"SUV may be {error:+.0f} % off.",
            )
        )
    return earliest


def _reference_time(ds: Any, dose: Dose) -> datetime | None:
    """Compute the series' start back from one frame: acquisition - reference time + time of its mean count rate."""
    acquired = _moment(ds, "Acquisition")
    reference, duration = header.number(ds, "FrameReferenceTime"), header.number(ds, "ActualFrameDuration")
    if acquired is None or reference is None or duration is None or not duration > 0 or math.isnan(reference):
        return None
    return acquired - timedelta(milliseconds=reference) + timedelta(seconds=_mean_time(duration / 1000, dose.half_life))


def _mean_time(duration: float, half_life: float) -> float:
    """Return when, in s after the start of a frame of ``duration`` s, activity equals the frame's mean."""
    decay = math.log(2) * duration / half_life
    return half_life / math.log(2) * math.log(decay / -math.expm1(-decay)) if decay > 1e-12 else duration / 2


def _undecayed(ds: Any, dose: Dose, weight: float) -> float:
    acquired = _moment(ds, "Acquisition")
    if acquired is None:
        raise _NoSuvError("decay is uncorrected and the acquisition time (0008,0032) is missing")
    duration = header.number(ds, "ActualFrameDuration")
    if duration is None or not duration > 0:
        raise _NoSuvError("decay is uncorrected and the frame duration (0018,1242) is missing")
    elapsed = _elapsed(dose, acquired) + _mean_time(duration / 1000, dose.half_life)
    return weight * 1000 / (dose.activity * 0.5 ** (elapsed / dose.half_life))


def _moment(ds: Any, what: str) -> datetime | None:
    combined = date_time_of(ds, f"{what}DateTime", ds) if what == "Acquisition" else None
    if combined is not None:
        return combined
    date = header.text(ds, f"{what}Date") or header.text(ds, "SeriesDate")
    return date_time(date, header.text(ds, f"{what}Time"))


def _ge_scan_time(ds: Any) -> datetime | None:
    try:
        found = ds.private_block(0x0009, _GE)[0x0D].value
    except Exception:
        return None
    text = found.decode("ascii", "replace").strip("\0 ") if isinstance(found, bytes) else str(found)
    return date_time(text[:8], text[8:])
