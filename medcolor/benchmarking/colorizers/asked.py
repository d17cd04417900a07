"""What is asked for, and what of it there is: the patients of a modality, and the methods that can colour them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcolor.benchmarking.colorizers import figures
from medcolor.benchmarking.colorizers.arms import Arm, GrayArm, LutArm, PhysicsArm
from medcolor.benchmarking.colorizers.bundle_arms import bundle_arm, bundle_label
from medcolor.benchmarking.colorizers.cells import Cells
from medcolor.benchmarking.colorizers.claims import VARIANTS
from medcolor.benchmarking.colorizers.table import CONTROLS, SYSTEMS
from medcolor.benchmarking.colorizers.tables_of_color import best_table
from medcolor.benchmarking.colorizers.views import SLICES, View, data_identity, find_views
from medcolor.bundle_files import TISSUE, BundleCard, is_complete, read_card
from medcolor.errors import BundleError, SettingError, TrainingError
from medcolor.scan import MODALITIES

METHODS = (*CONTROLS, *SYSTEMS)
UNTRAINED = ("gray", "lut", "physics")


@dataclass(frozen=True)
class Request:
    """What is to be measured.

    Parameters
    ----------
    data : Path, optional
        As for ``medcolor train``.
    families, methods : sequence of str
        Controls of single claims are added where their bundles are.
    patients : int, optional
        At most so many of each modality; None is all.
    slices : int
        At most so many of each patient.
    also : sequence of Path
        Further bundles, or folders with bundles; their code runs here.
    targets, cells : Path
        Folders of targets, and of what an interrupted run keeps.
    costs : bool
        Measure parameters, operations, time and memory.

    Raises
    ------
    SettingError
    """

    data: Path | None
    targets: Path
    cells: Path
    families: Sequence[str] = MODALITIES
    methods: Sequence[str] = METHODS
    patients: int | None = None
    slices: int = SLICES
    also: Sequence[Path] = ()
    costs: bool = True

    def __post_init__(self) -> None:
        known = (*METHODS, *VARIANTS)
        if not self.families or not set(self.families) <= set(MODALITIES):
            raise SettingError(f"Modalities are {', '.join(MODALITIES)}; got {', '.join(self.families) or 'none'}.")
        if not set(self.methods) <= set(known):
            raise SettingError(f"Methods are {', '.join(known)}; got {', '.join(self.methods)}.")
        if self.slices < 1 or (self.patients is not None and self.patients < 1):
            raise SettingError(f"1 patient and 1 slice or more; got {self.patients} and {self.slices}.")


@dataclass(frozen=True, eq=False)
class Modality:
    """Everything that is looked at of one family, and who looks.

    Attributes
    ----------
    family : str
    views : sequence of View
        Empty where there are no test patients.
    weights : ndarray of float64, (bins,), or None
        For the rebalanced AuC; None without validation patients.
    arms : dict of str to Arm
        Methods that can be measured, in order.
    missing : dict of str to str
        Why the others cannot.
    identity : str
        A hash of what figures depend on beside the arm.
    problem : str
        Why there are no views; it may name folders, so no table says it.
    """

    family: str
    views: Sequence[View]
    weights: NDArray[np.float64] | None
    arms: Mapping[str, Arm]
    missing: Mapping[str, str]
    identity: str = ""
    problem: str = ""


def find_modality(request: Request, family: str, cells: Cells) -> Modality:
    """Find the patients and methods of a family; the best colour table is chosen here.

    Raises
    ------
    BundleError
        A bundle is damaged.
    SettingError
        Two bundles of one method.
    """
    try:
        test = find_views(request.data, family, patients=request.patients, slices=request.slices, cache=request.targets)
    except TrainingError as error:
        return Modality(family, (), None, {}, dict.fromkeys(request.methods, "nobody to test on"), problem=str(error))
    try:
        val = find_views(request.data, family, split="val", slices=request.slices, cache=request.targets)
    except TrainingError:
        val = []
    weights = _weights(val)
    arms, missing = _arms(request, family, val, cells)
    parts = data_identity(test) + ("" if weights is None else hashlib.sha256(weights.tobytes()).hexdigest())
    return Modality(family, test, weights, arms, missing, parts)


def _weights(val: Sequence[View]) -> NDArray[np.float64] | None:
    """Return rebalancing weights by the colours of validation patients; None where there are none."""
    if not val:
        return None
    return figures.rebalancing(np.sum([figures.bin_counts(v.target_lab[v.body][:, 1:]) for v in val], axis=0))


def _arms(request: Request, family: str, val: Sequence[View], cells: Cells) -> tuple[dict[str, Arm], dict[str, str]]:
    """Return the methods that can be measured, in order, and why the others cannot."""
    from medcolor.bundles import bundle_names
    from medcolor.resources import config_dir

    arms: dict[str, Arm] = {}
    missing: dict[str, str] = {}
    there, further = bundle_names(), further_bundles(request, family)
    for method in methods_of(request, family):
        name = f"{family.lower()}_{method}"
        if method in further:
            require_method(read_card(further[method]), method)
            if name in there:
                raise SettingError(f"{further[method]} is a second {method} of {family}: rename its folder.")
            arms[method] = bundle_arm(further[method])
        elif method == "gray":
            arms[method] = GrayArm()
        elif method == "physics":
            arms[method] = PhysicsArm(family)
        elif method == "lut" and val:
            arms[method] = LutArm(best_table(val, cells))
        elif method == "lut":
            missing[method] = "no validation patients to choose a table by"
        elif name in there:
            require_method(read_card(config_dir() / name), method)
            arms[method] = bundle_arm(config_dir() / name)
        else:
            missing[method] = f"no bundle {name}"
    return arms, missing


def methods_of(request: Request, family: str) -> list[str]:
    """Return the rows of a family in order: those asked for, variants that are there, and further bundles."""
    from medcolor.bundles import bundle_names

    there = bundle_names()
    variants = [name for name in VARIANTS if f"{family.lower()}_{name}" in there]
    return list(dict.fromkeys((*request.methods, *variants, *further_bundles(request, family))))


def arms_expected(request: Request, family: str) -> int:
    """Return how many of its rows can be measured, if there is anybody to test and to validate on."""
    from medcolor.bundles import bundle_names

    there = {*UNTRAINED, *further_bundles(request, family)}
    named = {name.removeprefix(f"{family.lower()}_") for name in bundle_names() if name.startswith(family.lower())}
    return len((there | named) & set(methods_of(request, family)))


def further_bundles(request: Request, family: str) -> dict[str, Path]:
    """Return the bundles of a family that were given, by what they are called in the table.

    Raises
    ------
    BundleError
        A folder is none and holds none.
    SettingError
        Two of one name.
    """
    found: dict[str, Path] = {}
    for folder in (bundle for path in request.also for bundle in bundles_in(path)):
        card = read_card(folder)
        if card.family != family:
            continue
        if (name := bundle_label(card)) in {*found, *UNTRAINED}:
            raise SettingError(f"{folder} is a second {name} of {family}. Leave one out, or rename its folder.")
        found[name] = folder
    return found


def bundles_in(folder: Path) -> list[Path]:
    """Return the folder itself if it is a bundle, else the bundles in it.

    Raises
    ------
    BundleError
        There are none.
    """
    found = [folder] if is_complete(folder) else sorted(path for path in folder.glob("*") if is_complete(path))
    if not found:
        raise BundleError(f"{folder} is no bundle, and there is none in it.")
    return found


def require_method(card: BundleCard, method: str) -> None:
    """Refuse a bundle that goes by the name of a system that it is not.

    Raises
    ------
    BundleError
    """
    if method in (*SYSTEMS, TISSUE) and card.method != method:
        raise BundleError(f"{card.folder} says that its method is {card.method}: it cannot be the row {method}.")


__all__ = ["METHODS", "Modality", "Request", "arms_expected", "find_modality", "methods_of", "require_method"]
