"""What a method that learned colours without tissue is, before its network is loaded: colours, options, record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medcolor.bundle_files import BundleCard
from medcolor.color_scan import ColorScan, Law
from medcolor.colorizers.painting import recorded
from medcolor.colorizers.point_hints import Hint
from medcolor.colorizers.reference import Reference
from medcolor.errors import ModalityError, SettingError
from medcolor.palettes import Palette
from medcolor.recoloring import Recoloring, count_colors, recoloring, recoloring_of_palette
from medcolor.scan import Scan
from medcolor.voi import Display

if TYPE_CHECKING:
    from medcolor.colorizers import Colorizer


class LearnedColors:
    """The part of a colorizer that needs no network; whoever inherits it has these attributes.

    Attributes
    ----------
    card : BundleCard
    name : str
    taught : Palette
        Whose colours it learned.
    strength : float
    cvd : str or None
    fade : float
    hints : tuple of Hint
    reference : Reference or None
        Whose colours it takes instead.
    law : Law
    needs : frozenset of str
        What the method can be told beside the gray.
    doubts : bool
        Whether the method says how sure it is of a colour.
    """

    card: BundleCard
    name: str
    taught: Palette
    strength: float
    cvd: str | None
    fade: float
    hints: tuple[Hint, ...]
    reference: Any
    law: Law
    needs: frozenset[str]
    doubts: bool

    def recoloring_for(self, cvd: str | None) -> Recoloring | None:
        """Return what becomes of the colours for an eye; None: nothing.

        A method's own colours move as the palette it learned does, in every scan alike; those of a reference are
        quantized first.
        """
        if cvd is None:
            return None
        if isinstance(self.reference, Reference):
            return recoloring(_counted(self.reference), cvd)
        return recoloring_of_palette(self.taught, cvd)

    def palette_for(self, scan: Scan) -> Palette | None:
        """Return the palette that the colours were learned from; None where a reference gave them.

        Raises
        ------
        ModalityError
            The scan is of another family.
        """
        self.require_family(scan)
        return self.taught if self.reference is None else None

    def options(
        self, *, strength: float, cvd: str | None, fade: float, hints: tuple[Hint, ...] | None = None
    ) -> dict[str, Any]:
        """Return what a provenance says of how the colours were made; with other hints where they are given."""
        hints = self.hints if hints is None else hints
        told: dict[str, Any] = {"method": self.card.method, "palette": self.taught.style}
        told |= {"strength": strength, "cvd": cvd, "fade": fade}
        if hints:
            told["hints"] = [hint.to_json() for hint in hints]
        if isinstance(self.reference, Reference):
            told["reference_sha256"] = self.reference.sha256
        return told

    def require_doubt(self, fade: float) -> None:
        """Refuse a fade where the method does not know its doubt.

        Raises
        ------
        SettingError
        """
        if fade and not self.doubts:
            raise SettingError(
                f"{self.card.method} does not know how sure it is of a colour: fade is for methods that do."
            )

    def require_family(self, scan: Scan) -> None:
        """Refuse a scan of another modality family.

        Raises
        ------
        ModalityError
        """
        if scan.family != self.card.family:
            raise ModalityError(
                f"{self.name} colours {self.card.family}; this scan's modality is {scan.modality}. Use a colorizer "
                "made for it, or say what it is: modality= in Python, --modality on the command line."
            )

    def recorded(
        self,
        painted: tuple[NDArray[np.uint8], int],
        scan: Scan,
        display: Display,
        options: dict[str, Any],
        *,
        seed: int,
    ) -> ColorScan:
        """Put painted slices on the grid of the scan, with the record of how they were made."""
        by: Colorizer = self  # type: ignore[assignment]  # what inherits this is one
        return recorded(
            painted,
            scan,
            display,
            by,
            options=options,
            seed=seed,
            palette_sha256=self.taught.sha256,
            weights_sha256=self.card.weights_sha256,
        )


def finished(
    ab: NDArray[np.float32], doubt: NDArray[np.float32] | None, to: Recoloring | None, fade: float
) -> NDArray[np.float32]:
    """Return colours (..., 2) for an eye, and faded as far as the doubt (...) says."""
    moved = ab if to is None else to(ab)
    if not fade or doubt is None:
        return moved
    return moved * (1 - np.float32(fade) * doubt)[..., None]


def _counted(reference: Reference) -> NDArray[np.int64]:
    from medcolor.cielab import rgb_to_lab

    return count_colors(rgb_to_lab(reference.spread() / np.float32(255))[..., 1:])


__all__ = ["LearnedColors", "finished"]
