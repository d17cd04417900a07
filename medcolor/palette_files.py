"""Palette files: YAML to checked rows. Every refusal names the file, the key, and what is accepted."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medcolor.errors import PaletteError

LARGEST = 128.0  # |a*|, |b*|; no sRGB colour goes beyond 108
MOST_BYTES = 256 * 1024  # ours have 12 kB
_CLASS_KEYS = ("name", "label", "meaning", "colors")


def read_styles(path: Path, modality: str) -> dict[str, list[dict[str, Any]]]:
    """Read a file of the ``configs/palettes`` layout.

    Returns
    -------
    dict
        For each style a list of rows with the fields of a tissue class: name, ab, meaning, source, label.

    Raises
    ------
    PaletteError
        Anything missing, unknown, doubled or of the wrong type.
    """
    top = _mapping(path, "the file", _load(path), ("modality", "title", "styles", "classes"))
    _same_modality(path, top, modality)
    styles = _mapping(path, "styles", top.get("styles"))
    entries = top.get("classes")
    if not isinstance(entries, list) or not entries:
        raise _error(path, "classes", entries, "a list with one entry for each tissue class")
    rows: dict[str, list[dict[str, Any]]] = {_text(path, "styles", style): [] for style in styles}
    seen: set[str] = set()
    for number, raw in enumerate(entries):
        where = f"classes[{number}]"
        entry = _mapping(path, where, raw, _CLASS_KEYS)
        name, label, meaning = (_text(path, f"{where}.{key}", entry.get(key)) for key in _CLASS_KEYS[:3])
        if name in seen:
            raise PaletteError(f"{path}: {where}.name: class {name} is there twice; each class has one entry.")
        seen.add(name)
        colors = _mapping(path, f"{where}.colors", entry.get("colors"), tuple(rows))
        _complete(path, f"{where}.colors", colors, tuple(rows), "style")
        for style, value in colors.items():
            spot = f"{where}.colors.{style}"
            color = _mapping(path, spot, value, ("ab", "source"))
            ab, source = _ab(path, f"{spot}.ab", color.get("ab")), _text(path, f"{spot}.source", color.get("source"))
            rows[style].append({"name": name, "ab": ab, "meaning": meaning, "source": source, "label": label})
    return rows


def read_personal(path: Path, modality: str, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Read a user's own file: ``classes:`` with an [a, b] for each name; ``modality:`` is optional.

    Raises
    ------
    PaletteError
        The file cannot be read, is not YAML, or does not hold exactly the classes of the family.
    """
    top = _mapping(path, "the file", _load(path), ("modality", "classes"))
    if "modality" in top:
        _same_modality(path, top, modality)
    classes = _mapping(path, "classes", top.get("classes"), tuple(names))
    _complete(path, "classes", classes, names, f"{modality} class")
    return {name: _ab(path, f"classes.{name}", classes[name]) for name in names}


def _load(path: Path) -> Any:
    import yaml

    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or "cannot be read")
        raise PaletteError(f"{path}: {reason}; a palette is a YAML file with an [a, b] for each class.") from error
    if len(content) > MOST_BYTES:
        raise PaletteError(f"{path}: larger than {MOST_BYTES // 1024} kB, which no palette is.")
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):
        """Safe YAML in which a key given twice is an error and not the last one."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            twice = [key for n, key in enumerate(keys) if key in keys[:n]]
            if twice:
                raise yaml.constructor.ConstructorError(None, None, f"key {twice[0]!r} is there twice", node.start_mark)
            return super().construct_mapping(node, deep=deep)

    try:
        # The base is yaml's safe loader: it builds nothing but plain values.
        return yaml.load(content, Loader=Loader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())[:200]
        raise PaletteError(f"{path}: is not valid YAML ({problem}).") from error


def _same_modality(path: Path, top: Mapping[str, Any], modality: str) -> None:
    if top.get("modality") != modality:
        raise _error(path, "modality", top.get("modality"), f"{modality}, as asked for")


def _mapping(path: Path, key: str, value: Any, accepted: Sequence[str] | None = None) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not value:
        wanted = f"a mapping with the keys {', '.join(accepted)}" if accepted else "a mapping"
        raise _error(path, key, value, wanted)
    if accepted is not None and (unknown := [k for k in value if k not in accepted]):
        raise PaletteError(f"{path}: {key}: unknown key {_short(unknown[0])}. Accepted: {', '.join(accepted)}.")
    return value


def _complete(path: Path, key: str, found: Mapping[str, Any], wanted: Sequence[str], what: str) -> None:
    if missing := [name for name in wanted if name not in found]:
        raise PaletteError(f"{path}: {key}: {', '.join(missing)} missing. Every {what} needs one: {', '.join(wanted)}.")


def _text(path: Path, key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _error(path, key, value, "a text")
    return value


def _ab(path: Path, key: str, value: Any) -> tuple[float, float]:
    numbers = [v for v in value if isinstance(v, int | float) and not isinstance(v, bool)] if _is_pair(value) else []
    if len(numbers) != 2 or not all(abs(v) <= LARGEST for v in numbers):  # NaN fails too
        raise _error(path, key, value, f"[a, b], two finite numbers within ±{LARGEST:g}")
    return float(numbers[0]), float(numbers[1])


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def _short(value: Any) -> str:
    return reprlib.repr(value)


def _error(path: Path, key: str, got: Any, accepted: str) -> PaletteError:
    return PaletteError(f"{path}: {key}: got {'nothing' if got is None else _short(got)}, accepted is {accepted}.")
