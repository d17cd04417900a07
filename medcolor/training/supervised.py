"""Supervised training: a config, data, the loop, and the measurement of what came out.

The way every network here is trained: degraded input against clean targets, stopped by validation patients, measured
on test patients against physics. What tissue networks and systems that learn colours do differently is in
:mod:`medcolor.training.systems`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from medcolor.bundle_files import FILES, TISSUE
from medcolor.errors import OutputExistsError
from medcolor.training.checkpoints import LAST
from medcolor.training.devices import place
from medcolor.training.export import CARD, check_exportable, export_bundle, identity
from medcolor.training.fitting import fit_once
from medcolor.training.loop import FitResult, fit
from medcolor.training.preparing import samples_of
from medcolor.training.recipe import TRAIN, Recipe, fit_options, read_recipe
from medcolor.training.sides import datasets
from medcolor.training.systems import System, system_of
from medcolor.training.tone import fit_tone, tone_options
from medcolor.training.tracking import observers

if TYPE_CHECKING:
    from medcolor.networks.normalization import Normalization
    from medcolor.training.datasets import TissueDataset
    from medcolor.training.devices import Placement
    from medcolor.training.evaluate import LabeledScan
    from medcolor.training.evaluation import Evaluation
    from medcolor.training.log import Observer
    from medcolor.training.options import FitOptions

Progress = Callable[[int, int], None]


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
    from medcolor.training.evaluate import also_degraded, labeled_scans

    recipe = read_recipe(configs)
    _refuse_output(output, resume=resume)
    say, stage = say or (lambda _: None), progress or (lambda _: None)
    options = fit_options(recipe.get("fit", {}))
    placement = place(device, options.precision)
    say(f"Training on {placement.reason}")
    told = observers(recipe.get("track", ()), output, title=f"{recipe.get('method') or TISSUE} {recipe.family}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network, normalization, system = recipe.get("network"), recipe.get("normalization"), system_of(recipe)
    sides = datasets(recipe, data, output, neighbors=system.neighbors(), progress=stage("targets"))
    say(", ".join(f"{side}: {len(d.patients)} patients, {len(d)} slices" for side, d in sides.items()))
    check_exportable(recipe, network, sides["train"].classes)
    clean = list(labeled_scans(sides["val"], limit=dict(recipe.get("validation", {})).get("scans")))
    # Clean scans alone would not say whether a network corrects anything.
    judged = clean + (also_degraded(clean, recipe.family) if getattr(network, "corrects", False) else [])
    training = _Training(recipe, system, normalization, sides, output, placement, options, stage, resume, cancel)
    estimated = training.of_tone(network)
    if estimated is not None and estimated.weights is None:
        return estimated, None
    network, result = training.of_network(network, judged, told)
    if result.weights is None:
        return result, None
    return result, training.measured(network, result, clean)


@dataclass(frozen=True, eq=False)
class _Training:
    """What the stages of one training share; a method is a stage."""

    recipe: Recipe
    system: System
    normalization: Normalization
    sides: Mapping[str, TissueDataset]
    output: Path
    placement: Placement
    options: FitOptions
    stage: Callable[[str], Progress | None]
    resume: bool
    cancel: Callable[[], bool] | None

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint was made with: another training does not go on from it."""
        return {
            "family": self.recipe.family,
            "classes": list(self.sides["train"].classes),
            "config": self.recipe.digest,
            "data": identity({side: self.sides[side] for side in ("train", "val")}),
        }

    def of_tone(self, network: Any) -> FitResult | None:
        """Train the part that estimates gamma; None of a network without."""
        if getattr(network, "tone", None) is None:
            return None
        facts = self.facts()
        return fit_tone(
            network.tone,
            self.sides,
            self.normalization,
            options=tone_options(self.recipe.get("tone", {})),
            seed=self.options.seed,
            output=self.output,
            facts={key: facts[key] for key in ("family", "data")} | {"normalization": str(self.normalization)},
            placement=self.placement,
            resume=self.resume,
            progress=self.stage,
            cancel=self.cancel,
        )

    def of_network(
        self, network: Any, judged: Sequence[LabeledScan], told: Sequence[Observer]
    ) -> tuple[torch.nn.Module, FitResult]:
        """Train the network, or fit it where its method has no steps."""
        train, device = self.sides["train"], self.placement.device
        objective = self.system.objective(train)

        def validate(candidate: torch.nn.Module) -> Mapping[str, float]:
            return self.system.validate(candidate, self.normalization, judged, device)

        if objective is None:
            taught = {side: self.sides[side] for side in ("train", "val")}
            return fit_once(
                self.recipe, taught, validate=validate, output=self.output, facts=self.facts(), device=device,
                progress=self.stage("training"),
            )  # fmt: skip
        samples, transform = samples_of(
            self.recipe, network, self.normalization, train, progress=self.stage("degraded scans")
        )
        objective.prepare(network, train, palette_ab=_palette_ab(self.recipe), seed=self.options.seed)
        return network, fit(
            network,
            samples,
            objective=objective,
            validate=validate,
            output=self.output,
            options=self.options,
            transform=transform,
            placement=self.placement,
            resume=self.resume,
            facts=self.facts(),
            observers=told,
            progress=self.stage("training"),
            cancel=self.cancel,
        )

    def measured(self, network: torch.nn.Module, result: FitResult, clean: Sequence[LabeledScan]) -> Evaluation | None:
        """Make the folder a bundle, and measure it on test patients where the recipe asks for it."""
        from medcolor.training.temperature import temperature_of

        device = str(self.placement.device)
        made: dict[str, Any] = {"network": network, "normalization": self.normalization, "result": result}
        export_bundle(self.output, self.recipe, self.sides, **made)
        arm = self.system.shipped(self.output, device)
        made["temperature"] = temperature_of(arm, clean, progress=self.stage("temperature"))
        export_bundle(self.output, self.recipe, self.sides, **made)
        if self.recipe.get("evaluation") is None:
            return None
        found = _measure(self.recipe, self.system, self.sides["test"], self.output, device, self.stage("evaluation"))
        found.write(self.output)
        export_bundle(self.output, self.recipe, self.sides, **made, found=found)
        return found


