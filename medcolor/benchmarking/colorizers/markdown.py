"""The table as Markdown: for people, with every interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medcolor.benchmarking.colorizers.claims import CLAIMS, MONOTONE, NOT_MEASURED, Answer, answers, monotone
from medcolor.benchmarking.colorizers.figures import DEFINITIONS
from medcolor.benchmarking.colorizers.table import MAIN, MEASURED, Entry, Table, verdict

_PARTS: dict[str, Sequence[str]] = {
    "colours inside the body": ("ciede2000_p95", "mae_ab", "within_2", "auc", "auc_rebalanced", "lightness_drift"),
    "pictures": ("psnr", "ssim", "mae_rgb", "colorfulness", "colorfulness_difference", "hellinger"),
    "tissues, neighbouring slices, doubt": (
        "spread", "spread_target", "jitter", "jitter_target", "risk_area", "risk_80",
    ),
    "separability of tissues": (
        "separability_normal", "separability_protan", "compensated_protan", "separability_deutan",
        "compensated_deutan", "separability_tritan", "compensated_tritan",
    ),
}  # fmt: skip
_COSTS = ("parameters", "MiB", "GFLOPs", "ms", "part of ECCV16", "peak MiB")


def to_markdown(table: Table) -> str:
    """Return the whole page."""
    lines = ["# Every system of the review on medical images", ""]
    lines += ["What each column is: [README.md](README.md). Intervals: 95 %, patients drawn again.", ""]
    lines += [f"- {fact}" for fact in table.facts]
    lines += ["", "## CIEDE2000 to the target, mean inside the body", ""]
    lines += _grid(["method", *table.families], [_overview(table, method) for method in table.methods])
    for family in table.families:
        lines += _family(table, family)
    return "\n".join([*lines, *_hints(table), *_claims(table)]) + "\n"


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_line(header), _line(["---"] * len(header)), *(_line(row) for row in rows), ""]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _overview(table: Table, method: str) -> list[str]:
    cells = [method]
    for family in table.families:
        entry = table.entry(method, family)
        if entry is None:
            cells.append("-")
        else:
            cells.append(f"{entry.interval(MAIN):.2f}" if entry.status == MEASURED else entry.status)
    return cells


def _family(table: Table, family: str) -> Iterator[str]:
    entries = [entry for entry in table.entries if entry.family == family]
    measured = next((entry for entry in entries if entry.row is not None), None)
    yield f"## {family}"
    yield ""
    if measured is not None and measured.row is not None:
        yield f"{len(measured.row.patients)} test patients, {measured.row.slices} slices; {measured.data}."
        yield ""
    yield from _grid(
        ["method", "what", "CIEDE2000", "minus gray", "minus the best LUT"],
        [_judged(table, entry) for entry in entries],
    )
    known = [entry for entry in entries if entry.row is not None]
    for title, names in _PARTS.items():
        yield f"{family}, {title}:"
        yield ""
        yield from _grid(
            ["method", *(DEFINITIONS[name][0] for name in names)],
            [[e.method, *(f"{e.interval(n):.{DEFINITIONS[n][1]}f}" for n in names)] for e in known],
        )
    if any(entry.costs for entry in known):
        yield f"{family}, costs of one slice of 512 x 512:"
        yield ""
        yield from _grid(["method", *_COSTS], [[e.method, *_costs(e)] for e in known if e.costs])


def _judged(table: Table, entry: Entry) -> list[str]:
    if entry.row is None:
        return [entry.method, f"{entry.status}: {entry.title}", "-", "-", "-"]
    cells = [entry.method, entry.title, f"{entry.interval(MAIN):.2f}"]
    for control in ("gray", "lut"):
        difference = table.difference(entry, control)
        said = verdict(difference)
        cells.append(f"{difference:.2f} {said}" if said else "-")
    return cells


def _costs(entry: Entry) -> list[str]:
    if entry.costs is None:
        return []
    c = entry.costs
    peak = "-" if c.peak_mib is None else f"{c.peak_mib:.0f}"
    return [
        f"{c.parameters:,}",
        f"{c.weights_mib:.2f}",
        f"{c.gflops:.2f}",
        f"{c.ms:.0f}",
        f"{c.part_of_unit:.3f}",
        peak,
    ]


def _hints(table: Table) -> Iterator[str]:
    curves = [(entry, entry.hints) for entry in table.entries if entry.hints is not None]
    yield "## PSNR against the number of hints"
    yield ""
    if not curves:
        yield "Not measured: no bundle here takes hints."
        yield ""
        return
    counts = curves[0][1].counts
    rows = [
        [f"{e.method}, {e.family}", *(f"{c.at(i):.2f}" for i in range(len(counts))), str(c.enough or "none")]
        for e, c in curves
    ]
    yield from _grid(["", *map(str, counts), "hints for +5 dB"], rows)


def _claims(table: Table) -> Iterator[str]:
    yield "## The review's claims, asked again"
    yield ""
    yield "Method minus its control on the same patients. Yes or no where the whole interval says so."
    yield ""
    for claim in CLAIMS:
        yield f"**{claim.question}** ({claim.ours} minus {claim.theirs}, {DEFINITIONS[claim.figure][0]})"
        yield ""
        yield from _answered(answers(table, claim))
    yield f"**{MONOTONE}** (smallest gain of a step, dB)"
    yield ""
    found = []
    for family in table.families:
        entry = table.entry("zhang2017", family)
        if entry is None or entry.hints is None:
            found.append(Answer(family, None, NOT_MEASURED, f"no {family.lower()}_zhang2017"))
        else:
            said = monotone(entry.hints)
            found.append(Answer(family, said.found, said.answer, said.remark))
    yield from _answered(found)


def _answered(found: Sequence[Answer]) -> list[str]:
    rows = [[a.family, "-" if a.found is None else f"{a.found:.2f}", a.answer, a.remark] for a in found]
    return _grid(["modality", "difference", "answer", ""], rows)


__all__ = ["to_markdown"]
