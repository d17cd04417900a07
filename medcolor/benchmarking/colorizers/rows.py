"""One row: a method on all views of a modality, figure by figure and patient by patient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.benchmarking.colorizers import figures
from medcolor.benchmarking.colorizers.arms import Arm, Colors
from medcolor.benchmarking.colorizers.views import AT_ONCE, View, lab_of
from medcolor.cielab import delta_e_2000, gray_to_lightness
from medcolor.color import apply_color
from medcolor.color_law import restore_gray
from medcolor.color_scan import Law
from medcolor.training import metrics
from medcolor.vision import Deficiency

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Row:
    """What was measured of a method on a modality.

    Parameters
    ----------
    patients : dict of str to dict of str to float
        Patient -> figure -> value, the mean over the patient's scans; NaN where it has no such figure.
    slices, pixels : int
        How many were looked at.
    broken : int
        Pixels of what is shown that break the law of the method.
    """

    patients: dict[str, dict[str, float]]
    slices: int
    pixels: int
    broken: int

    def to_json(self) -> dict[str, Any]:
        """Return it JSON-able; NaN is null."""
        known = {p: {n: None if np.isnan(v) else v for n, v in row.items()} for p, row in self.patients.items()}
        return asdict(self) | {"patients": known}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Row:
        """Return what :meth:`to_json` gave."""
        patients = {
            patient: {name: float("nan") if value is None else float(value) for name, value in row.items()}
            for patient, row in record["patients"].items()
        }
        return cls(patients, int(record["slices"]), int(record["pixels"]), int(record["broken"]))

    def value(self, figure: str) -> dict[str, float]:
        """Return a figure by patient."""
        return {patient: row.get(figure, float("nan")) for patient, row in self.patients.items()}


def measure(
    arm: Arm, views: Sequence[View], weights: Floats | None, *, progress: Callable[[int], None] | None = None
) -> Row:
    """Measure an arm.

    Parameters
    ----------
    arm : Arm
    views : sequence of View
    weights : ndarray of float, (bins,), or None
        Of :func:`~medcolor.benchmarking.colorizers.figures.rebalancing`; None: nothing is rebalanced.
    progress : callable, optional
        Called with the number of slices done since the last call. Raise from it to cancel.
    """
    found: dict[str, list[dict[str, float]]] = {}
    pixels = broken = 0
    with _one_thread_each(), ThreadPoolExecutor(AT_ONCE) as pool:
        for view, (row, wrong) in zip(views, pool.map(lambda v: look(arm, v, weights), views), strict=True):
            found.setdefault(view.patient, []).append(row)
            pixels += view.gray.size
            broken += wrong
            if progress is not None:
                progress(len(view.slices))
    patients = {patient: _mean_of(rows) for patient, rows in found.items()}
    return Row(patients, sum(len(view.slices) for view in views), pixels, broken)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _mean_of(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    out = {}
    for name in rows[0]:
        values = [row[name] for row in rows if np.isfinite(row[name])]
        out[name] = float(np.mean(values)) if values else float("nan")
    return out


@dataclass(frozen=True, eq=False)
class Painted:
    """What an arm made of a view: everything (n, nj, ni, ...)."""

    rgb: NDArray[np.uint8]
    lab: Floats
    doubt: Floats | None
    lightness: Floats | None
    recolored: Callable[[str], Floats] | None
    by_table: bool


def paint(arm: Arm, view: View) -> Painted:
    """Colour a view's slices; a table is taken as it is shown, everything else goes under the law."""
    parts = list(arm(view.scan, view.slices))
    shown = [_shown(part, view.gray[n : n + 1]) for n, part in enumerate(parts)]
    rgb = np.concatenate(shown)

    def joined(name: str) -> Floats | None:
        got = [getattr(part, name) for part in parts]
        return None if any(part is None for part in got) else np.concatenate(got)

    def recolored(kind: str) -> Floats:
        return np.concatenate([part.recolored(kind) for part in parts if part.recolored is not None])

    able = all(part.recolored is not None for part in parts)
    return Painted(
        rgb, lab_of(rgb), joined("doubt"), joined("lightness"), recolored if able else None, parts[0].ab is None
    )


