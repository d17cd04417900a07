"""Trained methods as they are measured: a bundle's folder in, an arm out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from medcolor.benchmarking.colorizers.arms import Colors, Floats, Recolored, code_hash, of_posteriors
from medcolor.benchmarking.colorizers.views import STYLE
from medcolor.bundle_files import CONFIG, TISSUE, BundleCard
from medcolor.color_scan import Law
from medcolor.palettes import load_palette
from medcolor.scan import Scan
from medcolor.training.arms import physics_code

if TYPE_CHECKING:
    from medcolor.colorizers import Colorizer
    from medcolor.colorizers.chroma import ChromaColorizer
    from medcolor.colorizers.network import NetworkColorizer
    from medcolor.recoloring import Recoloring

Maker = TypeVar("Maker", bound="NetworkColorizer | ChromaColorizer")


@dataclass(frozen=True, eq=False)
class _BundleArm(Generic[Maker]):
    """What all trained methods are to the table."""

    maker: Maker
    law: Law = field(default=Law.LIGHTNESS, init=False)

    @property
    def card(self) -> BundleCard:
        """What the bundle says of itself."""
        return self.maker.bundle.card

    @property
    def method(self) -> str:
        return bundle_label(self.card)

    @property
    def title(self) -> str:
        return self.card.name

    def colorizer(self) -> Colorizer:
        return self.maker


class TissueArm(_BundleArm["NetworkColorizer"]):
    """The trained tissue network with the palette; doubt is the colour error it expects."""

    @property
    def identity(self) -> str:  # noqa: D102
        from medcolor.colorizers import corrections, prediction
        from medcolor.networks import correction

        card = self.card
        palette = load_palette(card.family, STYLE)
        network = self.maker.bundle.network
        code = code_hash(prediction, corrections, correction, type(network))
        return card.identity + palette.sha256 + code + _physics_of(network)

    def __call__(self, scan: Scan, slices: Sequence[int]) -> Iterator[Colors]:  # noqa: D102
        from medcolor.colorizers.prediction import error_of

        found, palette = self.maker.predict(scan), load_palette(self.card.family, STYLE)
        ni, nj, _ = scan.shape
        for k in slices:
            posteriors = np.empty((len(found.classes), 1, nj, ni), np.float32)
            doubt = np.empty((1, nj, ni), np.float32)
            for tile, likely, log_scale in found.tensors(slice(k, k + 1)):
                posteriors[(slice(None), *tile.kept)] = likely.cpu().numpy()
                doubt[tile.kept] = error_of(likely, log_scale, palette.ab).cpu().numpy()
            yield of_posteriors(slice(k, k + 1), posteriors, doubt, palette)


class ChromaArm(_BundleArm["ChromaColorizer"]):
    """A trained system of the review, with its own doubt and lightness where it has them."""

    @property
    def identity(self) -> str:  # noqa: D102
        from medcolor import recoloring
        from medcolor.colorizers import chroma_prediction, prediction

        card = self.card
        code = code_hash(
            chroma_prediction, prediction, recoloring, type(self.maker.bundle.network), card.folder / CONFIG
        )
        return card.weights_sha256 + self.maker.taught.sha256 + code + _physics_of(self.maker.bundle.network)

    def __call__(self, scan: Scan, slices: Sequence[int]) -> Iterator[Colors]:  # noqa: D102
        found = self.maker.predict(scan)
        for k in slices:
            block = slice(k, k + 1)
            whole = found.whole(block)
            yield Colors(block, *whole, None, self._recolored(whole.ab))

    def _recolored(self, ab: NDArray[np.float32]) -> Recolored:
        def recolored(kind: str) -> Floats:
            to = self._for_eye(kind)
            return ab if to is None else to(ab)

        return recolored

    @lru_cache(maxsize=8)  # noqa: B019  # an arm lives as long as its modality is measured
    def _for_eye(self, kind: str) -> Recoloring | None:
        """Return what becomes of the colours for an eye, the same in every scan."""
        return self.maker.recoloring_for(kind)


def _physics_of(network: Any) -> str:
    """Return the tissue models' hash for a network that is shown what they say."""
    shown = getattr(network, "corrects", False) or "posteriors" in getattr(network, "needs", ())
    return physics_code() if shown else ""


def bundle_label(card: BundleCard) -> str:
    """Return what a bundle is called in the table: "nazeri_unet" of ct_nazeri_unet."""
    return card.name.removeprefix(f"{card.family.lower()}_")


def bundle_arm(folder: Path) -> TissueArm | ChromaArm:
    """Return the arm of a bundle's folder, by what its card says of it.

    Raises
    ------
    BundleError
    """
    from medcolor.bundles import load_bundle
    from medcolor.colorizers.chroma import ChromaColorizer
    from medcolor.colorizers.network import NetworkColorizer

    bundle = load_bundle(folder, trust=True)
    if bundle.card.method == TISSUE:
        return TissueArm(NetworkColorizer(bundle, palette=STYLE, device="cpu", check=False))
    return ChromaArm(ChromaColorizer(bundle, device="cpu", check=False))


__all__ = ["ChromaArm", "TissueArm", "bundle_arm", "bundle_label"]
