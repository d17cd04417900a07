"""When to try again: ``5x1m,10x10m`` is five times after a minute, ten times after ten, and then no more."""

from __future__ import annotations

import re
from dataclasses import dataclass

from medcolor.errors import SettingError

DEFAULT = "5x1m,10x10m"
_STEP = re.compile(r"(\d{1,6})x(\d{1,6})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Schedule:
    """Delays between tries.

    Parameters
    ----------
    text : str
        COUNTxNUMBERUNIT, separated by commas; units s, m, h, d.
    """

    text: str = DEFAULT

    def __post_init__(self) -> None:
        self.steps()

    def delay(self, failures: int) -> float | None:
        """Return the seconds to wait after so many failures (1, 2, ...); None: no more tries."""
        for count, seconds in self.steps():
            if failures <= count:
                return seconds
            failures -= count
        return None

    def steps(self) -> list[tuple[int, float]]:
        """Return (count, seconds) of each part."""
        steps = []
        for part in self.text.split(","):
            found = _STEP.fullmatch(part.strip())
            if found is None:
                raise SettingError(
                    f'"{self.text}" is no schedule of retries; write it like {DEFAULT} (units s, m, h, d).'
                )
            steps.append((int(found[1]), float(int(found[2]) * _UNITS[found[3]])))
        return steps
