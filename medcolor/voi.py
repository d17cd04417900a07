"""How values are shown: windows and display tables, DICOM's "value of interest" transforms (PS3.3 C.11.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import SettingError


class WindowFunction(StrEnum):
    """DICOM VOI LUT Function, PS3.3 C.11.2.1.2 and C.11.2.1.3."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True, slots=True)
class Window:
    """A display window in the units of the scan.

    Parameters
    ----------
    center, width : float
        ``width`` > 0; for LINEAR at least 1 (PS3.3 C.11.2.1.2.1).
    function : WindowFunction
        LINEAR is DICOM's integer window, LINEAR_EXACT runs from center - width/2 to center + width/2.
    name : str
        "lung", or the file's explanation; shown in legends.
    """

    center: float
    width: float
    function: WindowFunction = WindowFunction.LINEAR_EXACT
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", float(self.center))
        object.__setattr__(self, "width", float(self.width))
        object.__setattr__(self, "function", WindowFunction(self.function))
        least = 1.0 if self.function is WindowFunction.LINEAR else 0.0
        if not (np.isfinite([self.center, self.width]).all() and self.width > 0 and self.width >= least):
            raise SettingError(
                f"A {self.function} window needs a finite center and a width {'>= 1' if least else '> 0'}, "
                f"got center {self.center:g}, width {self.width:g}."
            )

    @property
    def bounds(self) -> tuple[float, float]:
        """Values shown as black and as white (for SIGMOID: about 12 % and 88 %)."""
        if self.function is WindowFunction.LINEAR:
            half = (self.width - 1) / 2
            return self.center - 0.5 - half, self.center - 0.5 + half
        return self.center - self.width / 2, self.center + self.width / 2

    def gray(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Map values (any shape, scan units) to display gray 0..255, rounding half to even; NaN is black."""
        x = np.asarray(values, dtype=np.float64)
        if self.function is WindowFunction.SIGMOID:
            y = 1 / (1 + np.exp(np.clip(-4 * (x - self.center) / self.width, -700, 700)))
        else:
            low, high = self.bounds
            y = (x - low) / (high - low) if high > low else (x > low).astype(np.float64)
        return np.rint(255 * np.clip(np.nan_to_num(y), 0, 1)).astype(np.uint8)

    def values(self, gray: NDArray[Any]) -> NDArray[np.float64]:
        """Return the value in scan units that is shown with each display gray (0..255), for legends.

        A SIGMOID never quite reaches black and white: there it is the value that still rounds to them.
        """
        y = np.asarray(gray, dtype=np.float64) / 255
        if self.function is WindowFunction.SIGMOID:
            y = np.clip(y, 0.499 / 255, 1 - 0.499 / 255)
            return self.center + self.width / 4 * np.log(y / (1 - y))
        low, high = self.bounds
        return low + (high - low) * y

    def __str__(self) -> str:
        name = f"{self.name} " if self.name else ""
        kind = "" if self.function is WindowFunction.LINEAR_EXACT else f" {self.function}"
        return f"{name}C {self.center:g} W {self.width:g}{kind}"


@dataclass(frozen=True, slots=True, eq=False)
class VoiLut:
    """A display table from the file (DICOM VOI LUT Sequence).

    Parameters
    ----------
    first : float
        The scan value that the table's first entry is for; lower values take the first entry, higher ones the last.
    table : ndarray of uint8, (n,)
        Display gray 0..255.
    name : str
        The file's explanation.
    """

    first: float
    table: NDArray[np.uint8]
    name: str = ""

    def __post_init__(self) -> None:
        table = np.asarray(self.table)
        if table.ndim != 1 or table.size < 1 or table.dtype != np.uint8:
            raise ValueError(f"A VOI LUT needs a 1-D uint8 table, got {table.dtype} of shape {table.shape}.")
        table = table.copy()
        table.flags.writeable = False
        object.__setattr__(self, "table", table)

    def gray(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Map values (any shape, scan units) to display gray 0..255; NaN takes the first entry."""
        index = np.rint(np.nan_to_num(np.asarray(values, dtype=np.float64) - self.first))
        return self.table[np.clip(index, 0, self.table.size - 1).astype(np.intp)]

    def __str__(self) -> str:
        return f"VOI LUT {self.name}".strip() + f" of {self.table.size} entries from {self.first:g}"


Display = Window | VoiLut
