"""A training as a file: YAML read by MONAI's ConfigParser, with overlays of which the later wins.

A config names classes and may hold ``$`` expressions, so **a config is code**: run none that you would not run as a
program. What it may say is checked by name, so that a misspelt setting is an error and not a default.
"""

from __future__ import annotations

import copy
import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medcolor.errors import MedcolorError, TrainingError
from medcolor.resources import config_dir
from medcolor.training.options import FitOptions

KEYS = (
    "family", "style", "method", "network", "normalization", "data", "augmentation", "tone", "loss", "objective",
    "fitting", "fit", "validation", "evaluation", "card", "track",
)  # fmt: skip
"""What a config may hold beside ``define``, where it keeps what it refers to."""
PARTS = ("methods", "families", "overlays")
"""Folders of configs/ whose files are parts of a training: a method, then a family, then what changes them."""
TRAIN = "train.yaml"
"""What a bundle of ours was trained by, in its folder."""
_NEEDED = ("family", "network", "normalization", "fit")


@dataclass(frozen=True)
class Recipe:
    """What a config says, before anything is built.

    Parameters
    ----------
    settings : dict
        The merged files, as plain values.
    parser : ConfigParser
    """

    settings: dict[str, Any]
    parser: Any

    @property
    def family(self) -> str:
        """Modality family."""
        return str(self.get("family"))

    @property
    def digest(self) -> str:
        """SHA-256 of what the config says of the training: not what is measured afterwards, nor what the card says."""
        told = {key: value for key, value in self.settings.items() if key not in {"card", "evaluation", "track"}}
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()

    def to_yaml(self) -> str:
        """Return all settings as one file, but for what is of one place and its people: cache and names of patients."""
        import yaml

        told = copy.deepcopy(self.settings)
        data = told.get("data") or {}
        gone = [name for name in ("cache", "splits") if data.pop(name, None) is not None]
        note = "".join(f"# data::{name} is left out: it is of the place where this was trained.\n" for name in gone)
        return note + yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=120)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a section, built (``_target_``, ``@``, ``$``).

        Raises
        ------
        TrainingError
            What the section names cannot be built; the reason is quoted.
        """
        if self.settings.get(key) is None:
            return default
        try:
            return self.parser.get_parsed_content(key)
        except MedcolorError:
            raise
        except Exception as error:
            reason = error.__cause__ or error
            raise TrainingError(f"{key}: cannot be built from the config: {reason}") from error

    def plain(self, key: str) -> Any:
        """Return a section as it would be built, references and expressions resolved, but not built."""
        from monai.bundle import ConfigParser
        from monai.bundle.config_item import ConfigItem

        found = ConfigParser(copy.deepcopy(self.settings)).get_parsed_content(key, instantiate=False)
        return found.get_config() if isinstance(found, ConfigItem) else found


def config_path(name: Path | str) -> Path:
    """Return the file a name stands for: itself, a bundle's train.yaml, or one of methods, families and overlays.

    Raises
    ------
    TrainingError
        No such file or name; the message lists the names.
    """
    path = Path(name)
    if path.is_file():
        return path
    if (path / TRAIN).is_file():
        return path / TRAIN
    known = {path.parent.name: path for path in sorted(config_dir().glob(f"*/{TRAIN}"))}
    for folder in PARTS:
        known |= {path.stem: path for path in sorted((config_dir() / folder).glob("*.yaml"))}
    if str(name) in known:
        return known[str(name)]
    raise TrainingError(f"{name}: no such config file. Known by name: {', '.join(known)}.{_nearest(str(name), known)}")


def read_recipe(configs: Sequence[Path | str]) -> Recipe:
    """Read a config and its overlays.

    An overlay replaces sections (``fit: {...}``) or single settings (``fit::steps: 4``).

    Raises
    ------
    TrainingError
        No such file, no YAML mapping, an unknown setting, or one that is missing.
    """
    from monai.bundle import ConfigParser

    if not configs:
        raise TrainingError("No config given. Name one, such as ct_tissue, or a YAML file.")
    paths = [config_path(name) for name in configs]
    for path in paths:
        _require_mapping(path)
    try:
        settings = ConfigParser.load_config_files([str(path) for path in paths])
    except (KeyError, ValueError, TypeError) as error:
        raise TrainingError(
            f"{paths[-1]}: an overlay names a setting that the config before does not have: {error}"
        ) from error
    for key in settings:
        if key not in (*KEYS, "define"):
            raise TrainingError(
                f'"{key}" is no setting of a training. Accepted: {", ".join(KEYS)}.{_nearest(key, KEYS)}'
            )
    if missing := [key for key in _NEEDED if settings.get(key) is None]:
        raise TrainingError(
            f"{', '.join(str(path) for path in paths)}: missing settings: {', '.join(missing)}.{_missing(missing)}"
        )
    plain = json.loads(json.dumps(settings, default=str))
    return Recipe(plain, ConfigParser(settings))


def _missing(keys: Sequence[str]) -> str:
    """Say which half of a method's training was not named."""
    for key, part, order in (("family", "families", "after the method"), ("network", "methods", "before the family")):
        if key in keys and sorted((config_dir() / part).glob("*.yaml")):
            names = ", ".join(path.stem for path in sorted((config_dir() / part).glob("*.yaml")))
            return f" To train a method, name one of the {part} {order}: {names}."
    return ""


def _require_mapping(path: Path) -> None:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: no readable YAML: {str(error).splitlines()[0]}.") from error
    if not isinstance(content, dict):
        raise TrainingError(f"{path}: a config is a mapping of settings, this file holds {type(content).__name__}.")


def _nearest(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f' Did you mean "{near[0]}"?' if near else ""


def fit_options(settings: Mapping[str, Any]) -> FitOptions:
    """Return the ``fit`` section as options, unknown names refused."""
    known = FitOptions.__dataclass_fields__
    for key in settings:
        if key not in known:
            raise TrainingError(f'fit: "{key}" is no setting. Accepted: {", ".join(known)}.{_nearest(key, known)}')
    try:
        return FitOptions(**settings)
    except TypeError as error:
        raise TrainingError(f"fit: {error}") from error
