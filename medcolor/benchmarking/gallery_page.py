"""The gallery as one page and one record of figures; refused where it could be committed."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

import medcolor
from medcolor.benchmarking.gallery import Arm, Row, Section
from medcolor.benchmarking.outside import refuse_checkout
from medcolor.colorizers.prediction import HALF_CONFIDENCE
from medcolor.io.atomic import atomic_files, refuse_existing
from medcolor.palettes import legend
from medcolor.report.scales import confidence_scale, data_uri

PAGE, FIGURES = "gallery.html", "gallery.json"
_LONGEST_SIDE = 520  # larger pictures are shown by every n-th pixel


def check_output(folder: Path, *, force: bool = False) -> None:
    """Refuse a folder inside a checkout of this project, or one that holds a gallery.

    Raises
    ------
    SettingError
        Somebody could commit pictures of patients from there.
    OutputExistsError
        There is one, and ``force`` is not set.
    """
    refuse_checkout(folder, "A gallery")
    if not force:
        refuse_existing([folder / PAGE, folder / FIGURES])


def write_gallery(sections: Sequence[Section], folder: Path, *, seed: int, force: bool = False) -> Path:
    """Write ``gallery.html`` and ``gallery.json``, both or none; return the page.

    Raises
    ------
    SettingError, OutputExistsError
        As :func:`check_output`.
    """
    check_output(folder, force=force)
    page, figures = folder / PAGE, folder / FIGURES
    with atomic_files([page, figures], force=force) as files:
        with files.open(page) as stream:
            stream.write(render(sections, seed=seed).encode())
        with files.open(figures) as stream:
            stream.write((json.dumps(record(sections, seed=seed), indent=1) + "\n").encode())
    return page


def record(sections: Sequence[Section], *, seed: int) -> dict[str, Any]:
    """Return the figures of a gallery, JSON-able; null where there is none."""
    return {
        "measure": "mean CIEDE2000 to the target, body pixels of the slice shown, fading off",
        "seed": seed,
        "version": medcolor.__version__,
        "families": {
            section.family: {
                "palette": section.palette.style,
                "bundle": section.learned or None,
                "weights_sha256": section.weights or None,
                "default": section.default,
                "remark": section.remark,
                "rows": [_figures(row) for row in section.rows],
            }
            for section in sections
        },
    }


def _figures(row: Row) -> dict[str, Any]:
    errors = {"gray": row.gray_error, "physics": row.physics.error, "learned": row.learned.error}
    known = {name: None if math.isnan(value) else round(value, 3) for name, value in errors.items()}
    return {"image": row.caption, "condition": row.condition, **known}


def render(sections: Sequence[Section], *, seed: int) -> str:
    """Return the page."""
    template = Template((Path(__file__).parent / "gallery.html").read_text(encoding="utf-8"))
    styles = sorted({section.palette.style for section in sections})
    return template.substitute(
        sections="\n".join(_section(section) for section in sections),
        style=html.escape(", ".join(styles)),
        seed=seed,
        scale=confidence_scale(
            f"Confidence. 1: sure of its colour. 0.5: expects to be off by {HALF_CONFIDENCE:g} in (a*, b*)."
        ).to_html(),
        version=html.escape(medcolor.__version__),
    )


def _section(section: Section) -> str:
    if section.learned:
        said = f"learned: {section.learned}, {'the default' if section.default else 'not the default'}"
    else:
        said = f"no trained bundle of {section.family}"
    swatches = "".join(
        f'<span><i style="background:rgb{entry.swatch}"></i>{html.escape(entry.label)}</span>'
        for entry in legend(section.palette)
    )
    rows = "".join(_row(row) for row in section.rows) or f"<p class=remark>{html.escape(section.remark)}</p>"
    return (
        f'<section id="{section.family}"><h2>{section.family} <small>{html.escape(said)}</small></h2>'
        f'<p class="swatches">{swatches}</p>{rows}</section>'
    )


def _row(row: Row) -> str:
    scale = confidence_scale("")
    sure = Arm(None, remark=row.learned.remark or "none")
    if row.confidence is not None:
        sure = Arm(scale.picture(row.confidence))
    parts = [
        ("gray", Arm(row.gray, row.gray_error)),
        ("physics", row.physics),
        ("learned", row.learned),
        ("confidence", sure),
        ("target", row.target),
    ]
    figures = "".join(_figure(name, arm) for name, arm in parts)
    return (
        f'<div class="row"><h3>{html.escape(row.condition)}<small>{html.escape(row.caption)}</small></h3>'
        f'<div class="pictures">{figures}</div></div>'
    )


def _figure(name: str, arm: Arm) -> str:
    error = "" if math.isnan(arm.error) else f" · {arm.error:.2f}"
    if arm.picture is None:
        return f"<figure><div class=none>{html.escape(arm.remark)}</div><figcaption>{name}</figcaption></figure>"
    picture = data_uri(_shown(arm.picture))
    return f'<figure><img alt="{name}" src="{picture}"><figcaption>{name}{error}</figcaption></figure>'


def _shown(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    stride = -(-max(picture.shape[:2]) // _LONGEST_SIDE)
    return picture[::stride, ::stride]


__all__ = ["check_output", "record", "render", "write_gallery"]
