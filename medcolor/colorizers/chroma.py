"""Colour learned without tissue: a network that gives (a*, b*) for each pixel at once, under the colour law.

The systems of the review, trained on one palette's colours. Which tissue is where they do not say: no tissue map, no
SEG, and another palette would be another training. What they can be told beside the gray depends on the method:
hints, a reference whose colours to take, the physics model's posteriors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medcolor.bundle_files import TISSUE, BundleCard
from medcolor.bundles import Bundle
from medcolor.color import apply_color, apply_color_torch
from medcolor.color_scan import ColorScan, Law
from medcolor.colorizers.chroma_prediction import ChromaPart, ChromaPrediction, Conditions, gives_doubt
from medcolor.colorizers.device import find_device
from medcolor.colorizers.learned_colors import LearnedColors, finished
from medcolor.colorizers.painting import PaintBlock, Stream, blocks, paint, stream
from medcolor.colorizers.point_hints import Hint, check_hints
from medcolor.colorizers.prediction import Computing
from medcolor.colorizers.reference import Reference, as_reference
from medcolor.errors import SettingError
from medcolor.palettes import Palette, load_palette
from medcolor.recoloring import Recoloring
from medcolor.scan import Scan
from medcolor.voi import Display
from medcolor.windowing import resolve_display

if TYPE_CHECKING:
    import torch

    from medcolor.colorizers import Progress
    from medcolor.report.legend import Legend

Block = tuple[slice, NDArray[np.float32], NDArray[np.float32] | None, NDArray[np.float32] | None]
"""(range of slices, ab (n, nj, ni, 2), doubt (n, nj, ni) or None, lightness (n, nj, ni) or None)."""


@dataclass(frozen=True, eq=False)
class ChromaColorizer(LearnedColors):
    """A trained bundle of any method but "tissue" as a colorizer.

    Parameters
    ----------
    bundle : Bundle
    strength : float
        Factor on (a*, b*), 0 to 1.
    cvd : str or None
        Deficiency to separate the colours for; see :mod:`medcolor.recoloring`.
    fade : float
        How far chroma follows the doubt: 0 not at all, 1 in proportion. Only methods that know their doubt.
    device : str
        "auto" is "cuda" where there is one, else "cpu"; what was chosen is in ``torch_device``.
    batch : int
        Slices at a time on a GPU.
    hints : tuple of Hint
        Colours at voxels, for methods that take them: zhang2017 in the slice of each, welsh as the only samples that
        all slices are coloured by.
    reference : str, Path, Scan, ColorScan or Reference, optional
        Coloured scan or picture whose colours to take, for methods that can.
    check : bool
        Look whether each scan looks like the modality it claims to be, as
        :class:`~medcolor.colorizers.network.NetworkColorizer` does.

    Raises
    ------
    SettingError
        A number out of range, a device this computer does not have, or an option that the method does not take.
    """

    bundle: Bundle
    strength: float = 1.0
    cvd: str | None = None
    fade: float = 0.0
    device: str = "auto"
    batch: int = 8
    hints: tuple[Hint, ...] = ()
    reference: str | Path | Scan | ColorScan | Reference | None = None
    check: bool = True
    card: BundleCard = field(init=False, repr=False)
    name: str = field(init=False)
    law: Law = field(default=Law.LIGHTNESS, init=False)
    torch_device: torch.device = field(init=False)
    network: Any = field(init=False, repr=False)
    taught: Palette = field(init=False)
    recoloring: Recoloring | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        import torch

        if not 0 <= self.strength <= 1 or not 0 <= self.fade <= 1 or self.batch < 1:
            raise SettingError(
                f"strength and fade must lie between 0 and 1 and batch be at least 1; "
                f"got {self.strength:g}, {self.fade:g} and {self.batch}."
            )
        card, network, put = self.bundle.card, self.bundle.network, object.__setattr__
        if card.method == TISSUE:
            raise SettingError(f"{card.name} says which tissue is where: use NetworkColorizer for it.")
        network = network.folded() if hasattr(network, "folded") else network
        put(self, "card", card)
        put(self, "name", card.name)
        put(self, "hints", tuple(self.hints))
        put(self, "torch_device", find_device(self.device))
        put(self, "network", network.to(self.torch_device).to(memory_format=torch.channels_last))
        put(self, "taught", load_palette(card.family, card.taught))
        self._refuse_untaken()
        if self.reference is not None:
            put(self, "reference", as_reference(self.reference))
        put(self, "recoloring", self.recoloring_for(self.cvd))

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]  # the network says it
        """What the method can be told beside the gray."""
        return frozenset(getattr(self.network, "needs", ()))

    @cached_property
    def doubts(self) -> bool:  # type: ignore[override]  # asked of the network when somebody wants to know
        """Whether the method says how sure it is of a colour."""
        return gives_doubt(self.network, self.torch_device)

    @property
    def at_once(self) -> int:
        """Slices computed together."""
        return 1 if self.torch_device.type == "cpu" else self.batch

    def legend_for(self, scan: Scan) -> Legend:
        """Return the colours it learned, or those of its reference, and how much of the image is nearest to each."""
        from medcolor.colorizers.chroma_legend import legend_of

        return legend_of(self, scan)

    def predict(self, scan: Scan) -> ChromaPrediction:
        """Return the network at work on a scan of the bundle's modality family.

        Raises
        ------
        ModalityError
            Of another family; or physics, whose posteriors the method is told, refuses the scan.
        SettingError
            A hint outside the scan, or of a class that is none.
        """
        self.require_family(scan)
        check_hints(self.hints, scan.shape, self.taught)
        fitted = self.bundle.normalization.fit(scan)
        network, histogram, model = self.network, None, None
        if isinstance(self.reference, Reference):
            from medcolor.colorizers.reference_matching import histogram_of, matched

            if "histogram" in self.needs:
                histogram = histogram_of(self.reference, network)
            else:
                network = matched(network, self.reference, scan, fitted)
        if self.hints and "hints" not in self.needs:
            from medcolor.colorizers.reference_matching import swatched

            network = swatched(network, self.hints, scan, fitted, self.taught)
        if "posteriors" in self.needs:
            from medcolor import tissue

            model = tissue.fit(scan)
        computing = Computing(network, self.bundle.inferer, self.torch_device, self.at_once)
        return ChromaPrediction(computing, scan, fitted, Conditions(self.taught, self.hints, model, histogram))

    def ab(self, scan: Scan) -> Iterator[Block]:
        """Yield what the network says of a scan, block by block, in order: no strength, fade or eye applied."""
        prediction = self.predict(scan)
        ni, nj, nk = scan.shape
        for block in blocks(nk, ni * nj, self._together(scan)):
            yield block, *prediction.whole(block)

    def __call__(
        self,
        scan: Scan,
        *,
        window: Display | str | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> ColorScan:
        """Colour a scan of the bundle's modality family.

        Raises
        ------
        ModalityError, SettingError
            As :meth:`predict`.

        Warns
        -----
        MedcolorWarning
            The scan does not look like its family.
        """
        self.require_family(scan)
        display = resolve_display(scan, window)
        scan, foreign = self._checked(scan)
        painted = paint(scan, display, self._painter(scan), progress=progress, block_voxels=self._together(scan))
        options = self.options(strength=self.strength, cvd=self.cvd, fade=self.fade) | foreign
        return self.recorded(painted, scan, display, options, seed=seed)

    def stream(self, scan: Scan, *, window: Display | str | None = None) -> Stream:
        """Yield what the call would give, block by block; see :func:`medcolor.colorizers.painting.stream`."""
        self.require_family(scan)
        display = resolve_display(scan, window)
        painter = self._painter(self._checked(scan)[0])
        return stream(scan, display, painter, block_voxels=self._together(scan))

    def _refuse_untaken(self) -> None:
        method = self.bundle.card.method
        if self.hints and "hints" not in self.needs and not hasattr(self.network, "swatched"):
            raise SettingError(f"{method} takes no hints; zhang2017 does, and welsh takes them as its swatches.")
        if self.reference is not None and "histogram" not in self.needs and not hasattr(self.network, "matched"):
            raise SettingError(f"{method} takes no reference: its colours are learned. histogan and welsh take one.")
        self.require_doubt(self.fade)

    def _checked(self, scan: Scan) -> tuple[Scan, dict[str, str]]:
        """Return the scan with what the recognizer finds in its audit, and the same for the provenance."""
        if not self.check:
            return scan, {}
        from medcolor.recognition import CODE, audited

        scan = audited(scan, self.bundle.card.family)
        return scan, {finding.code: finding.message for finding in scan.audit if finding.code == CODE}

    def _together(self, scan: Scan) -> int | None:
        """Return the voxels of a block where slices are computed together."""
        ni, nj, _ = scan.shape
        return None if self.at_once == 1 else self.at_once * ni * nj

    def _painter(self, scan: Scan) -> PaintBlock:
        prediction = self.predict(scan)

        def color(block: slice, gray: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> None:
            for tile, part in prediction.parts(block):
                rgb[tile.kept] = self._color(np.ascontiguousarray(gray[tile.kept]), part)

        return color

    def _color(self, gray: NDArray[np.uint8], part: ChromaPart) -> NDArray[np.uint8]:
        if self.torch_device.type != "cpu" and self.recoloring is None:
            import torch

            levels = torch.from_numpy(gray).to(self.torch_device)
            ab = part.ab if not self.fade or part.doubt is None else part.ab * (1 - self.fade * part.doubt)[..., None]
            return np.asarray(apply_color_torch(levels, ab, strength=self.strength).cpu().numpy())
        doubt = None if part.doubt is None else part.doubt.cpu().numpy()
        ab_seen = finished(part.ab.cpu().numpy(), doubt, self.recoloring, self.fade)
        return apply_color(gray, ab_seen, strength=self.strength)


__all__ = ["Block", "ChromaColorizer"]
