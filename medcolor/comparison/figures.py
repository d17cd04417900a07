"""The figures of a study as SVG: forest, label-budget curves, patient by patient. No picture of anybody."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medcolor.comparison.plan import AGAIN, GRAY, budget_text
from medcolor.comparison.statistics import Word
from medcolor.comparison.verdicts import Group, Line

WORD_COLORS: Mapping[str, str] = {Word.GAIN: "#2fbf8f", Word.LOSS: "#e69f00", Word.NONE: "#a8a8a8"}
_TEXT, _DIM, _LINE = "#e4e4e4", "#a8a8a8", "#5a5a5a"
_SERIES = ("#56b4e9", "#e69f00", "#2fbf8f", "#f0e442", "#cc79a7", "#d55e00", "#0072b2", "#ffffff")
_ROW = 18
NUMBERS = "{:+.3f} [{:+.3f}, {:+.3f}]"


def label(line: Line) -> str:
    """Return what a line is called among those of its task and tier."""
    budget = "" if line.budget == "none" else f", {line.budget} labelled"
    return f"{line.arm} ({line.segmenter}{budget})"


def interval_text(line: Line) -> str:
    """Return the difference with its interval, or why there is none."""
    if math.isnan(line.low):
        said = "-" if math.isnan(line.difference) else f"{line.difference:+.3f}"
        return f"{said} ({line.remark.partition(':')[0] or 'no interval'})"
    return NUMBERS.format(line.difference, line.low, line.high)


@dataclass(frozen=True, slots=True)
class _Axis:
    """A linear axis in pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        part = (min(max(value, self.low), self.high) - self.low) / ((self.high - self.low) or 1.0)
        return round(self.start + part * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        step = 10 ** math.floor(math.log10((self.high - self.low) or 1.0))
        step = next(s for s in (step / 5, step / 2, step, 2 * step) if (self.high - self.low) / s <= 7)
        first = math.ceil(self.low / step - 1e-9)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _text(x: float, y: float, said: str, *, anchor: str = "start", color: str = _TEXT) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{color}">{html.escape(said)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, color: str, width: float = 1, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{color}" stroke-width="{width:g}"{dashed}/>'


def _svg(width: float, height: float, parts: Iterable[str], said: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img" '
        f'aria-label="{html.escape(said)}" font-family="system-ui,sans-serif" font-size="11">'
        f'<rect width="{width:g}" height="{height:g}" fill="#2b2b2b"/>{"".join(parts)}</svg>'
    )


def forest(lines: Sequence[Line], title: str) -> str:
    """Return intervals under each other, gray again first of its group as what noise looks like; shaded, too.

    ``lines`` are of one task, tier and metric. An interval that leaves the picture ends in an arrow.
    """
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        groups.setdefault(_kind(line), []).append(line)
    ordered = [line for group in groups.values() for line in sorted(group, key=lambda one: one.arm != AGAIN)]
    ends = [abs(v) for one in ordered for v in (one.low, one.high, one.difference) if not math.isnan(v)]
    reach = max(min(max(ends), 1.5 * float(np.quantile(ends, 0.98))) if ends else 0.0, 1e-3) * 1.05
    axis = _Axis(-reach, reach, 290, 690)
    height = 46 + _ROW * len(ordered)
    said = f"bars: 95 % of each line alone; words: after Holm over {max((one.family for one in lines), default=0)}"
    parts = [_text(8, 16, title), _text(932, 16, said, anchor="end", color=_DIM)]
    parts += [_line(axis(t), 24, axis(t), height - 18, _LINE, 1, "" if t == 0 else "2 4") for t in axis.ticks()]
    parts += [_text(axis(t), height - 4, f"{t:+.3g}" if t else "0", anchor="middle", color=_DIM) for t in axis.ticks()]
    band: Line | None = None
    for place, line in enumerate(ordered):
        y = 36 + _ROW * place
        if place and _kind(line) != _kind(ordered[place - 1]):
            parts.append(_line(8, y - _ROW / 2, 932, y - _ROW / 2, _LINE))
        if line.arm == AGAIN:
            band = None if math.isnan(line.low) else line
        elif band is None or _kind(band) != _kind(line):
            band = None
        if band is not None:
            left, right = axis(band.low), axis(band.high)
            parts.append(
                f'<rect x="{left}" y="{y - _ROW / 2}" width="{max(right - left, 1):g}" height="{_ROW}" '
                'fill="#ffffff" fill-opacity=".07"/>'
            )
        parts += _forest_row(line, axis, y)
    return _svg(940, height, parts, title)


def _kind(line: Line) -> tuple[str, str]:
    return line.segmenter, line.budget


def _forest_row(line: Line, axis: _Axis, y: float) -> list[str]:
    color = WORD_COLORS[line.verdict]
    name = f"{label(line)}{' · noise' if line.arm == AGAIN else ' · control' if line.control == 'yes' else ''}"
    parts = [_text(282, y + 4, name, anchor="end", color=_DIM if line.control == "yes" else _TEXT)]
    if not math.isnan(line.low):
        parts.append(_line(axis(line.low), y, axis(line.high), y, color, 2))
        if line.low < axis.low:
            parts.append(f'<path d="M{axis.start + 6:g} {y - 4:g}l-6 4 6 4" fill="none" stroke="{color}"/>')
        if line.high > axis.high:
            parts.append(f'<path d="M{axis.end - 6:g} {y - 4:g}l6 4 -6 4" fill="none" stroke="{color}"/>')
    if not math.isnan(line.difference):
        parts.append(f'<circle cx="{axis(line.difference):g}" cy="{y:g}" r="3.5" fill="{color}"/>')
    return [*parts, _text(702, y + 4, f"{interval_text(line)} {line.verdict}", color=color)]


def budget_curves(groups: Sequence[Group], title: str) -> str:
    """Return the mean of each arm by labelled patients; ``groups`` differ in budget alone. Controls are thin."""
    ordered = sorted(groups, key=lambda group: math.inf if group.budget < 0 else group.budget)
    arms = list(dict.fromkeys(arm for group in ordered for arm in group.values))
    means = {arm: [_mean(group, arm) for group in ordered] for arm in arms}
    known = [value for row in means.values() for value in row if not math.isnan(value)]
    if not known:
        return ""
    low, high = min(known), max(known)
    pad = 0.06 * ((high - low) or 0.1)
    rows = max(13, len(arms))
    across, up = _Axis(0, max(len(ordered) - 1, 1), 60, 470), _Axis(low - pad, high + pad, 40 + 17 * rows, 34)
    parts = [_text(8, 16, title)]
    for tick in up.ticks():
        parts += [
            _line(60, up(tick), 470, up(tick), _LINE, 1, "2 4"),
            _text(54, up(tick) + 4, f"{tick:.3g}", anchor="end"),
        ]
    for place, group in enumerate(ordered):
        parts.append(_text(across(place), 58 + 17 * rows, budget_text(group.budget), anchor="middle", color=_DIM))
    for place, arm in enumerate(arms):
        color, dash = _style(arm, place)
        steps = [(across(n), up(v)) for n, v in enumerate(means[arm]) if not math.isnan(v)]
        width = 2.5 if arm == GRAY else 1.5
        path = " ".join(f"{x:g},{y:g}" for x, y in steps)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}" stroke-dasharray="{dash}"/>'
        )
        parts += [f'<circle cx="{x:g}" cy="{y:g}" r="2.5" fill="{color}"/>' for x, y in steps]
        y = 38 + 17 * place
        parts += [_line(490, y, 520, y, color, width, dash), _text(526, y + 4, arm)]
    parts.append(_text(265, 76 + 17 * rows, "labelled patients", anchor="middle", color=_DIM))
    return _svg(680, 84 + 17 * rows, parts, title)


