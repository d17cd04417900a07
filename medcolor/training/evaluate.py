"""How good a colouring is: every figure of the bars, patient by patient, for each arm and each degraded input.

An arm is anything that gives posteriors: the network, physics, another network. All are judged on the same pixels
(inside the body), at the display gray of the *clean* scan, against the same target, so that only colour differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import ModalityError
from medcolor.palettes import Palette, load_palette
from medcolor.scan import Scan, to_slices
from medcolor.training import metrics
from medcolor.training.arms import Answer, Posteriors, Predict, Prediction
from medcolor.training.evaluation import MIDDLE, Evaluation, groups_of
from medcolor.training.targets import contiguous_slices
from medcolor.windowing import default_display, grayscale

if TYPE_CHECKING:
    from medcolor.training.conditions import Condition
    from medcolor.training.datasets import TissueDataset


@dataclass(frozen=True, eq=False)
class LabeledScan:
    """A scan with an answer.

    Parameters
    ----------
    patient : str
        What is drawn again by the bootstrap; several scans may share it.
    scan : Scan
        In true units.
    target : ndarray of float32, (K, nk, nj, ni)
        Posteriors; all zero where nothing is known.
    contiguous : bool
        Whether slices are neighbours in space; flicker needs it.
    key : str
        Names the scan among others and decides the chance of its degradations; the patient when left out.
    """

    patient: str
    scan: Scan
    target: Posteriors
    contiguous: bool = True
    key: str = ""

    def __post_init__(self) -> None:
        if self.target.shape[1:] != to_slices(self.scan.voxels).shape:
            raise ValueError(
                f"target {self.target.shape} does not fit a scan of {to_slices(self.scan.voxels).shape} (nk, nj, ni)."
            )

    @property
    def body(self) -> NDArray[np.bool_]:
        """Where the target names a tissue, (nk, nj, ni): class 0 is what lies outside the body, in every family."""
        return (self.target.argmax(axis=0) > 0) & (self.target.sum(axis=0) > 0.5)


def evaluate(
    cases: Iterable[LabeledScan],
    arms: Mapping[str, Predict],
    *,
    family: str,
    conditions: Sequence[Condition] = (),
    style: str = "contrast",
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure arms on cases.

    Parameters
    ----------
    cases : iterable of LabeledScan
        One at a time in memory; those of one patient are averaged.
    arms : mapping of str to callable
        "learned", "physics", ...; an arm that refuses a degraded scan (its unit is lost) has no figure there.
    family : str
        Modality family, for classes and palette.
    conditions : sequence of Condition
        From :func:`medcolor.training.conditions.evaluation_table`; colour error alone is measured there.
    style : str
        Palette the colours are compared in.
    progress : callable, optional
        Called with (cases done, cases in all); the total is 0 where it is not known.

    Raises
    ------
    ValueError
        No case.
    """
    palette = load_palette(family, style)
    result = Evaluation(family, palette.names, style, {f"{c.name}, {c.severity}": c.severity for c in conditions})
    total = len(cases) if isinstance(cases, Sequence) else 0
    done = 0
    for case in cases:
        view = _View.of(case, palette)
        for name, predict in arms.items():
            prediction = predict(case.scan)
            result.tissue &= isinstance(prediction, Prediction)
            result.add("clean", name, case.patient, view.figures(prediction), view.calibration(prediction))
        for condition in conditions:
            degraded = condition.on_scan(case.scan, key=case.key or case.patient)
            for name, predict in arms.items():
                try:
                    prediction = predict(degraded)
                except ModalityError:
                    continue
                result.add(
                    f"{condition.name}, {condition.severity}",
                    name,
                    case.patient,
                    {"error": view.error(prediction)},
                    None,
                )
        done += 1
        if progress is not None:
            progress(done, total)
    if not done:
        raise ValueError("There is nothing to evaluate: no case.")
    return result


def mean_error(
    cases: Iterable[LabeledScan], predict: Predict, *, family: str, style: str = "contrast", spread: bool = False
) -> dict[str, float]:
    """Return means over patients, inside the body, for validation.

    Parameters
    ----------
    cases : iterable of LabeledScan
    predict : callable
    family, style : str
        Palette.
    spread : bool
        Also compare how colours are distributed: see :func:`medcolor.training.metrics.chroma_hellinger` and
        :func:`medcolor.training.metrics.chroma_drift`.

    Returns
    -------
    dict of str to float
        "error", mean CIEDE2000, and "gray_error", gray's own; with ``spread`` "hellinger" and "drift".
    """
    palette = load_palette(family, style)
    rows: dict[str, list[dict[str, float]]] = {}
    names = ("error", "gray_error", *(("hellinger", "drift") if spread else ()))
    for case in cases:
        view = _View.of(case, palette)
        answer = predict(case.scan)
        found = {"error": view.error(answer), "gray_error": view.gray_error()} | (view.spread(answer) if spread else {})
        if np.isfinite(found["gray_error"]):  # a scan without body says nothing
            rows.setdefault(case.patient, []).append(found)
    means = [{name: float(np.mean([row[name] for row in found])) for name in names} for found in rows.values()]
    return {name: float(np.mean([row[name] for row in means])) if means else float("nan") for name in names}


def also_degraded(cases: Sequence[LabeledScan], family: str) -> list[LabeledScan]:
    """Return each case once more, degraded by one line of the table's middle level, the lines in turn."""
    from medcolor.training.conditions import evaluation_table

    lines = [condition for condition in evaluation_table(family) if condition.severity == MIDDLE]
    return [
        replace(case, scan=lines[n % len(lines)].on_scan(case.scan, key=case.key or case.patient))
        for n, case in enumerate(cases)
    ]


