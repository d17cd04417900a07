"""Supervised training: a config, data, the loop, and the measurement of what came out.

The way every network here is trained: degraded input against clean targets, stopped by validation patients, measured
on test patients against physics. What tissue networks and systems that learn colours do differently is in
:mod:`medcolor.training.systems`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    from medcolor.training.datasets import TissueDataset
    from medcolor.training.evaluation import Evaluation

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
    judged = list(labeled_scans(sides["val"], limit=dict(recipe.get("validation", {})).get("scans")))
    if getattr(network, "corrects", False):  # clean scans alone would not say whether it corrects anything
        judged += also_degraded(judged, recipe.family)
    facts = {
        "family": recipe.family,
        "classes": list(sides["train"].classes),
        "config": recipe.digest,
        "data": identity({side: sides[side] for side in ("train", "val")}),
    }

    def validate(candidate: torch.nn.Module) -> Mapping[str, float]:
        return system.validate(candidate, normalization, judged, placement.device)

    if getattr(network, "tone", None) is not None:
        result = fit_tone(
            network.tone,
            sides,
            normalization,
            options=tone_options(recipe.get("tone", {})),
            seed=options.seed,
            output=output,
            facts={key: facts[key] for key in ("family", "data")} | {"normalization": str(normalization)},
            placement=placement,
            resume=resume,
            progress=stage,
            cancel=cancel,
        )
        if result.weights is None:
            return result, None
    objective = system.objective(sides["train"])
    if objective is None:
        taught = {side: sides[side] for side in ("train", "val")}
        steps = stage("training")
        network, result = fit_once(
            recipe, taught, validate=validate, output=output, facts=facts, device=placement.device, progress=steps
        )
    else:
        samples, transform = samples_of(
            recipe, network, normalization, sides["train"], progress=stage("degraded scans")
        )
        objective.prepare(network, sides["train"], palette_ab=_palette_ab(recipe), seed=options.seed)
        result = fit(
            network,
            samples,
            objective=objective,
            validate=validate,
            output=output,
            options=options,
            transform=transform,
            placement=placement,
            resume=resume,
            facts=facts,
            observers=told,
            progress=stage("training"),
            cancel=cancel,
        )
    if result.weights is None:
        return result, None
    made: dict[str, Any] = {"network": network, "normalization": normalization, "result": result}
    export_bundle(output, recipe, sides, **made)
    if recipe.get("evaluation") is None:
        return result, None
    found = _measure(recipe, system, sides["test"], output, str(placement.device), stage("evaluation"))
    found.write(output)
    export_bundle(output, recipe, sides, **made, found=found)
    return result, found


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
