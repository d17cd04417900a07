"""The gallery: test patients of every modality as gray, physics, learned, confidence and target, with their errors.

Colours are those of one palette, judged as in :mod:`medcolor.training.evaluate`: inside the body, at the display gray
of the clean scan, but on the one slice that is shown, because the figure belongs to the picture.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medcolor.benchmarking.patients import Subject, find_patients
from medcolor.color import color_from_posteriors
from medcolor.errors import ModalityError, SettingError, TrainingError
from medcolor.palettes import Palette, load_palette
from medcolor.scan import MODALITIES, Scan
from medcolor.training import metrics
from medcolor.training.conditions import Condition, evaluation_table
from medcolor.training.datasets import TissueDataset
from medcolor.windowing import default_display, grayscale

if TYPE_CHECKING:
    from medcolor.colorizers.network import NetworkColorizer

Posteriors = NDArray[np.float32]
Progress = Callable[[int, int], None]
CLEAN = "clean"


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """What one colorizer makes of a slice.

    Attributes
    ----------
    picture : ndarray of uint8 (nj, ni, 3), or None
        None where it refuses.
    error : float
        Mean CIEDE2000 to the target inside the body; NaN without picture or body.
    remark : str
        Why there is no picture.
    """

    picture: NDArray[np.uint8] | None
    error: float = float("nan")
    remark: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One slice of one patient in one condition.

    Attributes
    ----------
    caption, condition : str
        Neither names anybody.
    gray : ndarray of uint8, (nj, ni)
    gray_error : float
        Of no colour at all.
    physics, learned, target : Arm
    confidence : ndarray of float32, (nj, ni), or None
    """

    caption: str
    condition: str
    gray: NDArray[np.uint8]
    gray_error: float
    physics: Arm
    learned: Arm
    target: Arm
    confidence: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """A modality family: its rows, or ``remark`` where there are none.

    Attributes
    ----------
    learned : str
        Name of the trained bundle, empty where there is none; ``weights`` is its hash, ``default`` what it says.
    """

    family: str
    palette: Palette
    rows: Sequence[Row] = ()
    remark: str = ""
    learned: str = ""
    weights: str = ""
    default: bool = False


def shipped_colorizers(device: str = "auto") -> dict[str, NetworkColorizer]:
    """Return the trained colorizer of each family in ``configs/``, the default where there are several."""
    from medcolor.bundles import bundles_of

    return {
        family: load_network(cards[0].name, device=device) for family in MODALITIES if (cards := bundles_of(family))
    }


def load_network(bundle: str, *, device: str = "auto", trust: bool = False) -> NetworkColorizer:
    """Return a trained bundle as a colorizer.

    Raises
    ------
    BundleError
    """
    from medcolor.bundles import load_bundle
    from medcolor.colorizers.network import NetworkColorizer

    return NetworkColorizer(load_bundle(bundle, trust=trust), device=device)


