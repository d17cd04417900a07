"""From a training to a colorizer: the bundle in its output folder, with a card that says what it is and is not."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medcolor.bundle_files import TISSUE
from medcolor.bundles import BundleCard, describe_bundle
from medcolor.errors import TrainingError
from medcolor.io.atomic import atomic_files
from medcolor.training.model_card import model_card
from medcolor.training.recipe import TRAIN

if TYPE_CHECKING:
    from torch import nn

    from medcolor.networks.normalization import Normalization
    from medcolor.training.datasets import TissueDataset
    from medcolor.training.evaluation import Evaluation
    from medcolor.training.loop import FitResult
    from medcolor.training.recipe import Recipe

CARD = "README.md"


def check_exportable(recipe: Recipe, network: nn.Module, classes: tuple[str, ...]) -> None:
    """Say before a training, and not after it, that its network could not become a bundle.

    Raises
    ------
    TrainingError
        The network does not say its number of classes, or not the family's; or it is of another method than the
        recipe; or its section holds values that a YAML file cannot.
    """
    if (method := getattr(network, "method", None)) != recipe.get("method"):
        raise TrainingError(f"network: is of method {method}, and the recipe trains {recipe.get('method')}.")
    if method is None and (count := getattr(network, "classes", None)) != len(classes):
        raise TrainingError(
            f"network: .classes is {count}, and {recipe.family} has {len(classes)}: {', '.join(classes)}."
        )
    if getattr(network, "corrects", False) and recipe.family == "CT":
        raise TrainingError(
            "network: a network of CT cannot correct physics, which refuses scans whose Hounsfield units are lost, and "
            "training loses them on purpose. Leave out corrects."
        )
    try:
        json.dumps(recipe.plain("network"))
    except TypeError as error:
        raise TrainingError(f"network: only plain values can be written into a bundle: {error}.") from error


def identity(sides: Mapping[str, TissueDataset]) -> str:
    """Return a SHA-256 of which scans are on which side."""
    told = {side: [(case.key, case.slices) for case in dataset.cases] for side, dataset in sides.items()}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def export_bundle(
    output: Path,
    recipe: Recipe,
    sides: Mapping[str, TissueDataset],
    *,
    network: nn.Module,
    normalization: Normalization,
    result: FitResult,
    found: Evaluation | None = None,
    temperature: float = 1.0,
) -> BundleCard:
    """Make the output folder of a training a bundle: metadata, configs and model card beside the weights.

    Patients are counted, never named.

    Parameters
    ----------
    output : Path
        Holds ``model.safetensors``.
    recipe : Recipe
        Its section ``card`` may say ``description``, ``version``, ``authors``, ``copyright`` and ``data``.
    sides : mapping of str to TissueDataset
        "train", "val", and "test" where there was one.
    network, normalization, result
        What was trained, with what input, and how it ended.
    found : Evaluation, optional
        Measured on test patients; left out, the card says that nothing was measured.
    temperature : float
        Of its posteriors, found on validation patients (:mod:`medcolor.training.temperature`).

    Returns
    -------
    BundleCard
    """
    wanted, family, method = dict(recipe.get("card", {})), recipe.family, recipe.get("method")
    figures = {"measured": False} if found is None else {"measured": True, **found.to_json()}
    sources = _sources(sides)
    facts = {
        "data_source": wanted.get("data") or "; ".join(f"{s['name']} ({s['licence']})" for s in sources),
        "data_type": "simulated" if all(s["name"].startswith("simulated") for s in sources) else "images",
        "eval_metrics": figures,
        **{key: str(wanted[key]) for key in ("authors", "copyright") if wanted.get(key)},
    }
    facts.setdefault("authors", "whoever trained it")
    facts.setdefault("copyright", "of whoever trained it; the terms of the data apply")
    training = {
        "data": sources,
        "patients": {side: len(dataset.patients) for side, dataset in sides.items()},
        "slices": {side: len(dataset) for side, dataset in sides.items()},
        "labels": _labels(sides["train"]),
        "corrects_physics": bool(getattr(network, "corrects", False)),
        "undoes_gamma": getattr(network, "tone", None) is not None,
        "smooths_noise": bool(getattr(network, "smooths", False)),
        "split_sha256": identity(sides),
        "config_sha256": recipe.digest,
        "palette": str(recipe.get("style", "contrast")),
        "best_step": result.best_step,
        "validation": result.best,
    }
    card = describe_bundle(
        output,
        family=family,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        network_config=recipe.plain("network"),
        normalization=normalization,
        description=_description(wanted.get("description"), family, method),
        version=str(wanted.get("version") or "0.1.0"),
        facts=facts,
        training=training,
        method=method or TISSUE,
        temperature=temperature,
    )
    texts = {output / CARD: model_card(card, found), output / TRAIN: recipe.to_yaml()}
    with atomic_files(texts, force=True) as files:
        for path, text in texts.items():
            with files.open(path) as stream:
                stream.write(text.encode())
    return card


def _description(wanted: str | None, family: str, method: str | None) -> str:
    if method is None:
        return str(wanted or f"tissue colour of {family}, trained with medcolor train")
    return f"{wanted or method}; for {family}"


def _sources(sides: Mapping[str, TissueDataset]) -> list[dict[str, Any]]:
    terms: dict[str, str] = {}
    patients: dict[str, dict[str, set[str]]] = {}
    for side, dataset in sides.items():
        for case in dataset.cases:
            terms[case.source] = case.licence
            patients.setdefault(case.source, {}).setdefault(side, set()).add(case.patient)
    return [
        {"name": name, "licence": terms[name], "patients": {side: len(who) for side, who in patients[name].items()}}
        for name in sorted(terms)
    ]


def _labels(dataset: TissueDataset) -> dict[str, Any]:
    """Return which classes the training targets hold, and where they come from."""
    pixels: Counter[str] = Counter()
    who: dict[str, set[str]] = {name: set() for name in dataset.classes}
    masks: set[str] = set()
    simulated = []
    for case, facts in dataset.facts():
        simulated.append(bool(facts["simulated"]))
        masks.update(facts["masks"])
        for name, count in zip(dataset.classes, facts["class_pixels"], strict=True):
            pixels[name] += count
            if count >= 1:
                who[name].add(case.patient)
    total = sum(pixels.values()) or 1.0
    return {
        "targets": "true answer of a simulation" if all(simulated) else "physics, cleaned by context",
        "expert_masks": sorted(masks),
        "classes": {
            name: {"share": round(pixels[name] / total, 6), "patients": len(who[name])} for name in dataset.classes
        },
    }
