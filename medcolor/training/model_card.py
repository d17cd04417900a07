"""The card of a trained colorizer: for people, from what its metadata says, with nothing left out that counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from medcolor.bundle_files import TISSUE
from medcolor.training.packs import may_ship

if TYPE_CHECKING:
    from medcolor.bundle_files import BundleCard
    from medcolor.training.evaluation import Evaluation

_RARE = 3  # patients: a class seen in fewer was hardly learned


def model_card(card: BundleCard, found: Evaluation | None) -> str:
    """Return the card of a bundle as Markdown.

    Parameters
    ----------
    card : BundleCard
        Written by :func:`medcolor.training.export.export_bundle`.
    found : Evaluation, optional
        What was measured on test patients.
    """
    training = card.metadata["medcolor"]["training"]
    return "\n".join(
        [
            f"# {card.name}: {card.description}",
            "",
            *_what(card, training),
            "",
            "```",
            "medcolor colorize SCAN --colorizer PATH_OF_THIS_FOLDER --trust -o OUT",
            "```",
            "",
            "A bundle is code: use one only if you know where it comes from. To hand it on, give `metadata.json`,",
            "`inference.yaml`, `model.safetensors`, `train.yaml` and this file, and nothing else of the folder:",
            "`targets/` holds images of patients.",
            "",
            *_data(card, training),
            *_labels(card, training["labels"]),
            *_limits(card, training, found),
            *_figures(found, training["validation"]),
        ]
    )


_CORRECTS = (
    "",
    "It corrects physics: the network is shown what the tissue models say of each pixel beside the gray, and changes",
    "it where it learned that noise, blur, shading or a bent gray mislead them. On a clean scan it is near physics",
    "because it may repeat it, not because it found the same by itself.",
)


_UNDOES = (
    "",
    "It undoes gamma first: a small network looks at the whole scan and says how its gray is bent; physics and the",
    "network then see the gray unbent, and what was undone is said in the audit. The displayed gray is not touched. It",
    "learned what such scans look like on those below; of others it may find a gamma that nobody gave them.",
)


_SMOOTHS = (
    "",
    "Where a scan is noisy, physics is told of it smoothed; the network sees the gray as it is. The audit says so.",
)


def _calibrated(temperature: float) -> tuple[str, ...]:
    return (
        "",
        f"Probabilities of classes are at a temperature of {temperature:g}, found on validation patients, as they mix",
        "colours and as they are told.",
    )


def _what(card: BundleCard, training: dict[str, Any]) -> list[str]:
    """Say what the colours are: of tissues a network recognized, or learned at once, by copying such colours."""
    if card.method == TISSUE:
        return [
            "**Designed colours, not measured ones.** There is no true colour for these images: each tissue class has",
            "a colour that people chose, and the network says which class a pixel is likely to be. Not a medical",
            "device, not for diagnosis. The displayed gray is kept exactly; only colour is invented.",
            *(_CORRECTS if training.get("corrects_physics") else ()),
            *(_UNDOES if training.get("undoes_gamma") else ()),
            *(_SMOOTHS if training.get("smooths_noise") else ()),
            *(_calibrated(card.temperature) if card.temperature != 1 else ()),
        ]
    return [
        "**Designed colours, copied.** There is no true colour for these images. People chose a colour for each tissue",
        f"class (palette `{training['palette']}`), physics and context said which class each training pixel is, and",
        f"this system ({card.method}) learned to copy the colours that came of it. It knows no tissues, its palette",
        "cannot be exchanged, and a colour of it is evidence of nothing. Not a medical device, not for diagnosis. The",
        "displayed gray is kept exactly; only colour is invented.",
        "",
        "It is the published idea at a size that trains and runs on a CPU: "
        f"{card.metadata['medcolor']['parameters']} parameters,",
        "no weights of its authors and none of their data; `train.yaml` is what it was trained by. It is there to be",
        "compared: `docs/review/colorizers.csv` of medcolor has the table.",
    ]


def _data(card: BundleCard, training: dict[str, Any]) -> list[str]:
    sides = list(training["patients"])
    counts = ", ".join(f"{side} {training['patients'][side]} ({training['slices'][side]} slices)" for side in sides)
    rows = [
        "| " + " | ".join([s["name"], s["licence"], *(str(s["patients"].get(side, 0)) for side in sides)]) + " |"
        for s in training["data"]
    ]
    norm = card.metadata["medcolor"]["normalization"]
    return [
        "## Data",
        "",
        f"{card.metadata['data_source']}. Patients: {counts}; nobody is on two sides.",
        "",
        "| source | licence | " + " | ".join(f"patients, {side}" for side in sides) + " |",
        "|" + "---|" * (2 + len(sides)),
        *rows,
        "",
        f'Copyright: {card.metadata["copyright"]}. Input: normalization "{norm["kind"]}", '
        f"{norm['low']:g} to {norm['high']:g} % where there is no unit, over the whole volume.",
        "",
    ]


def _labels(card: BundleCard, labels: dict[str, Any]) -> list[str]:
    rows = [
        f"| {name} | {100 * labels['classes'][name]['share']:.2f} % | {labels['classes'][name]['patients']} |"
        for name in card.classes
    ]
    masks = ", ".join(labels["expert_masks"]) or "none"
    return [
        "## Labels seen",
        "",
        f"Targets: {labels['targets']}. Expert masks joined to them: {masks}.",
        "",
        "| class | share of training pixels | training patients |",
        "|---|---|---|",
        *rows,
        "",
    ]


def _limits(card: BundleCard, training: dict[str, Any], found: Evaluation | None) -> list[str]:
    classes = training["labels"]["classes"]
    never = [name for name in card.classes if classes[name]["patients"] == 0]
    rare = [name for name in card.classes if 0 < classes[name]["patients"] < _RARE]
    lines = [
        "## Limits",
        "",
        "- Errors below are distances to the target, which is itself a designed prior, not to truth.",
        f"- Only for {card.family}; other modalities are refused. A picture that only claims to be one raises a",
        "  warning in most cases, not in all: `configs/recognizer` says how often.",
        "- Anatomy, scanners, protocols and disease unlike the training data may be coloured wrongly and surely.",
    ]
    if training["labels"]["targets"].startswith("true answer"):
        lines.append("- Trained on simulated scans: no picture of a person went in, and real ones look different.")
    if closed := [s["name"] for s in training["data"] if not may_ship(s["licence"])]:
        lines.append(f"- **Not to be handed on as one's own**: the licence of {', '.join(closed)} binds these weights.")
    if never:
        lines.append(f"- Never seen in training: {', '.join(never)}.")
    if rare:
        lines.append(f"- Seen in fewer than {_RARE} training patients: {', '.join(rare)}.")
    if found is None:
        lines.append("- **Nothing was measured** on test patients: how good it is on others than below, is not known.")
    else:
        missed = [bar.name for bar in found.bars() if bar.met is False]
        lines.append(f"- Bars not reached: {'; '.join(missed) or 'none of those measured'}.")
    return [*lines, ""]


def _figures(found: Evaluation | None, validation: Mapping[str, float]) -> list[str]:
    if found is None:
        told = ", ".join(f"{name} {value:.2f}" for name, value in validation.items())
        return [
            "## On validation patients",
            "",
            f"{told}.",
            "They chose when to stop and which weights to keep, so it does somewhat worse on others. Errors are mean",
            "CIEDE2000 inside the body; `docs/training.md` of medcolor says what each figure is.",
            "",
        ]
    count = len(found.figures(found.arms[0]))
    body = found.to_markdown().splitlines()[1:]  # its title is this section's
    return [
        "## Measured",
        "",
        f"On {count} test patients who were neither trained on nor stopped by, in the {found.style} palette; 95 % "
        "intervals by patient. From fewer than about ten patients they come out too narrow, and the noise of training "
        "is not in them. Risk, flicker and edges: `docs/training.md` of medcolor says what each figure is.",
        *("#" + line if line.startswith("## ") else line for line in body),
        "",
    ]