def _shown(part: Colors, gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if part.rgb is not None:
        return part.rgb
    if part.ab is None:
        raise TypeError("An arm gives ab or rgb.")
    return apply_color(gray, part.ab)


def breaking(rgb: NDArray[np.uint8], gray: NDArray[np.uint8], law: Law) -> int:
    """Count pixels that break a law: another gray than the scan's; of a table, two colours for one gray."""
    if law is Law.LIGHTNESS:
        return int((restore_gray(rgb) != gray).sum())
    packed = rgb.reshape(-1, 3).astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    first = np.zeros(256, np.uint32)
    first[gray.reshape(-1)] = packed  # the last of each gray stands for it
    return int((first[gray.reshape(-1)] != packed).sum())


def look(arm: Arm, view: View, weights: Floats | None) -> tuple[dict[str, float], int]:
    """Return all figures of one view, and how many pixels break the law."""
    painted = paint(arm, view)
    found = _of_pictures(painted, view) | _of_colors(painted, view, weights) | _of_tissues(painted, view)
    return found | _of_neighbors(painted, view), breaking(painted.rgb, view.gray, arm.law)


def _of_pictures(painted: Painted, view: View) -> dict[str, float]:
    rgb, target = painted.rgb, view.target_rgb
    own, theirs = figures.colorfulness(rgb), figures.colorfulness(target)
    return {
        "psnr": figures.psnr(rgb, target),
        "ssim": figures.ssim(rgb, target),
        "mae_rgb": figures.mean_absolute(rgb, target),
        "colorfulness": own,
        "colorfulness_difference": abs(own - theirs),
        "hellinger": figures.histogram_distance(figures.color_histogram(rgb), view.target_histogram),
    }


def _of_colors(painted: Painted, view: View, weights: Floats | None) -> dict[str, float]:
    body = view.body
    lab, target = painted.lab[body], view.target_lab[body]
    error = np.asarray(delta_e_2000(lab, target))
    ab, target_ab = lab[:, 1:], target[:, 1:]
    found = {
        "mae_ab": figures.mean_absolute(ab, target_ab),
        "within_2": 100 * figures.within(lab, target),
        "auc": 100 * figures.area_under_curve(ab, target_ab),
        "auc_rebalanced": float("nan"),
        "ciede2000": float(error.mean(dtype=np.float64)) if error.size else float("nan"),
        "ciede2000_p95": float(np.percentile(error, 95)) if error.size else float("nan"),
    }
    if weights is not None:
        balanced = weights[figures.color_bins(target_ab)]
        found["auc_rebalanced"] = 100 * figures.area_under_curve(ab, target_ab, balanced)
    own = gray_to_lightness()[view.gray[body]]
    raw = painted.lightness[body] if painted.lightness is not None else lab[:, 0] if painted.by_table else None
    found["lightness_drift"] = float("nan") if raw is None else figures.mean_absolute(raw, own)
    found |= {"risk_area": float("nan"), "risk_80": float("nan")}
    if painted.doubt is not None:
        doubt = painted.doubt[body]
        found["risk_area"] = figures.risk_area(error, doubt)
        found["risk_80"] = metrics.risk_coverage(error, -doubt, coverage=figures.SUREST)
    return found


def _of_tissues(painted: Painted, view: View) -> dict[str, float]:
    """Return how far colours of one tissue spread and those of several stay apart, where tissues are plain."""
    plain = view.body & view.pure
    labels = view.labels[plain].astype(np.intp)
    own = figures.tissue_colors(painted.lab[plain][:, 1:], labels)
    found = {
        "spread": figures.spread_inside(own),
        "spread_target": figures.spread_inside(figures.tissue_colors(view.target_ab[plain], labels)),
    }
    found |= {f"separability_{eye}": value for eye, value in figures.separation(own).items()}
    found |= {f"compensated_{eye.value}": float("nan") for eye in Deficiency}
    if painted.recolored is not None:
        for eye in Deficiency:
            shown = lab_of(apply_color(view.gray, painted.recolored(eye.value)))[plain][:, 1:]
            apart = figures.separation(figures.tissue_colors(shown, labels))
            found[f"compensated_{eye.value}"] = apart[eye.value]
    return found


def _of_neighbors(painted: Painted, view: View) -> dict[str, float]:
    """Return how much colour changes to the next slice where gray and tissue do not; NaN without neighbours."""
    here, next_ = list(view.pairs), [place + 1 for place in view.pairs]
    if not here:
        return {"jitter": float("nan"), "jitter_target": float("nan")}
    still = metrics.still_pixels(view.gray[here], view.gray[next_], view.labels[here], view.labels[next_])
    still &= view.body[here] & view.body[next_]
    ab, target = painted.lab[..., 1:], view.target_lab[..., 1:]
    return {
        "jitter": metrics.flicker(ab[here], ab[next_], still),
        "jitter_target": metrics.flicker(target[here], target[next_], still),
    }


__all__ = ["Painted", "Row", "breaking", "look", "measure", "paint"]