def _style(arm: str, place: int) -> tuple[str, str]:
    if arm in {GRAY, AGAIN}:
        return "#bdbdbd", "" if arm == GRAY else "4 3"
    return _SERIES[place % len(_SERIES)], "" if place < len(_SERIES) else "6 3"


def _mean(group: Group, arm: str) -> float:
    if arm not in group.values:
        return math.nan
    values = [value for patients in group.values[arm].values() for value in patients.values()]
    return float(np.nanmean(values)) if values and not np.isnan(values).all() else math.nan


def scatter(group: Group, arm: str) -> str:
    """Return each patient's figure by an arm (up) against gray (across), means over trainings."""
    ours, base, _ = group.table(arm, GRAY)
    if not ours.size:
        return ""
    known = np.isfinite(ours - base).all(axis=0)
    across, up = base[:, known].mean(axis=0), ours[:, known].mean(axis=0)
    if not across.size:
        return ""
    low, high = float(min(across.min(), up.min())), float(max(across.max(), up.max()))
    pad = 0.05 * ((high - low) or 0.1)
    x_axis, y_axis = _Axis(low - pad, high + pad, 8, 152), _Axis(low - pad, high + pad, 166, 22)
    dots = "".join(f"M{x_axis(x):g} {y_axis(y):g}h0" for x, y in zip(across.tolist(), up.tolist(), strict=True))
    parts = [
        _text(8, 13, f"{arm}{'' if not group.budget else f', {budget_text(group.budget)}'}"),
        '<rect x="8" y="22" width="144" height="144" fill="none" stroke="#5a5a5a"/>',
        _line(8, 166, 152, 22, _LINE),
        f'<path d="{dots}" stroke="#56b4e9" stroke-opacity=".75" stroke-width="5" stroke-linecap="round"/>',
        _text(8, 179, f"{low:.3g} to {high:.3g}", color=_DIM),
    ]
    return _svg(160, 184, parts, f"{arm} against gray, patient by patient")


__all__ = ["NUMBERS", "WORD_COLORS", "budget_curves", "forest", "interval_text", "label", "scatter"]
