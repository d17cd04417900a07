"""``medcolor train``: a network from a config and a folder of data."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

from cyclopts import Parameter

from medcolor.cli.messages import fail, note, progress_bar, result


def train(
    config: str,
    *overlays: str,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    data: Path | None = None,
    device: str = "auto",
    resume: bool = False,
    quiet: bool = False,
) -> int:
    """Train a network that colours. A config is code (MONAI bundle syntax): run none that you do not trust.

    Parameters
    ----------
    config
        A YAML file, a folder with a train.yaml, or a name such as ct_tissue: what the shipped bundle was made by. Or a
        method such as zhang2016: then the next name is a family, ct, mr, pt, nm, us, xr or mg.
    overlays
        Further files or names (a family, tiny) that add or change settings; later ones win.
    output
        Folder for checkpoints, log.jsonl, evaluation.md, and the bundle that "medcolor colorize --colorizer OUT
        --trust" uses: model.safetensors, metadata.json, inference.yaml and a model card, README.md.
    data
        Folder of image packs, of DICOM files or volumes, or a decathlon list (.json); else the environment variable
        MEDCOLOR_DATA.
    device
        auto, cpu, cuda or cuda:N; auto says what it chose.
    resume
        Go on from the last checkpoint in OUT, where there is one.
    quiet
        Print nothing but errors.
    """
    from medcolor.training.supervised import train as run_training

    with ExitStack() as bars, stopping() as asked:
        fitted, found = run_training(
            [config, *overlays],
            data=data,
            output=output,
            device=device,
            resume=resume,
            progress=lambda title: _stage(bars, title, asked, quiet=quiet),
            cancel=asked,
            say=None if quiet else note,
        )
    if fitted.weights is None:
        return fail(f"Cancelled after step {fitted.steps}. The same command with --resume goes on from there.", 1)
    if not quiet:
        figures = ", ".join(f"{name} {value:.2f}" for name, value in fitted.best.items())
        note(f"{fitted.stopped} after {fitted.steps} steps; best at step {fitted.best_step}: {figures}")
        if found is not None:
            note(found.to_markdown())
        result(str(fitted.weights))
    return 0


def _stage(bars: ExitStack, title: str, asked: Callable[[], bool], *, quiet: bool) -> Callable[[int, int], None]:
    """Close the bar of the stage before, and open the next: a terminal has room for one live bar."""
    bars.close()
    draw = bars.enter_context(progress_bar(title, quiet=quiet))

    def progress(done: int, total: int) -> None:
        if draw is not None:
            draw(done, total)
        if asked() and title != "training":  # training stops by itself, with a checkpoint
            raise KeyboardInterrupt

    return progress


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Yield a question: did somebody press Ctrl-C or send TERM? A second time interrupts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop.is_set
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