def make_gallery(
    data: Path | None,
    colorizers: Mapping[str, NetworkColorizer],
    *,
    families: Sequence[str] = MODALITIES,
    patients: int = 2,
    style: str = "contrast",
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> list[Section]:
    """Look at test patients.

    Parameters
    ----------
    data : Path, optional
        Folder of packs, of DICOM files or volumes, or a decathlon list; as for ``medcolor train``.
    colorizers : mapping of str to NetworkColorizer
        Family -> what was learned. A family without one is shown without.
    families : sequence of str
    patients : int
        Of each family, as far as there are so many.
    style : str
        Palette; the bars are measured in "contrast".
    seed : int
        Which patients.
    cache : Path, optional
        Folder with targets of an earlier run or training; else they are made, and not kept.
    progress : callable, optional
        Called with (rows done, rows in all). Raise from it to cancel.

    Raises
    ------
    SettingError
        No such family, or fewer than one patient.
    TrainingError
        There are no test patients of any family.
    """
    if patients < 1 or not families or not set(families) <= set(MODALITIES):
        raise SettingError(
            f"A gallery shows 1 patient or more of {', '.join(MODALITIES)}; got {patients} of {families}."
        )
    found, remarks = {}, {}
    for family in families:
        try:
            found[family] = find_patients(data, family, patients, seed=seed)
        except TrainingError as error:
            found[family], remarks[family] = [], str(error)
    if not any(found.values()):
        raise TrainingError(f"No test patients in {data or 'the folder of packs'}: {next(iter(remarks.values()), '')}")
    total, done = sum(len(_conditions(family, 0)) + len(who) - 1 for family, who in found.items() if who), 0
    sections = []
    with tempfile.TemporaryDirectory() as scratch:
        for family, who in found.items():
            network, palette = colorizers.get(family), load_palette(family, style)
            rows = []
            for number, patient in enumerate(who):
                for row in _rows(patient, _conditions(family, number), network, palette, cache or Path(scratch)):
                    rows.append(row)
                    done += 1
                    if progress is not None:
                        progress(done, total)
            remark = "" if rows else remarks.get(family, "no test patients here")
            sections.append(_section(family, palette, tuple(rows), remark, network))
    return sections


def _section(
    family: str, palette: Palette, rows: Sequence[Row], remark: str, network: NetworkColorizer | None
) -> Section:
    if network is None:
        return Section(family, palette, rows, remark)
    card = network.bundle.card
    return Section(family, palette, rows, remark, card.name, card.weights_sha256, card.default)


def _conditions(family: str, number: int) -> list[tuple[str, tuple[Condition, ...]]]:
    """Return what a family's patient is shown in: the first one also degraded, and without units where that is so."""
    if number:
        return [(CLEAN, ())]
    table = {(line.name, line.severity): line for line in evaluation_table(family)}
    middle = (table["gamma", "middle"], table["noise", "middle"])
    shown: list[tuple[str, tuple[Condition, ...]]] = [(CLEAN, ()), ("gamma and noise, middle level", middle)]
    if ("lost_units", "high") in table:
        shown.append(("units lost, as in an 8-bit picture", (table["lost_units", "high"],)))
    return shown


def _rows(
    patient: Subject,
    conditions: Sequence[tuple[str, tuple[Condition, ...]]],
    network: NetworkColorizer | None,
    palette: Palette,
    cache: Path,
) -> list[Row]:
    """Show the middle slice of a scan in some conditions."""
    scan, k = patient.case.load().scan, patient.case.slices // 2
    target = np.asarray(TissueDataset([patient.case], cache=cache)[k]["target"], np.float32)
    view = _View(palette, _gray(scan, k), target)
    rows = []
    for name, steps in conditions:
        shown = scan
        for step in steps:
            shown = step.on_scan(shown, key=patient.case.key)
        gray = _gray(shown, k)
        learned, confidence = _learned(network, shown, k, view, gray)
        rows.append(
            Row(
                f"{patient.caption}, slice {k + 1} of {patient.case.slices}",
                name,
                gray,
                view.error(np.zeros_like(view.target_ab)),
                _physics(shown, k, view, gray),
                learned,
                Arm(view.paint(target, view.gray)),
                confidence,
            )
        )
    return rows


@dataclass(frozen=True, eq=False)
class _View:
    """A slice as it is judged: its clean gray (nj, ni), and the target (K, nj, ni)."""

    palette: Palette
    gray: NDArray[np.uint8]
    target: Posteriors

    @property
    def target_ab(self) -> NDArray[np.float32]:
        return metrics.expected_ab(self.target, self.palette.ab)

    def error(self, ab: NDArray[np.float32]) -> float:
        body = self.target.argmax(axis=0) > 0  # class 0 is outside, in every family
        errors = metrics.color_error(self.gray[body], ab[body], self.target_ab[body])
        return float(errors.mean()) if errors.size else float("nan")

    def paint(self, posteriors: Posteriors, gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return color_from_posteriors(gray[None], np.ascontiguousarray(posteriors[:, None]), self.palette.ab)[0]

    def arm(self, posteriors: Posteriors, gray: NDArray[np.uint8]) -> Arm:
        return Arm(self.paint(posteriors, gray), self.error(metrics.expected_ab(posteriors, self.palette.ab)))


def _physics(scan: Scan, k: int, view: _View, gray: NDArray[np.uint8]) -> Arm:
    from medcolor import tissue

    try:
        return view.arm(tissue.fit(scan).posteriors(slice(k, k + 1))[:, 0], gray)
    except ModalityError as error:
        return Arm(None, remark=f"refuses: {error}")


def _learned(
    network: NetworkColorizer | None, scan: Scan, k: int, view: _View, gray: NDArray[np.uint8]
) -> tuple[Arm, NDArray[np.float32] | None]:
    if network is None:
        return Arm(None, remark=f"no trained bundle of {scan.family}"), None
    found, block = network.predict(scan), slice(k, k + 1)
    return view.arm(found.posteriors(block)[:, 0], gray), found.confidence(block)[0]


def _gray(scan: Scan, k: int) -> NDArray[np.uint8]:
    return np.ascontiguousarray(grayscale(scan, default_display(scan))(slice(k, k + 1))[0])


__all__ = ["Arm", "Row", "Section", "load_network", "make_gallery", "shipped_colorizers"]
