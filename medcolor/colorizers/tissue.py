"""Colour from tissue posteriors under the colour law: each class has one (a*, b*), each voxel their expectation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medcolor import tissue
from medcolor.color import color_from_posteriors
from medcolor.color_scan import ColorScan, Law
from medcolor.colorizers.painting import PaintBlock, Stream, paint, recorded, stream
from medcolor.errors import ModalityError, PaletteError
from medcolor.palettes import Palette, load_palette, with_cvd
from medcolor.scan import MODALITIES, Scan
from medcolor.voi import Display
from medcolor.windowing import resolve_display

if TYPE_CHECKING:
    from medcolor.colorizers import Progress


@dataclass(frozen=True)
class TissueColorizer:
    """Physics and intensity models of each modality, coloured by a palette: the baseline of all that is learned.

    Parameters
    ----------
    palette : str
        Style, or path of a personal palette.
    strength : float
        Factor on (a*, b*), 0 to 1.
    cvd : str or None
        Deficiency to separate the colours for.
    """

    palette: str = "anatomical"
    strength: float = 1.0
    cvd: str | None = None
    name: str = field(default="physics", init=False)
    law: Law = field(default=Law.LIGHTNESS, init=False)

    def palette_for(self, scan: Scan) -> Palette:
        """Return the palette that colours this scan."""
        if scan.family is None:
            raise ModalityError(
                f"physics colours {', '.join(MODALITIES)}; this scan's modality is {scan.modality}. "
                "Say what it is: modality= in Python, --modality on the command line; or use a lut: colorizer."
            )
        palette = load_palette(scan.family, self.palette)
        return palette if self.cvd is None else with_cvd(palette, self.cvd)

    def legend_for(self, scan: Scan) -> None:
        """Return None: the tissue model measures the classes of the palette."""

    def __call__(
        self,
        scan: Scan,
        *,
        window: Display | str | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> ColorScan:
        """Colour a scan of one of the seven modality families.

        Raises
        ------
        ModalityError
            The modality is unknown, or its units are not those the model needs.
        """
        palette, display = self.palette_for(scan), resolve_display(scan, window)
        painted = paint(scan, display, self._painter(scan, palette), progress=progress)
        options = {"palette": palette.style, "strength": self.strength, "cvd": self.cvd}
        return recorded(painted, scan, display, self, options=options, seed=seed, palette_sha256=palette.sha256)

    def stream(self, scan: Scan, *, window: Display | str | None = None) -> Stream:
        """Yield what the call would give, block by block; see :func:`medcolor.colorizers.painting.stream`."""
        return stream(scan, resolve_display(scan, window), self._painter(scan, self.palette_for(scan)))

    def _painter(self, scan: Scan, palette: Palette) -> PaintBlock:
        model = tissue.fit(scan)
        if model.classes != palette.names:
            raise PaletteError(f"The palette's classes {palette.names} are not the model's {model.classes}.")
        ab = palette.ab

        def color(block: slice, gray: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> None:
            color_from_posteriors(gray, model.posteriors(block), ab, strength=self.strength, out=rgb)

        return color
