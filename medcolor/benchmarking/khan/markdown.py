"""The table as Markdown: every figure, what it compares, and what it does not say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from medcolor.benchmarking.khan import wording
from medcolor.benchmarking.khan.blur import BLURRED
from medcolor.benchmarking.khan.labels import is_simulated
from medcolor.benchmarking.khan.likeness import LUMA, LUMINANCE, RGB
from medcolor.benchmarking.khan.run import CONTROLS, Section
from medcolor.benchmarking.khan.segmentation import LUT, SHUFFLED, Judged
from medcolor.benchmarking.khan.table import DICE, MEASURED, MINUS, Line, lines_of
from medcolor.comparison.plan import GRAY
from medcolor.comparison.statistics import Word

_ORDER = (RGB, LUMA, LUMINANCE)
_HEADS = {RGB: "RGB", LUMA: "luma", LUMINANCE: "luminance"}


def to_markdown(sections: Sequence[Section], made: Mapping[str, str]) -> str:
    """Return the whole document."""
    lines = [line for section in sections for line in lines_of(section)]
    parts = [
        wording.TITLE,
        wording.BEGINNING,
        "## In short\n\n" + "\n".join(f"- {said}" for said in in_short(sections, lines)),
        "## How it was made\n\n" + "\n".join(f"- {said}" for said in _made(sections, made)),
        f"## SSIM and PSNR\n\n{wording.PICTURES}",
        *(_pictures(section, lines) for section in sections if section.pictures),
        f"## Segmentation\n\n{wording.SEGMENTATION}",
        *_tasks(sections, lines),
        "## Where there are no labels\n\n" + "\n".join(f"- {said}" for said in _statements(sections)),
        wording.NOT_SHOWN,
        wording.NOT_KNOWN,
    ]
    return "\n\n".join(parts) + "\n"


def in_short(sections: Sequence[Section], lines: Sequence[Line]) -> Iterator[str]:
    """Yield the answer in sentences that the figures make."""
    yield from _of_pictures(lines)
    for simulated in (False, True):
        yield from _of_segmentation(sections, simulated)


def _of_pictures(lines: Sequence[Line]) -> Iterator[str]:
    perfect = {line.modality for line in lines if line.figure == f"psnr_{LUMINANCE}" and math.isinf(line.value)}
    shuffled = {o.modality for o in lines if (o.arm, o.figure) == ("shuffled", f"psnr_{LUMINANCE}")}
    noise = {
        o.modality for o in lines if (o.arm, o.figure) == ("shuffled", f"psnr_{LUMINANCE}") and math.isinf(o.value)
    }
    if perfect:
        yield (
            "**SSIM and PSNR of the luminance measure the colour law and nothing else.** Colours under the law have an "
            f"SSIM of 1 and an infinite PSNR; so have shuffled colours, in {len(noise)} of {len(shuffled)} modalities."
        )
    pairs = {
        (line.modality, line.arm): line.value
        for line in lines
        if line.figure == f"psnr_{RGB}" and line.arm in {"tissue", "shuffled"}
    }
    apart = [
        pairs[m, "tissue"] - pairs[m, "shuffled"] for m, arm in pairs if arm == "tissue" and (m, "shuffled") in pairs
    ]
    if apart and all(map(math.isfinite, apart)):
        yield (
            "**SSIM and PSNR of RGB measure how little colour there is.** The best score is that of gray. PSNR of "
            f"the tissue colours minus that of the same colours shuffled: {min(apart):+.1f} to {max(apart):+.1f} dB."
        )


def _of_segmentation(sections: Sequence[Section], simulated: bool) -> Iterator[str]:
    rows = [
        (task, row)
        for section in sections
        for task, found in section.judged.items()
        for row in found
        if is_simulated(task) == simulated and row.arm not in CONTROLS and row.verdict is not None
    ]
    if not rows:
        return
    words = [row.verdict.word for _, row in rows if row.verdict is not None]
    yield (
        f"**Segmentation of {'simulated scans' if simulated else 'patients'}:** {len(rows)} comparisons of a colour "
        f"with gray, {words.count(Word.GAIN)} gain, {words.count(Word.LOSS)} loss, {words.count(Word.NONE)} no "
        "evidence (Holm within a task)." + "".join(f" {_told(task, row)}" for task, row in rows if _judged(row))
    )


def _judged(row: Judged) -> bool:
    return row.verdict is not None and row.verdict.word != Word.NONE


def _told(task: str, row: Judged) -> str:
    """Say of a gain or loss how large it is, and what is left of it against the table and against blurred gray."""
    word = "" if row.verdict is None else row.verdict.word.capitalize()
    said = f"{word}: {row.arm} on {task}, {row.against[GRAY].difference:+.3f}"
    for other in (LUT, BLURRED):
        if other in row.against:
            low, high = row.against[other].interval()
            said += f"; against {other} {row.against[other].difference:+.3f} [{low:+.3f}, {high:+.3f}]"
    return f"{said}."


def _made(sections: Sequence[Section], made: Mapping[str, str]) -> Iterator[str]:
    for name, value in made.items():
        yield f"{name}: `{value}`" if name == "command" else f"{name}: {value}"
    for section in sections:
        if section.pictures:
            slices = sum(one.slices for one in next(iter(section.pictures.values())).values())
            count = len(next(iter(section.pictures.values())))
            yield (
                f"{section.family}, pictures: {count} test patients, {slices} slices; {section.source}. "
                f"Colour table: {section.table}, chosen by {section.chosen_by} on validation patients."
            )
        for name, task in section.tasks.items():
            labels = ", ".join(task.labels.values())
            yield f"{section.family}, labels: {name} ({labels}); {task.licence}; sha256 {task.identity[:16]}."


def _pictures(section: Section, lines: Sequence[Line]) -> str:
    mark = ", simulated" if section.source.startswith("simulated") else ""
    heads = [f"{name} {_HEADS[reading]}" for reading in _ORDER for name in ("SSIM", "PSNR")]
    rows = []
    for arm in section.pictures:
        found = {o.figure: o for o in lines if (o.modality, o.arm) == (section.family, arm) and o.figure[:4] in _KINDS}
        cells = [_figure(found[f"{kind}_{r}"], digits) for r in _ORDER for kind, digits in _KINDS.items()]
        rows.append([_named(arm), section.what[arm], *cells])
    return f"### {section.family}{mark}\n\n" + _grid(["arm", "what", *heads], rows)


_KINDS = {"ssim": 3, "psnr": 1}


def _tasks(sections: Sequence[Section], lines: Sequence[Line]) -> Iterator[str]:
    for section in sections:
        for name, rows in section.judged.items():
            yield _task(section, name, rows, [line for line in lines if line.data == name])


def _task(section: Section, name: str, rows: Sequence[Judged], lines: Sequence[Line]) -> str:
    mark = ", **simulated: says nothing of patients**" if is_simulated(name) else ""
    labels = ", ".join(section.tasks[name].labels.values())
    others = [f"{MINUS}{other}" for other in (LUT, BLURRED, SHUFFLED)]
    out = []
    for row in rows:
        found = {line.figure: line for line in lines if line.arm == row.arm}
        what = section.what[row.arm]
        if found[DICE].status != MEASURED:
            out.append([_named(row.arm), what, "-", found[DICE].remark, *["-"] * 7])
            continue
        gray = found.get(f"{MINUS}{GRAY}")
        out.append(
            [
                _named(row.arm),
                what,
                str(found[DICE].patients),
                _figure(found[DICE], 3),
                "-" if gray is None else _figure(gray, 3, sign=True),
                "-" if gray is None or math.isnan(gray.p_holm) else f"{gray.p_holm:.3f}",
                "-" if gray is None or math.isnan(gray.smallest_seen) else f"{gray.smallest_seen:.3f}",
                *(_figure(found[o], 3, sign=True) if o in found else "-" for o in others),
                "-" if gray is None else f"**{gray.verdict}**" if gray.verdict != Word.NONE else gray.verdict,
            ]
        )
    heads = ["arm", "what", "patients", "Dice", "minus gray", "p Holm", "smallest seen"]
    heads += ["minus lut", "minus blurred", "minus shuffled", "verdict"]
    remarks = sorted({f"{row.arm}: {row.remark}." for row in rows if row.remark})
    said = "\n\n" + " ".join(remarks) if remarks else ""
    return f"### {section.family}, {name}: {labels}{mark}\n\n{_grid(heads, out)}{said}"


def _statements(sections: Sequence[Section]) -> Iterator[str]:
    said = [section.statement for section in sections if section.statement]
    yield from said or ["Every modality asked for has labels."]


def _named(arm: str) -> str:
    return f"{arm} (control)" if arm in CONTROLS else arm


def _figure(line: Line, digits: int, *, sign: bool = False) -> str:
    mark = "+" if sign else ""
    if math.isinf(line.value):
        return "∞"
    if math.isnan(line.value):
        return "-"
    if math.isnan(line.low) or line.low == line.high == line.value:
        return f"{line.value:{mark}.{digits}f}"
    return f"{line.value:{mark}.{digits}f} [{line.low:{mark}.{digits}f}, {line.high:{mark}.{digits}f}]"


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    every = (header, ["---"] * len(header), *rows)
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |" for cells in every)


__all__ = ["in_short", "to_markdown"]
