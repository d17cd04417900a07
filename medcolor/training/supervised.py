"""Supervised training: a config, data, the loop, and the measurement of what came out.

The recipe the tissue networks are trained by: degraded input against clean targets, stopped by validation patients,
measured on test patients against physics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from medcolor.bundle_files import FILES
from medcolor.errors import OutputExistsError, TrainingError
from medcolor.networks.volume_summary import summarize
from medcolor.training.checkpoints import LAST
from medcolor.training.degradations import REFERENCE
from medcolor.training.devices import place
from medcolor.training.drawing import VOLUME, Sample
from medcolor.training.export import CARD, check_exportable, export_bundle, identity
from medcolor.training.loop import FitResult, fit
from medcolor.training.objectives import TissueObjective
from medcolor.training.recipe import Recipe, fit_options, read_recipe

if TYPE_CHECKING:
    from medcolor.networks.normalization import Normalization
    from medcolor.training.datasets import Case, TissueDataset
    from medcolor.training.evaluation import Evaluation
    from medcolor.training.losses import TissueLoss

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Prepare:
    """From a sample in scan units to one the network takes: the last step of a training transform.

    As :meth:`Normalization.fit` does in use: a unit that was lost becomes gray, percentiles are those of the whole
    volume. They come from the sample's "reference", which noise, gamma, shading and lost units have changed as they
    changed the image; that blur, motion and streaks move a volume's percentiles a little is left out.

    Parameters
    ----------
    normalization : Normalization
    """

    normalization: Normalization

    def __call__(self, sample: Sample) -> Sample:
        """Return the sample with "image" and "neighbour" in -1..1, and the "volume"'s summary.

        Raises
        ------
        TrainingError
            Percentiles are needed, and the sample has no reference.
        """
        out = dict(sample)
        image = np.asarray(out["image"], np.float32)
        fitted = self._fitted(out)
        out["image"] = torch.from_numpy(fitted(image))
        if out.get("neighbour") is not None:
            out["neighbour"] = torch.from_numpy(fitted(np.asarray(out["neighbour"], np.float32)))
        values = np.asarray(out[REFERENCE] if out.get(REFERENCE) is not None else image, np.float32)
        out[VOLUME] = torch.from_numpy(summarize(fitted, values))
        return out

    def _fitted(self, sample: Sample) -> Normalization:
        units, inverted = str(sample.get("units", "")), bool(sample.get("inverted", 0))
        if sample.get(REFERENCE) is not None:
            return self.normalization.fit_values(np.asarray(sample[REFERENCE]), units=units, inverted=inverted)
        if (fixed := self.normalization.of_unit(units, inverted, eight_bit=True)) is None:
            raise TrainingError(
                f'A sample in "{units}" needs "{REFERENCE}": one slice does not say how bright a volume is.'
            )
        return fixed


def train(
    configs: Sequence[Path | str],
    *,
    data: Path | str | None = None,
    output: Path,
    device: str = "auto",
    resume: bool = False,
    progress: Callable[[str], Progress | None] | None = None,
    cancel: Callable[[], bool] | None = None,
    say: Callable[[str], None] | None = None,
) -> tuple[FitResult, Evaluation | None]:
    """Train as a config says, and measure the result on the test patients where it asks for it.

    Parameters
    ----------
    configs : sequence of Path or str
        A config and overlays, files or names.
    data : Path, optional
        Folder of packs, of DICOM or volumes, or a decathlon list; else the folder of packs in MEDCOLOR_DATA.
    output : Path
        Folder for checkpoints, log, evaluation, and the cached targets unless the config has another place. After the
        training it is a bundle: ``load_colorizer(str(output), trust=True)``.
    device : str
        "auto", "cpu", "cuda", "cuda:N".
    resume : bool
    progress : callable, optional
        Title of a stage to a callback for (done, total).
    cancel, say : callable, optional
        Asked whether to stop; told what was chosen.

    Returns
    -------
    FitResult
    Evaluation or None
        None when cancelled, or where the config asks for none. Also written to ``output``.

    Raises
    ------
    TrainingError, LicenseError
    OutputExistsError
        The folder holds a training and ``resume`` is False, or other files that would be written over.
    """
    from medcolor.training.arms import learned
    from medcolor.training.evaluate import labeled_scans, mean_error

    recipe = read_recipe(configs)
    _refuse_output(output, resume=resume)
    say, stage = say or (lambda _: None), progress or (lambda _: None)
    options = fit_options(recipe.get("fit"))
    placement = place(device, options.precision)
    say(f"Training on {placement.reason}")
    sides = _datasets(recipe, data, output, stage("targets"))
    say(", ".join(f"{side}: {len(d.patients)} patients, {len(d)} slices" for side, d in sides.items()))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network, normalization = recipe.get("network"), recipe.get("normalization")
    check_exportable(recipe, network, sides["train"].classes)
    limits = dict(recipe.get("validation", {}))
    judged = list(labeled_scans(sides["val"], limit=limits.get("scans")))
    style = str(recipe.get("style", "contrast"))

    def validate(candidate: torch.nn.Module) -> Mapping[str, float]:
        predict = learned(candidate, normalization, device=placement.device)
        return mean_error(judged, predict, family=recipe.family, style=style)

    result = fit(
        network,
        sides["train"],
        objective=TissueObjective(_loss(recipe, style, sides["train"])),
        validate=validate,
        output=output,
        options=options,
        transform=_transform(recipe, normalization),
        placement=placement,
        resume=resume,
        facts={
            "family": recipe.family,
            "classes": list(sides["train"].classes),
            "config": recipe.digest,
            "data": identity({side: sides[side] for side in ("train", "val")}),
        },
        progress=stage("training"),
        cancel=cancel,
    )
    if result.weights is None:
        return result, None
    made = {"network": network, "normalization": normalization, "result": result}
    export_bundle(output, recipe, sides, **made)
    if recipe.get("evaluation") is None:
        return result, None
    found = _measure(recipe, sides["test"], output, str(placement.device), stage("evaluation"))
    found.write(output)
    export_bundle(output, recipe, sides, **made, found=found)
    return result, found


def _refuse_output(output: Path, *, resume: bool) -> None:
    """Refuse, before any work, a folder with a training, or with a README.md and the like that are no training's."""
    if not (output / LAST).is_file():
        if there := [name for name in (*FILES, CARD) if (output / name).exists()]:
            raise OutputExistsError(
                f"{output} holds {', '.join(there)} of something else, which a training would write over. Choose "
                "another folder. Nothing was written."
            )
    elif not resume:
        raise OutputExistsError(
            f"{output} holds a training already. Go on with it (resume=True, --resume), or choose another folder. "
            "Nothing was written."
        )


