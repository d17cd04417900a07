"""The table as lines: one a modality, arm and figure; the CSV is these."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

from medcolor.benchmarking.khan.labels import is_simulated
from medcolor.benchmarking.khan.likeness import READINGS
from medcolor.benchmarking.khan.run import CONTROLS, Section
from medcolor.benchmarking.khan.segmentation import SEGMENTER, Judged
from medcolor.comparison.plan import GRAY
from medcolor.comparison.statistics import Estimate
from medcolor.training.statistics import bootstrap

MEASURED, NOT_MEASURED = "measured", "not measured"
DICE, MINUS = "dice", "dice_minus_"
NOTHING = math.nan


@dataclass(frozen=True, slots=True)
class Line:
    """One line of ``khan.csv``; the names of its columns are these. NaN is written as nothing, infinity as "inf"."""

    modality: str
    data: str
    patients_are: str
    arm: str
    control: str
    what: str
    figure: str
    status: str
    patients: int = 0
    slices: str = ""
    value: float = NOTHING
    low: float = NOTHING
    high: float = NOTHING
    p_holm: float = NOTHING
    smallest_seen: float = NOTHING
    verdict: str = ""
    remark: str = ""


COLUMNS = tuple(field.name for field in fields(Line))


def lines_of(section: Section) -> list[Line]:
    """Return all lines of a modality; what is not measured has one that says so."""
    lines = [*_of_pictures(section), *_of_tasks(section)]
    if not section.pictures or not section.judged or section.statement:
        nobody = Line(section.family, "", "real", "", "", "", DICE, NOT_MEASURED, remark=section.statement)
        return [*lines, nobody]
    return lines


def _of_pictures(section: Section) -> Iterator[Line]:
    for arm, patients in section.pictures.items():
        slices = str(sum(one.slices for one in patients.values()))
        for reading in READINGS:
            alike = [one.ssim[reading] for one in patients.values()]
            noise = [one.psnr(reading) for one in patients.values()]
            for name, values in (("ssim", alike), ("psnr", noise)):
                value, low, high = interval(values)
                yield Line(
                    section.family,
                    section.source,
                    _who(section.source),
                    arm,
                    _control(arm),
                    section.what[arm],
                    f"{name}_{reading}",
                    MEASURED,
                    len(values),
                    slices,
                    value,
                    low,
                    high,
                )


def _of_tasks(section: Section) -> Iterator[Line]:
    for task, rows in section.judged.items():
        for row in rows:
            yield from _of_arm(section, task, row)


def _of_arm(section: Section, task: str, row: Judged) -> Iterator[Line]:
    known = [value for value in row.dice if not math.isnan(value)]
    start = (section.family, task, _who(task), row.arm, _control(row.arm), f"{SEGMENTER}, {section.what[row.arm]}")
    if not known:
        yield Line(*start, DICE, NOT_MEASURED, remark=row.remark or "nobody had anything to find")
        return
    yield Line(*start, DICE, MEASURED, len(known), "", *interval(known), remark=row.remark)
    for other, one in row.against.items():
        yield _difference(start, other, one, row)


def _difference(start: tuple[str, str, str, str, str, str], other: str, one: Estimate, row: Judged) -> Line:
    judged = row.verdict if other == GRAY else None
    return Line(
        *start,
        f"{MINUS}{other}",
        MEASURED,
        one.patients,
        "",
        one.difference,
        *one.interval(),
        NOTHING if judged is None else judged.p_holm,
        one.smallest_difference(),
        "" if judged is None else str(judged.word),
        one.remark or row.remark,
    )


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean over patients and its 95 % interval, patients drawn again; without one where it is infinite."""
    if any(math.isinf(value) for value in values):
        return math.inf, NOTHING, NOTHING
    found = bootstrap(list(values))
    return found.value, found.low, found.high


def _control(arm: str) -> str:
    return "yes" if arm in CONTROLS else "no"


def _who(source: str) -> str:
    return "simulated" if is_simulated(source) or source.startswith("simulated") else "real"


def to_csv(sections: Iterable[Section]) -> str:
    """Return ``khan.csv``."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for section in sections:
        for line in lines_of(section):
            writer.writerow([_text(getattr(line, name)) for name in COLUMNS])
    return buffer.getvalue()


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return str(value)


__all__ = [
    "COLUMNS",
    "DICE",
    "MEASURED",
    "MINUS",
    "NOT_MEASURED",
    "Line",
    "interval",
    "lines_of",
    "to_csv",
]
