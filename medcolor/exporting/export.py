"""``medcolor export onnx``: the graph, 8 bits if asked for, its parity on test patients, the file and its record."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medcolor.bundle_files import TISSUE
from medcolor.bundles import Bundle, load_bundle
from medcolor.errors import SettingError, TrainingError, WriteError
from medcolor.exporting.graph import onnx_graph, with_record
from medcolor.exporting.parity import Parity, compare
from medcolor.io.atomic import atomic_files, refuse_existing
from medcolor.onnx_files import require

if TYPE_CHECKING:
    from medcolor.scan import Scan
    from medcolor.training.datasets import Case

STYLE = "contrast"
"""Palette that parity is measured in: the one whose classes are furthest apart."""
UNMEASURED = {"measured": False, "why": "exported without data"}
Stage = Callable[[str], Callable[[int, int], None] | None]


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """What was written.

    Attributes
    ----------
    path, sidecar : Path
    precision : str
        "float32" or "int8".
    parity : dict of str to Parity
        By precision, where it was measured: also of float32 where int8 was written.
    threads : int
        That the times were measured with.
    """

    path: Path
    sidecar: Path
    precision: str
    parity: dict[str, Parity]
    threads: int


def export_onnx(
    name_or_path: str | Path,
    output: Path | str,
    *,
    int8: bool = False,
    data: Path | str | None = None,
    modality: str | None = None,
    trust: bool = False,
    force: bool = False,
    stage: Stage | None = None,
) -> Exported:
    """Write a bundle's network as ONNX, with FILE.json beside it.

    Parameters
    ----------
    name_or_path : str or Path
        Of the bundle.
    output : Path
        FILE.onnx.
    int8 : bool
        Convolutions in 8 bits, with ranges from training patients of ``data``.
    data, modality
        As for :func:`~medcolor.training.sources.find_cases`; parity is measured on its test patients. Without it
        the file says that parity was not measured.
    trust, force : bool
        The bundle may run its code here; replace what is there.
    stage : callable, optional
        Called with the title of each long step; returns a progress callback.

    Raises
    ------
    SettingError
        A package of the extra is missing, or int8 without data.
    BundleError, TrainingError, WriteError
        The bundle cannot be loaded; the data hold no patient to measure or calibrate on; the file cannot be written.
    """
    require("onnx", "onnxscript", "onnxruntime")
    import torch

    path = Path(output)
    sidecar = path.with_name(f"{path.name}.json")
    if path.suffix.lower() != ".onnx":
        raise WriteError(f"{path}: the name of an ONNX file ends in .onnx.")
    if int8 and data is None:
        raise SettingError("int8 needs data: its ranges come from training patients, its cost from test patients.")
    if not force:
        refuse_existing([path, sidecar])
    begin: Stage = stage or (lambda _: None)
    bundle = load_bundle(name_or_path, trust=trust)
    if bundle.card.method != TISSUE:
        raise SettingError(
            f'{bundle.card.name} is of method {bundle.card.method}: only bundles of method "{TISSUE}" are exported.'
        )
    cases = _cases(data, bundle.card.family, modality, int8=int8) if data is not None else []
    begin("graph")
    models = {"float32": onnx_graph(bundle.network)}
    if int8:
        from medcolor.exporting.int8 import calibration_slices, quantized

        begin("8 bits")
        models["int8"] = quantized(models["float32"], calibration_slices(cases, bundle.normalization, bundle.network))
    parity = _measured(bundle, models, cases, begin("parity")) if cases else {}
    precision = list(models)[-1]
    record = _record(bundle, precision, parity[precision].to_json() if parity else UNMEASURED)
    content = with_record(models[precision], record)
    packages = ("torch", "onnx", "onnxscript", "onnxruntime")
    beside = record | {
        "sha256": hashlib.sha256(content).hexdigest(),
        "made_with": {name: installed_version(name).partition("+")[0] for name in packages},
    }
    with atomic_files([path, sidecar], force=force) as files:
        for target, text in (
            (path, content),
            (sidecar, (json.dumps(beside, indent=1, sort_keys=True) + "\n").encode()),
        ):
            with files.open(target) as stream:
                stream.write(text)
    return Exported(path, sidecar, precision, parity, torch.get_num_threads())


def _record(bundle: Bundle, precision: str, parity: dict[str, Any]) -> dict[str, Any]:
    card, network = bundle.card, bundle.network
    return {
        "name": card.name,
        "version": card.version,
        "family": card.family,
        "classes": list(card.classes),
        "normalization": {name: getattr(bundle.normalization, name) for name in ("kind", "low", "high")},
        "weights_sha256": card.weights_sha256,
        "precision": precision,
        "reach": int(getattr(network, "reach", 128)),
        "multiple": int(getattr(network, "multiple", 32)),
        "summary": int(getattr(network, "summary", 0)),
        "corrects": bool(getattr(network, "corrects", False)),
        "neighbours": bool(getattr(network, "neighbours", False)),
        "smooths": bool(getattr(network, "smooths", False)),
        "parity": {"palette": STYLE, **parity},
        "statement": "Designed colours, not measured ones. Not for diagnosis.",
    }


def _cases(data: Path | str, family: str, modality: str | None, *, int8: bool) -> list[Case]:
    from medcolor.training.sources import find_cases

    cases = find_cases(data, family=family, modality=modality)
    for side in ("test", "train") if int8 else ("test",):
        if not any(case.split == side for case in cases):
            raise TrainingError(f"{data}: no {side} patient of {family} here; splits.json says who is one.")
    return cases


def _measured(
    bundle: Bundle, models: dict[str, Any], cases: list[Case], progress: Callable[[int, int], None] | None
) -> dict[str, Parity]:
    """Measure the files as a user would run them, each against the bundle's own network."""
    from medcolor.colorizers.network import NetworkColorizer

    test = [case for case in cases if case.split == "test"]

    def scans() -> Iterator[tuple[str, Scan]]:
        for case in test:
            yield case.patient, case.load().scan

    with tempfile.TemporaryDirectory() as scratch:
        arms = [NetworkColorizer(bundle, palette=STYLE, device="cpu")]
        for precision, model in models.items():
            path = Path(scratch) / f"{precision}.onnx"
            path.write_bytes(with_record(model, _record(bundle, precision, UNMEASURED)))
            arms.append(NetworkColorizer(bundle, palette=STYLE, onnx=path))
        found = compare(arms, scans(), progress=progress, total=len(test))
    return dict(zip(models, found, strict=True))


__all__ = ["STYLE", "UNMEASURED", "Exported", "Stage", "export_onnx"]