def _datasets(
    recipe: Recipe, data: Path | str | None, output: Path, progress: Progress | None
) -> dict[str, TissueDataset]:
    from medcolor.training.datasets import TissueDataset
    from medcolor.training.sources import find_cases

    wanted = dict(recipe.get("data", {}))
    cache = Path(wanted.pop("cache", None) or output / "targets")
    limit = wanted.pop("patients", None)
    try:
        cases = find_cases(data, family=recipe.family, **wanted)
    except TypeError as error:
        raise TrainingError(f"data: {error}") from error
    neighbors = float(dict(recipe.get("loss", {})).get("consistency", 0.5)) > 0
    needed = ["train", "val"] + (["test"] if recipe.get("evaluation") is not None else [])
    sides = {}
    for side in needed:
        patients = _fewest_slices([case for case in cases if case.split == side], limit)
        if not patients:
            raise TrainingError(
                f"No {side} patients of {recipe.family} in the data: training needs patients to learn from, others to "
                "stop by, and others again to be measured on."
            )
        chosen = [case for case in cases if case.split == side and case.patient in patients]
        sides[side] = TissueDataset(chosen, cache=cache, neighbors=neighbors and side == "train")
    total, done = sum(len(d.cases) for d in sides.values()), 0
    for dataset in sides.values():
        start = done
        dataset.prepare(None if progress is None else lambda n, _, start=start: progress(start + n, total))  # type: ignore[misc]
        done += len(dataset.cases)
    return sides


def _loss(recipe: Recipe, style: str, dataset: TissueDataset) -> TissueLoss:
    from medcolor.training.losses import rarity_weights, tissue_loss

    wanted = dict(recipe.get("loss", {}))
    power = float(wanted.pop("rarity", 0.0))
    if power and wanted.get("class_weights") is None:
        pixels = np.sum([facts["class_pixels"] for _, facts in dataset.facts()], axis=0)
        wanted["class_weights"] = rarity_weights(pixels, power=power).tolist()
    try:
        return tissue_loss(recipe.family, style=style, **wanted)
    except (TypeError, ValueError) as error:
        raise TrainingError(f"loss: {error}") from error


def _fewest_slices(cases: Sequence[Case], limit: int | None) -> set[str]:
    """Return the patients, or so many of them, those with the fewest slices: what a quick look should cost least."""
    slices: dict[str, int] = {}
    for case in cases:
        slices[case.patient] = slices.get(case.patient, 0) + case.slices
    ordered = sorted(slices, key=lambda patient: (slices[patient], patient))
    return set(ordered if limit is None else ordered[: int(limit)])


def _transform(recipe: Recipe, normalization: Normalization) -> Callable[[Sample], Sample]:
    from monai.transforms import Compose

    from medcolor.training.conditions import training_degradations
    from medcolor.training.views import CropOrPad

    wanted = dict(recipe.get("augmentation", {}))
    height, width = wanted.pop("crop", (160, 160))
    try:
        degrade = training_degradations(recipe.family, **wanted)
    except (TypeError, ValueError) as error:
        raise TrainingError(f"augmentation: {error}") from error
    wide = (int(height) * 3 // 2, int(width) * 3 // 2)  # degrading what is then cut away costs more than training
    composed: Callable[[Sample], Sample] = Compose(
        [
            CropOrPad(wide, pad=False),
            *degrade.transforms,
            Prepare(normalization),
            CropOrPad((int(height), int(width))),
        ]
    )
    return composed


def _measure(
    recipe: Recipe, dataset: TissueDataset, output: Path, device: str, progress: Progress | None
) -> Evaluation:
    """Measure the bundle in ``output``, loaded and run as somebody would, against physics."""
    from medcolor.bundles import load_bundle
    from medcolor.colorizers.network import NetworkColorizer
    from medcolor.training.arms import physics, shipped
    from medcolor.training.conditions import evaluation_table
    from medcolor.training.evaluate import evaluate, labeled_scans

    wanted = dict(recipe.get("evaluation"))
    severities = wanted.get("severities", ["low", "middle", "high"])
    style = str(recipe.get("style", "contrast"))
    colorizer = NetworkColorizer(load_bundle(output, trust=True), palette=style, device=device)
    return evaluate(
        labeled_scans(dataset, limit=wanted.get("scans")),
        {"learned": shipped(colorizer), "physics": physics},
        family=recipe.family,
        conditions=[c for c in evaluation_table(recipe.family) if c.severity in severities or c.name == "lost_units"],
        style=style,
        progress=progress,
    )
