"""What colours cost: parameters, operations, time beside the published ECCV16 in the same run, peak memory."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from medcolor.benchmarking.colorizers.arms import Arm
from medcolor.benchmarking.colorizers.rows import breaking
from medcolor.io.child_process import child_command
from medcolor.scan import Scan

SIDE = 512
UNIT_SIDE = 256  # ECCV16 always runs at this size
ROUNDS = 5
_AT_ONCE = 2  # processes whose memory is measured


@dataclass(frozen=True)
class Costs:
    """Of colouring one slice of 512 x 512 on the CPU, from the scan to sRGB bytes.

    Parameters
    ----------
    parameters : int
        Of the network; 0 where there is none.
    weights_mib : float
        Of the file; 0 where there is none.
    gflops : float
        1 MAC is 2; torch's operations alone, so 0 of what is not a network.
    ms : float
        Median of several rounds.
    unit_ms : float
        One forward pass of the published ECCV16 at 256 x 256 in the same rounds.
    peak_mib : float or None
        Peak memory of a process that does nothing else, everything counted.
    threads : int
    broken : int
        Pixels of the colorizer's own output on that slice that break its law.
    """

    parameters: int
    weights_mib: float
    gflops: float
    ms: float
    unit_ms: float
    peak_mib: float | None
    threads: int
    broken: int

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "parameters", "weights_mib", "gflops", "ms", "part_of_eccv16", "peak_mib",
    )  # fmt: skip

    @property
    def part_of_unit(self) -> float:
        """Time as a part of ECCV16's."""
        return self.ms / self.unit_ms

    def to_csv(self) -> dict[str, object]:
        """Return the columns of the CSV."""
        peak = "" if self.peak_mib is None else f"{self.peak_mib:.0f}"
        values = (self.parameters, f"{self.weights_mib:.2f}", f"{self.gflops:.3f}", f"{self.ms:.1f}")
        return dict(zip(self.COLUMNS, (*values, f"{self.part_of_unit:.4f}", peak), strict=True))

    def to_json(self) -> dict[str, Any]:
        """Return it JSON-able."""
        return asdict(self)


def measure_costs(
    arms: Sequence[Arm],
    family: str,
    *,
    memory: bool = True,
    rounds: int = ROUNDS,
    progress: Callable[[], None] | None = None,
) -> list[Costs]:
    """Measure arms of one modality side by side, with ECCV16 in every round.

    Parameters
    ----------
    arms : sequence of Arm
    family : str
    memory : bool
        Start a process for each arm to find its peak memory.
    rounds : int
    progress : callable, optional
        Called once an arm.
    """
    import torch

    from medcolor.networks.eccv16 import ECCV16

    scan, unit = _slice(family), ECCV16().eval()
    lightness = torch.full((1, 1, UNIT_SIDE, UNIT_SIDE), 50.0)
    colorizers = [arm.colorizer() for arm in arms]
    static = []
    for arm, colorizer in zip(arms, colorizers, strict=True):
        flops = _gflops(lambda use=colorizer: use(scan))  # type: ignore[misc]
        static.append((*_size(colorizer), flops, _broken(arm, colorizer(scan), scan)))
    times: list[list[float]] = [[] for _ in colorizers]
    unit_times = []
    with torch.inference_mode():
        unit(lightness)
        for _ in range(rounds):
            unit_times.append(_seconds(lambda: unit(lightness)))
            for place, colorizer in enumerate(colorizers):
                times[place].append(_seconds(lambda use=colorizer: use(scan)))  # type: ignore[misc]
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # what a process needs does not depend on what runs beside it
        peaks = pool.map(lambda arm: peak_memory(arm, family) if memory else None, arms)
    found = []
    for peak, (parameters, mib, flops, wrong), seconds in zip(peaks, static, times, strict=True):
        ms, unit_ms = (1000 * float(np.median(part)) for part in (seconds, unit_times))
        found.append(Costs(parameters, mib, flops, ms, unit_ms, peak, torch.get_num_threads(), wrong))
        if progress is not None:
            progress()
    return found


def _slice(family: str) -> Scan:
    """Return one slice of a phantom, 512 x 512."""
    from medcolor import phantom

    return phantom.scan(family, shape=(SIDE, SIDE, 1))


def _seconds(call: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _gflops(call: Callable[[], object]) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e9


def _size(colorizer: Any) -> tuple[int, float]:
    from medcolor.bundle_files import WEIGHTS

    bundle = getattr(colorizer, "bundle", None)
    if bundle is None:
        return 0, 0.0
    return sum(p.numel() for p in bundle.network.parameters()), (bundle.card.folder / WEIGHTS).stat().st_size / 2**20


def _broken(arm: Arm, made: Any, scan: Scan) -> int:
    from medcolor.scan import to_slices
    from medcolor.windowing import default_display, grayscale

    return breaking(to_slices(made.rgb), grayscale(scan, default_display(scan))(slice(None)), arm.law)


def peak_memory(arm: Arm, family: str) -> float | None:
    """Return the peak resident memory, in MiB, of a process that colours one slice; None where nothing says it."""
    bundle = getattr(arm.colorizer(), "bundle", None)
    spec = arm.title if bundle is None else str(Path(bundle.card.folder).resolve())
    if arm.method == "gray":
        spec = "lut:gray"
    command = child_command("medcolor.benchmarking.colorizers.costs:print_peak", spec, family)
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # our own command
    said = done.stdout.strip()
    return float(said) if said else None


def print_peak(spec: str, family: str) -> None:
    """Colour one slice in this process and say its peak memory in MiB, on stdout."""
    from medcolor.benchmarking.colorizers.bundle_arms import bundle_arm
    from medcolor.colorizers import load_colorizer

    kind = spec.partition(":")[0]
    colorizer = load_colorizer(spec) if kind in {"lut", "physics"} else bundle_arm(Path(spec)).colorizer()
    colorizer(_slice(family))
    status = Path("/proc/self/status")
    if status.is_file():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        sys.stdout.write(f"{int(peak.split()[1]) / 1024:.1f}\n")


__all__ = ["SIDE", "Costs", "measure_costs", "peak_memory"]
