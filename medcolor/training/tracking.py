"""The lines of ``log.jsonl`` for who has TensorBoard or MLflow: figures by name and step, nothing else.

Neither is needed, and neither is looked for unless a recipe names it (``track: [tensorboard, mlflow]``). Only numbers
are handed on: no config, which may hold paths and names of patients, and no files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from medcolor.errors import TrainingError
from medcolor.training.log import Observer


def observers(names: Sequence[str], folder: Path, *, title: str) -> list[Observer]:
    """Return what to tell every line of a log.

    Parameters
    ----------
    names : sequence of str
        "tensorboard" (event files go into ``folder / "tensorboard"``) and "mlflow" (a run of the tracking server that
        the variable MLFLOW_TRACKING_URI names, else of MLflow's own default).
    folder : Path
        Of the training.
    title : str
        Of MLflow's run.

    Raises
    ------
    TrainingError
        Another name, or a package that is not installed.
    """
    for name in names:
        if name not in _TRACKERS:
            raise TrainingError(f'track: "{name}" is none of {", ".join(_TRACKERS)}.')
        if find_spec(name) is None:
            raise TrainingError(f"track: {name} is not installed (pip install {name}); or leave it out of the config.")
    return [_TRACKERS[name](folder, title) for name in names]


def figures(line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the numbers of a line as (name, value): "loss/total", "validation/error", "learning_rate" ..."""
    for key, value in line.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}/{name}", float(number)) for name, number in value.items())
        elif key != "step":
            yield key, float(value)


def _tensorboard(folder: Path, title: str) -> Observer:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"))

    def tell(line: Mapping[str, Any]) -> None:
        for name, number in figures(line):
            writer.add_scalar(name, number, int(line["step"]))
        writer.flush()

    return tell


def _mlflow(folder: Path, title: str) -> Observer:
    mlflow: Any = import_module("mlflow")
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("medcolor")
    number = client.create_experiment("medcolor") if experiment is None else experiment.experiment_id
    run = client.create_run(number, run_name=title).info.run_id

    def tell(line: Mapping[str, Any]) -> None:
        for name, value in figures(line):
            client.log_metric(run, name, value, step=int(line["step"]))

    return tell


_TRACKERS: Mapping[str, Callable[[Path, str], Observer]] = {"tensorboard": _tensorboard, "mlflow": _mlflow}


__all__ = ["figures", "observers"]