@dataclass(frozen=True, eq=False)
class _View:
    """A case as it is looked at: what every arm is compared with, computed once."""

    case: LabeledScan
    family: str
    classes: tuple[str, ...]
    ab: NDArray[np.float32]
    gray: NDArray[np.uint8]
    labels: NDArray[np.intp]
    body: NDArray[np.bool_]
    target_ab: NDArray[np.float32]

    @classmethod
    def of(cls, case: LabeledScan, palette: Palette) -> _View:
        if len(case.target) != len(palette.classes):
            raise ValueError(f"A target of {len(case.target)} classes does not fit the palette's {palette.names}.")
        labels = case.target.argmax(axis=0)
        gray = grayscale(case.scan, default_display(case.scan))(slice(None))
        return cls(
            case,
            palette.modality,
            palette.names,
            palette.ab,
            gray,
            labels,
            case.body,
            metrics.expected_ab(case.target, palette.ab),
        )

    def error(self, answer: Answer) -> float:
        return _mean(self._errors(answer.colors(self.ab)))

    def spread(self, answer: Answer) -> dict[str, float]:
        """Return how far the distribution of colours inside the body is from the target's."""
        ab, wanted = answer.colors(self.ab)[self.body], self.target_ab[self.body]
        return {"hellinger": metrics.chroma_hellinger(ab, wanted), "drift": metrics.chroma_drift(ab, wanted)}

    def gray_error(self) -> float:
        return _mean(self._errors(np.zeros_like(self.target_ab)))

    def _errors(self, ab: NDArray[np.float32]) -> NDArray[np.floating]:
        body = self.body
        return metrics.color_error(self.gray[body], ab[body], self.target_ab[body])

    def figures(self, answer: Answer) -> dict[str, float]:
        body = self.body
        ab = answer.colors(self.ab)
        errors = self._errors(ab)
        edges = metrics.near_edges(self.labels)[body]
        floor = self._errors(metrics.quarter_resolution(self.target_ab))
        found = {
            "error": _mean(errors),
            "gray_error": self.gray_error(),
            "edge_error": _mean(errors[edges]),
            "edge_floor": _mean(floor[edges]),
        }
        if answer.confidence is not None:
            found["risk"] = metrics.risk_coverage(errors, answer.confidence[body])
        found |= self._flicker(ab)
        return found | (self._of_classes(answer, errors) if isinstance(answer, Prediction) else self.spread(answer))

    def _of_classes(self, prediction: Prediction, errors: NDArray[np.floating]) -> dict[str, float]:
        body, likely = self.body, prediction.posteriors
        dice = metrics.posterior_dice(likely[:, body], self.case.target[:, body])
        found = {f"dice {n}": float(value) for n, value in enumerate(dice)}
        found["risk_posterior"] = metrics.risk_coverage(errors, likely.max(axis=0)[body])
        return found | self._group_dice(likely[:, body], self.case.target[:, body])

    def _group_dice(self, posteriors: Posteriors, target: Posteriors) -> dict[str, float]:
        """Return the Dice of the tissues that the bar is about, inside the body."""
        found = {}
        for name, parts in groups_of(self.family, self.classes).items():
            both = [
                np.stack([p[list(parts)].sum(axis=0), np.delete(p, parts, axis=0).sum(axis=0)])
                for p in (posteriors, target)
            ]
            found[f"dice of {name}"] = float(metrics.posterior_dice(*both)[0])
        return found

    def _flicker(self, ab: NDArray[np.float32]) -> dict[str, float]:
        if not self.case.contiguous or len(self.labels) < 2:
            return {"flicker": float("nan"), "target_flicker": float("nan")}
        still = metrics.still_pixels(self.gray[:-1], self.gray[1:], self.labels[:-1], self.labels[1:])
        still &= self.body[:-1] & self.body[1:]
        own = metrics.flicker(self.target_ab[:-1], self.target_ab[1:], still)
        return {"flicker": metrics.flicker(ab[:-1], ab[1:], still), "target_flicker": own}

    def calibration(self, prediction: Answer) -> dict[str, metrics.Calibration] | None:
        if not isinstance(prediction, Prediction):
            return None
        p, t = prediction.posteriors[:, self.body], self.case.target[:, self.body]
        return {
            "ece": metrics.calibration(p, t),
            "ece_target": metrics.calibration(t, t),
            "ece_soft": metrics.calibration(p, t, soft=True),
        }


def _mean(values: NDArray[np.floating]) -> float:
    return float(values.mean()) if values.size else float("nan")


def labeled_scans(dataset: TissueDataset, *, limit: int | None = None) -> Iterator[LabeledScan]:
    """Yield the scans of a dataset with the targets of its cache, one in memory at a time.

    Parameters
    ----------
    dataset : TissueDataset
        Without a transform: what is judged is the scan as it is.
    limit : int, optional
        At most so many, spread evenly over the dataset, so that few patients do not give them all.
    """
    count = len(dataset.cases)
    chosen = range(count) if limit is None or limit >= count else np.linspace(0, count - 1, limit).round().astype(int)
    starts = np.cumsum([0, *(case.slices for case in dataset.cases)])
    for n in dict.fromkeys(int(c) for c in chosen):
        case = dataset.cases[n]
        scan = case.load().scan
        samples = [dataset[int(i)] for i in range(starts[n], starts[n + 1])]
        target = np.stack([np.asarray(sample["target"]) for sample in samples], axis=1)
        near = contiguous_slices(scan) if case.contiguous is None else case.contiguous
        yield LabeledScan(case.patient, scan, target, near, case.key)