def _palette_ab(recipe: Recipe) -> torch.Tensor:
    from medcolor.palettes import load_palette

    return torch.from_numpy(load_palette(recipe.family, str(recipe.get("style", "contrast"))).ab.copy())


def _refuse_output(output: Path, *, resume: bool) -> None:
    """Refuse, before any work, a folder with a training, or with a README.md and the like that are no training's."""
    if not (output / LAST).is_file():
        if there := [name for name in (*FILES, CARD, TRAIN) if (output / name).exists()]:
            raise OutputExistsError(
                f"{output} holds {', '.join(there)} of something else, which a training would write over. Choose "
                "another folder. Nothing was written."
            )
    elif not resume:
        raise OutputExistsError(
            f"{output} holds a training already. Go on with it (resume=True, --resume), or choose another folder. "
            "Nothing was written."
        )


def _measure(
    recipe: Recipe,
    system: System,
    dataset: TissueDataset,
    output: Path,
    device: str,
    progress: Progress | None,
) -> Evaluation:
    """Measure the bundle in ``output``, loaded and run as somebody would, against physics."""
    from medcolor.training.arms import physics
    from medcolor.training.conditions import evaluation_table
    from medcolor.training.evaluate import evaluate, labeled_scans

    wanted = dict(recipe.get("evaluation"))
    severities = wanted.get("severities", ["low", "middle", "high"])
    return evaluate(
        labeled_scans(dataset, limit=wanted.get("scans")),
        {"learned": system.shipped(output, device), "physics": physics},
        family=recipe.family,
        conditions=[c for c in evaluation_table(recipe.family) if c.severity in severities or c.name == "lost_units"],
        style=str(recipe.get("style", "contrast")),
        progress=progress,
    )
