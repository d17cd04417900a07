"""Trained networks slice by slice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medcolor.color import ab_index, index_from_posteriors
from medcolor.color_scan import ColorScan
from medcolor.colorizers.evidence import Index, Look
from medcolor.colorizers.looks import Check, Settings, checked_look, nothing, palette_for_look
from medcolor.colorizers.painting import recorded
from medcolor.colorizers.prediction import HALF_CONFIDENCE
from medcolor.colorizers.soft_evidence import SoftEvidence
from medcolor.scan import Finding, Scan
from medcolor.voi import Display

if TYPE_CHECKING:
    from medcolor.bundle_files import BundleCard


class BundleSlices:
    """What of a trained bundle at work is known without its network.

    Parameters
    ----------
    colorizer
        With the attributes of :class:`~medcolor.colorizers.network.NetworkColorizer` that say what it was made with.
    card : BundleCard
    scan : Scan
    findings : tuple of Finding
    """

    def __init__(self, colorizer: Any, card: BundleCard, scan: Scan, findings: tuple[Finding, ...]) -> None:
        self.colorizer, self.scan, self.findings, self._card = colorizer, scan, findings, card

    @property
    def own(self) -> Settings:
        """What the colorizer was made with."""
        by = self.colorizer
        return Settings(by.palette, by.strength, by.cvd, by.fade)

    def look(self, settings: Settings) -> Look:
        """Turn settings into what is painted with."""
        strength, fade = checked_look(self.colorizer.name, settings, fades=True)
        palette = palette_for_look(self._card.family, self._card.classes, settings)
        return Look(palette, settings.cvd, strength, fade)

    def record(self, painted: tuple[NDArray[np.uint8], int], display: Display, look: Look, *, seed: int) -> ColorScan:
        """Put painted slices on the grid of the scan, with the colorizer's own provenance."""
        by = self.colorizer
        options: dict[str, Any] = {
            "palette": look.style, "strength": look.strength, "cvd": look.cvd, "fade": look.fade,
            "temperature": self._card.temperature, **{finding.code: finding.message for finding in self.findings},
        }  # fmt: skip
        scan = replace(self.scan, audit=tuple(dict.fromkeys([*self.scan.audit, *self.findings])))
        if by.onnx is not None:
            options["onnx_sha256"] = by.network.sha256
        return recorded(
            painted, scan, display, by, options=options, seed=seed, palette_sha256=look.sha256,
            weights_sha256=self._card.weights_sha256,
        )  # fmt: skip


class NetworkSlices(BundleSlices):
    """A trained network at work on one scan; see :class:`~medcolor.colorizers.slicewise.Slicewise`."""

    def __init__(self, colorizer: Any, scan: Scan) -> None:
        from medcolor.recognition import mismatch

        card, told = colorizer.bundle.card, colorizer.told(scan)
        foreign = mismatch(scan, card.family) if colorizer.check else None
        super().__init__(colorizer, card, scan, told.findings + (() if foreign is None else (foreign,)))
        self._prediction = colorizer.predict(scan, told=told)

    def evidence(self, k: int, *, check: Check = nothing) -> SoftEvidence:
        """Run the network on one slice."""
        ni, nj, _ = self.scan.shape
        count = len(self._prediction.classes)
        pieces = []
        for tile, posteriors, log_scale in self._prediction.tensors(slice(k, k + 1)):
            check()
            pieces.append((tile.kept[1:], posteriors, log_scale))
        if len(pieces) == 1:
            planes = pieces[0][1][:, 0].cpu().numpy()
        else:
            planes = np.empty((count, nj, ni), np.float32)
            for kept, posteriors, _ in pieces:
                planes[(slice(None), *kept)] = posteriors[:, 0].cpu().numpy()
        on_cpu = self.colorizer.torch_device.type == "cpu"
        return SoftEvidence(planes, tuple(range(count)), count, _Rating((nj, ni), pieces, on_cpu))


@dataclass(frozen=True, slots=True, eq=False)
class _Rating:
    """Tiles of a slice as a network gave them: rows and columns, posteriors, log scale."""

    shape: tuple[int, int]
    pieces: list[tuple[Any, Any, Any]]
    on_cpu: bool

    def index(self, planes: NDArray[np.float32], look: Look) -> Index:
        if self.on_cpu and look.fade == 0:
            return index_from_posteriors(planes, look.ab, strength=look.strength)
        from medcolor.colorizers.prediction import error_of, faded, mean_ab

        index = np.empty(self.shape, np.int32)
        for kept, posteriors, log_scale in self.pieces:
            mean = mean_ab(posteriors, look.ab)
            if look.fade:
                mean *= faded(error_of(posteriors, log_scale, look.ab, mean=mean), look.fade)[..., None]
            index[kept] = ab_index(mean[0].cpu().numpy() * np.float32(look.strength))
        return index

    def confidence(self, look: Look) -> NDArray[np.uint8]:
        from medcolor.colorizers.prediction import error_of

        error = np.empty(self.shape, np.float32)
        for kept, posteriors, log_scale in self.pieces:
            error[kept] = error_of(posteriors, log_scale, look.ab)[0].cpu().numpy()
        return np.rint(np.float32(255) / (1 + error / np.float32(HALF_CONFIDENCE))).astype(np.uint8)

    def log_scale(self) -> NDArray[np.float32]:
        whole = np.empty(self.shape, np.float32)
        for kept, _, log_scale in self.pieces:
            whole[kept] = log_scale[0].cpu().numpy()
        return whole


__all__ = ["BundleSlices", "NetworkSlices"]
