"""The page itself: figures into HTML, pictures into data URIs."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

import medcolor
from medcolor.color_scan import ColorScan
from medcolor.report.comparison import measure_confidence, measure_difference
from medcolor.report.entry import Entry
from medcolor.report.figures import (
    Fidelity,
    TissueFigures,
    choose_slices,
    half_of_image,
    measure_fidelity,
    measure_tissue,
)
from medcolor.report.legend import Legend, LegendRow
from medcolor.report.scales import DIFFERENCE, Scale, confidence_scale, data_uri, joined, panel
from medcolor.scan import Scan, to_slices
from medcolor.voi import Display, Window
from medcolor.windowing import grayscale, inverse_table, resolve_display

_SLICES = 5
_LONGEST_SIDE = 900  # larger pictures are shown by every n-th pixel, so that each shown pixel is a real one


@cache
def _template(name: str) -> Template:
    return Template((Path(__file__).parent / name).read_text(encoding="utf-8"))


def render(entries: Sequence[Entry], title: str) -> str:
    """Return the whole page."""
    cards = "\n".join(_card(entry, number) for number, entry in enumerate(entries))
    return _template("page.html").substitute(
        title=html.escape(title), cards=cards, version=html.escape(medcolor.__version__)
    )


def _card(entry: Entry, number: int) -> str:
    scan, colored = entry.scan, entry.colored
    display = resolve_display(scan, entry.display)
    shown = choose_slices(scan, _SLICES)
    tissue = None if entry.palette is None or entry.legend else measure_tissue(scan, entry.palette, shown)
    legend = Legend(tuple(tissue.rows), "share of the slices shown") if tissue else entry.legend
    stride = -(-max(scan.shape[:2]) // _LONGEST_SIDE)
    fidelity = measure_fidelity(scan, colored, display)
    extra = _measured(entry, display, shown)
    layers = {name: pictures for name, (pictures, _, _) in extra.items()}
    if tissue and "confidence" not in layers:
        layers["confidence"] = tissue.confidence
    facts = _facts(entry, display, fidelity, tissue, stride, [(name, told) for name, (_, told, _) in extra.items()])
    return _template("card.html").substitute(
        number=number,
        title=html.escape(entry.title or f"{scan.modality} · {colored.provenance.colorizer}"),
        about=html.escape(entry.about),
        pictures=_pictures(scan, colored, display, shown, layers, stride),
        panels=_panels(entry, {name: scale for name, (_, _, scale) in extra.items()}),
        split=half_of_image(grayscale(scan, display)(slice(shown[len(shown) // 2], shown[len(shown) // 2] + 1))[0]),
        count=len(shown) - 1,
        middle=len(shown) // 2,
        slices_hidden="hidden" if len(shown) == 1 else "",
        confidence_hidden="" if "confidence" in layers else "hidden",
        legend=_class_legend(legend) if legend else _ramp_legend(scan, colored, display),
        facts=facts,
        law="ok" if fidelity.broken == 0 else "broken",
        fidelity=html.escape(str(fidelity)),
        provenance=html.escape(json.dumps(colored.provenance.to_json(), indent=1, sort_keys=True)),
    )


Measured = dict[str, tuple[NDArray[np.uint8], str, Scale | None]]
"""Layer -> its pictures (n, nj, ni[, 3]) of the slices shown, what was measured, its scale."""


def _measured(entry: Entry, display: Display, shown: list[int]) -> Measured:
    """Return what is shown beside gray and colour: another colouring, the difference, the confidence."""
    scan, out = entry.scan, Measured()
    if entry.compared is not None and entry.compared.colored is not None:
        other = entry.compared.colored
        found = measure_difference(scan, entry.colored, other, display, shown)
        out["compared"] = (to_slices(other.rgb)[shown], "", None)
        out["difference"] = (DIFFERENCE.picture(found.delta), str(found), DIFFERENCE)
    if entry.confidence is not None:
        scale = confidence_scale(entry.confidence.meaning)
        sure = measure_confidence(scan, entry.confidence, display, shown)
        out["confidence"] = (scale.picture(sure.values), str(sure), scale)
    return out


def _panels(entry: Entry, scales: dict[str, Scale | None]) -> str:
    """Return the row of pictures side by side; each shows what the viewer holds of the slice picked."""
    if not scales:
        return ""
    name = entry.colored.provenance.colorizer
    captions = {"gray": "gray", "color": name, "confidence": f"confidence of {name}"}
    if entry.compared is not None:
        captions |= {"compared": entry.compared.name, "difference": "where they differ"}
    order = ("gray", "color", "compared", "difference", "confidence")
    return joined(
        [
            panel(
                f'<img class="mirror" data-of="{of}" alt="{html.escape(captions[of])}">', captions[of], scales.get(of)
            )
            for of in order
            if of in {"gray", "color"} | scales.keys()
        ]
    )


def _pictures(
    scan: Scan,
    colored: ColorScan,
    display: Display,
    shown: list[int],
    layers: Mapping[str, NDArray[np.uint8]],
    stride: int,
) -> str:
    gray_of, rgb = grayscale(scan, display), to_slices(colored.rgb)
    out = []
    for row, k in enumerate(shown):
        pictures = {"gray": gray_of(slice(k, k + 1))[0], "color": rgb[k]}
        pictures |= {name: layer[row] for name, layer in layers.items()}
        images = "".join(
            f'<img class="{name}" alt="{name}, slice {k + 1}" src="{data_uri(pixels[::stride, ::stride])}">'
            for name, pixels in pictures.items()
        )
        out.append(f'<div class="slice" data-label="slice {k + 1} of {scan.shape[2]}">{images}</div>')
    return "".join(out)


def _class_legend(legend: Legend) -> str:
    rows = "".join(_legend_row(row) for row in legend.rows)
    return (
        f"<table><tr><th></th><th>class</th><th>meaning</th><th>{html.escape(legend.measure)}</th></tr>{rows}</table>"
    )


def _legend_row(row: LegendRow) -> str:
    color, share = f"rgb{row.entry.swatch}", f"{100 * row.share:.1f}"
    return (
        f'<tr><td><span class="swatch" style="background:{color}"></span></td>'
        f"<td>{html.escape(row.entry.label)}</td><td>{html.escape(row.entry.meaning)}</td>"
        f'<td class="bar"><span style="width:{share}%;background:{color}"></span>'
        f"<b>{html.escape(str(row))}</b></td></tr>"
    )


def _ramp_legend(scan: Scan, colored: ColorScan, display: Display) -> str:
    from medcolor.luts import load_lut, with_strength

    _, _, name = colored.provenance.colorizer.partition(":")
    strength = float(colored.provenance.options.get("strength", 1.0))
    table = with_strength(load_lut(name), strength)[None].repeat(16, axis=0)
    ticks = ""
    if isinstance(display, Window):
        values = inverse_table(scan, display, np.array([0, 64, 128, 191, 255]))
        ticks = "".join(f"<span>{value:.4g}</span>" for value in values)
    unit = html.escape(scan.units)
    return f'<img class="ramp" alt="colour table" src="{data_uri(table)}"><div class="ticks">{ticks}</div><p>{unit}</p>'


_CALLED = {"difference": "compared with {}", "confidence": "confidence"}
_WHERE = "(slices shown; what is displayed black is left out)"


def _facts(
    entry: Entry,
    display: Display,
    fidelity: Fidelity,
    tissue: TissueFigures | None,
    stride: int,
    measured: Sequence[tuple[str, str]],
) -> str:
    scan = entry.scan
    facts = [
        ("image", f"{scan.modality}, {scan.units}, {scan.geometry.describe()}"),
        ("displayed with", str(display)),
    ]
    if entry.choice:
        facts.append(("colorizer", f"auto chose {entry.colored.provenance.colorizer}: {entry.choice}"))
    other = "" if entry.compared is None else entry.compared.name
    facts += [(_CALLED[name].format(other), f"{told} {_WHERE}") for name, told in measured if told]
    if entry.compared is not None and entry.compared.colored is None:
        facts.append((_CALLED["difference"].format(other), f"not possible: {entry.compared.refusal}"))
    if tissue:
        facts.append(("mean confidence", f"{tissue.mean_confidence:.2f} (largest posterior, background left out)"))
    if fidelity.passed_through:
        facts.append(("passed through", f"{fidelity.passed_through} pixels were colour already and kept their bytes"))
    if stride > 1:
        facts.append(("picture", f"one pixel in {stride} along each side is shown here; files keep all"))
    facts += [(str(finding.severity), finding.message) for finding in entry.colored.audit]
    return "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in facts)
