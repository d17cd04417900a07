"""Colour tables: the colour of a voxel is a function of its displayed gray and of nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medcolor.color_scan import ColorScan, Law
from medcolor.colorizers.painting import PaintBlock, Stream, paint, recorded, stream
from medcolor.luts import load_lut, with_strength
from medcolor.scan import Scan
from medcolor.voi import Display
from medcolor.windowing import look_up, resolve_display

if TYPE_CHECKING:
    from medcolor.colorizers import Progress


@dataclass(frozen=True)
class LutColorizer:
    """A fixed table of 256 colours.

    Parameters
    ----------
    table_name : str
        One of :func:`medcolor.luts.list_luts`.
    strength : float
        0 (gray ramp) to 1 (the table).
    """

    table_name: str
    strength: float = 1.0
    law: Law = field(default=Law.LUT, init=False)

    def __post_init__(self) -> None:
        load_lut(self.table_name)  # an unknown name is refused when the colorizer is made, not when it is used

    @property
    def name(self) -> str:
        """Spec of this colorizer."""
        return f"lut:{self.table_name}"

    @property
    def table(self) -> NDArray[np.uint8]:
        """The 256 colours in use, strength included."""
        return with_strength(load_lut(self.table_name), self.strength)

    def palette_for(self, scan: Scan) -> None:
        """Return None: a table has no classes."""

    def legend_for(self, scan: Scan) -> None:
        """Return None: the table is its own legend."""

    def __call__(
        self,
        scan: Scan,
        *,
        window: Display | str | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> ColorScan:
        """Colour a scan of any modality."""
        display = resolve_display(scan, window)
        painted = paint(scan, display, self._painter(), progress=progress)
        return recorded(painted, scan, display, self, options={"strength": self.strength}, seed=seed)

    def stream(self, scan: Scan, *, window: Display | str | None = None) -> Stream:
        """Yield what the call would give, block by block; see :func:`medcolor.colorizers.painting.stream`."""
        return stream(scan, resolve_display(scan, window), self._painter())

    def _painter(self) -> PaintBlock:
        table = self.table

        def color(_: slice, gray: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> None:
            look_up(table, gray, rgb)

        return color
