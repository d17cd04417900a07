"""Colour learned by a network, under the colour law: a posterior for each tissue class, a palette, one exact table.

On a CPU one slice is computed at a time, so the bytes do not depend on how a volume is cut. On a GPU slices go in
batches, and colours may differ from the CPU's by one step of (a*, b*); the gray is exact everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medcolor.bundle_files import TISSUE
from medcolor.bundles import Bundle
from medcolor.color import apply_color, apply_color_torch, color_from_posteriors
from medcolor.color_scan import ColorScan, Law
from medcolor.colorizers.corrections import Told, told_to
from medcolor.colorizers.device import find_device
from medcolor.colorizers.painting import PaintBlock, Stream, paint, recorded, stream
from medcolor.colorizers.prediction import Computing, Prediction, error_of, faded, mean_ab, volume_input
from medcolor.errors import ModalityError, SettingError
from medcolor.palettes import Palette, legend, load_palette, with_cvd
from medcolor.scan import Scan
from medcolor.voi import Display
from medcolor.windowing import resolve_display

if TYPE_CHECKING:
    import torch

    from medcolor.colorizers import Colorizer, Progress
    from medcolor.report.legend import Legend

_LEGEND_SLICES = 16


@dataclass(frozen=True, eq=False)
class NetworkColorizer:
    """A trained bundle as a colorizer.

    Parameters
    ----------
    bundle : Bundle
    palette : str
        Style, or path of a personal palette.
    strength : float
        Factor on (a*, b*), 0 to 1.
    cvd : str or None
        Deficiency to separate the colours for.
    fade : float
        How far chroma follows the confidence: 0 not at all, 1 in proportion.
    device : str
        "auto" is "cuda" where there is one, else "cpu"; what was chosen is in ``torch_device``.
    batch : int
        Slices at a time on a GPU.
    onnx : str, Path or None
        File made from this bundle by ``medcolor export onnx``: ONNX Runtime computes the network, on the CPU.
    check : bool
        Look whether each scan looks like the modality it claims to be; see :func:`medcolor.recognition.mismatch`.
        What does not is coloured all the same, with a warning, a line in its audit, and one in its provenance.

    Raises
    ------
    SettingError
        ``strength``, ``fade`` or ``batch`` out of range, a device this computer does not have, ``onnx`` on a GPU or
        without ONNX Runtime.
    BundleError
        The ONNX file is missing, damaged, or from other weights.
    """

    bundle: Bundle
    palette: str = "anatomical"
    strength: float = 1.0
    cvd: str | None = None
    fade: float = 0.0
    device: str = "auto"
    batch: int = 8
    onnx: str | Path | None = None
    check: bool = True
    name: str = field(init=False)
    law: Law = field(default=Law.LIGHTNESS, init=False)
    torch_device: torch.device = field(init=False)
    network: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        import torch

        if not 0 <= self.strength <= 1 or not 0 <= self.fade <= 1 or self.batch < 1:
            raise SettingError(
                f"strength and fade must lie between 0 and 1 and batch be at least 1; "
                f"got {self.strength:g}, {self.fade:g} and {self.batch}."
            )
        card = self.bundle.card
        if card.method != TISSUE:
            raise SettingError(
                f"{card.name} is of method {card.method}: it gives colours and does not say which tissue is where, "
                "which is needed here."
            )
        device = find_device(self.device)
        put = object.__setattr__
        put(self, "name", self.bundle.card.name)
        if self.onnx is not None:
            from medcolor.onnx_files import open_onnx

            if self.device not in {"auto", "cpu"}:
                raise SettingError(f'An ONNX file is computed on the CPU here; device "{self.device}" is for bundles.')
            threads = torch.get_num_threads()
            put(self, "torch_device", torch.device("cpu"))
            put(self, "network", open_onnx(self.onnx, weights_sha256=self.bundle.card.weights_sha256, threads=threads))
            return
        network = self.bundle.network
        network = network.folded() if hasattr(network, "folded") else network
        put(self, "torch_device", device)
        put(self, "network", network.to(device).to(memory_format=torch.channels_last))

    @property
    def at_once(self) -> int:
        """Slices computed together."""
        return 1 if self.torch_device.type == "cpu" else self.batch

    def palette_for(self, scan: Scan) -> Palette:
        """Return the palette that colours this scan."""
        self._require_family(scan)
        palette = load_palette(self.bundle.card.family, self.palette)
        return palette if self.cvd is None else with_cvd(palette, self.cvd)

    def _require_family(self, scan: Scan) -> None:
        family = self.bundle.card.family
        if scan.family != family:
            raise ModalityError(
                f"{self.name} colours {family}; this scan's modality is {scan.modality}. Use a colorizer made for it, "
                "or say what it is: modality= in Python, --modality on the command line."
            )

    def legend_for(self, scan: Scan) -> Legend:
        """Return how much of the image each class is by this network's own word, over slices spread evenly."""
        from medcolor.report.legend import Legend, LegendRow

        entries, prediction, count = legend(self.palette_for(scan)), self.predict(scan), scan.shape[2]
        looked_at = sorted(set(np.linspace(0, count - 1, min(count, _LEGEND_SLICES)).round().astype(int).tolist()))
        totals = np.zeros(len(entries))
        for k in looked_at:
            totals += prediction.posteriors(slice(k, k + 1)).sum(axis=(1, 2, 3), dtype=np.float64)
        totals[0] = 0  # what lies outside, in every family
        shares = totals / max(totals.sum(), 1e-9)
        rows = tuple(LegendRow(entry, float(share)) for entry, share in zip(entries, shares, strict=True))
        return Legend(rows, f"share of the image in {len(looked_at)} of {count} slices, by {self.name}")

    def told(self, scan: Scan) -> Told:
        """Return what the network is told of a scan: for one that undoes gamma, not the scan as it is."""
        self._require_family(scan)
        estimator = getattr(self.bundle.network, "tone", None)
        return told_to(self.network, scan, self.bundle.normalization, estimator=estimator)

    def predict(self, scan: Scan, *, told: Told | None = None) -> Prediction:
        """Return posteriors and confidence of a scan of the bundle's modality family.

        Parameters
        ----------
        scan : Scan
        told : Told, optional
            What :meth:`told` gave, where somebody asked before.
        """
        ab = self.palette_for(scan).ab
        seen, physics, _ = told or self.told(scan)
        fitted = self.bundle.normalization.fit(seen)
        volume = volume_input(self.network, fitted, seen, self.torch_device)
        computing = Computing(self.network, self.bundle.inferer, self.torch_device, self.at_once)
        card = self.bundle.card
        return Prediction(card.classes, computing, seen, fitted, volume, ab, physics, card.temperature)

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
        ModalityError
            The scan is of another family, or of none.

        Warns
        -----
        MedcolorWarning
            The scan does not look like its family.
        """
        palette, display = self.palette_for(scan), resolve_display(scan, window)
        told = self.told(scan)
        scan, found = self._checked(scan, told)
        painter, together = self._painter(scan, palette, told), self._together(scan)
        painted = paint(scan, display, painter, progress=progress, block_voxels=together)
        options = {"palette": palette.style, "strength": self.strength, "cvd": self.cvd, "fade": self.fade, **found}
        options["temperature"] = self.bundle.card.temperature  # other colours of the same weights
        return recorded(
            painted,
            scan,
            display,
            self,
            options=options if self.onnx is None else options | {"onnx_sha256": self.network.sha256},
            seed=seed,
            palette_sha256=palette.sha256,
            weights_sha256=self.bundle.card.weights_sha256,
        )

    def stream(self, scan: Scan, *, window: Display | str | None = None) -> Stream:
        """Yield what the call would give, block by block; see :func:`medcolor.colorizers.painting.stream`."""
        palette, display = self.palette_for(scan), resolve_display(scan, window)
        told = self.told(scan)
        painter = self._painter(self._checked(scan, told)[0], palette, told)
        return stream(scan, display, painter, block_voxels=self._together(scan))

    def _checked(self, scan: Scan, told: Told) -> tuple[Scan, dict[str, str]]:
        """Return the scan with what was found of it in its audit, and the same for the provenance."""
        found = list(told.findings)
        scan = replace(scan, audit=tuple(dict.fromkeys([*scan.audit, *found])))
        if self.check:
            from medcolor.recognition import CODE, audited

            scan = audited(scan, self.bundle.card.family)
            found += [finding for finding in scan.audit if finding.code == CODE]
        return scan, {finding.code: finding.message for finding in found}

    def _painter(self, scan: Scan, palette: Palette, told: Told) -> PaintBlock:
        prediction, ab = self.predict(scan, told=told), palette.ab

        def color(block: slice, gray: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> None:
            for tile, posteriors, log_scale in prediction.tensors(block, rated=self.fade > 0):
                self._color(gray[tile.kept], posteriors, log_scale, ab, rgb[tile.kept])

        return color

    def _together(self, scan: Scan) -> int | None:
        """Return the voxels of a block where slices are computed together."""
        ni, nj, _ = scan.shape
        return None if self.at_once == 1 else self.at_once * ni * nj

    def _color(
        self,
        gray: NDArray[np.uint8],
        posteriors: torch.Tensor,
        log_scale: torch.Tensor,
        ab: NDArray[np.float32],
        rgb: NDArray[np.uint8],
    ) -> None:
        """Colour one tile into ``rgb``."""
        if self.torch_device.type == "cpu" and self.fade == 0:
            gray = np.ascontiguousarray(gray)
            if rgb.flags.c_contiguous:
                color_from_posteriors(gray, posteriors.numpy(), ab, strength=self.strength, out=rgb)
            else:
                rgb[:] = color_from_posteriors(gray, posteriors.numpy(), ab, strength=self.strength)
            return
        mean = mean_ab(posteriors, ab)
        if self.fade:
            mean *= faded(error_of(posteriors, log_scale, ab, mean=mean), self.fade)[..., None]
        if self.torch_device.type == "cpu":
            rgb[:] = apply_color(np.ascontiguousarray(gray), mean.numpy(), strength=self.strength)
            return
        import torch

        levels = torch.from_numpy(np.ascontiguousarray(gray)).to(self.torch_device)
        rgb[:] = apply_color_torch(levels, mean, strength=self.strength).cpu().numpy()


def scans_in(folder: str | Path) -> list[dict[str, str]]:
    """Return each file or folder in ``folder`` as one scan, sorted, as MONAI's datasets want it."""
    return [{"image": str(path)} for path in sorted(Path(folder).iterdir()) if not path.name.startswith(".")]


@dataclass(frozen=True, slots=True, eq=False)
class ColorizeAll:
    """What ``python -m monai.bundle run`` runs: every scan of a dataset, coloured and written.

    Parameters
    ----------
    dataset : iterable of {"image": Scan}
    colorizer : Colorizer
    output_dir : str or Path
        A numbered folder in it for each scan: DICOM where the source was, else PNG.
    """

    dataset: Iterable[Mapping[str, Scan]]
    colorizer: Colorizer
    output_dir: str | Path

    def run(self) -> list[Path]:
        """Colour and write all; return what was written."""
        from medcolor.io import write

        written: list[Path] = []
        for number, item in enumerate(self.dataset, start=1):
            out = Path(self.output_dir) / f"{number:04d}"
            written += write(self.colorizer(item["image"]), out)
        return written


__all__ = ["ColorizeAll", "NetworkColorizer", "scans_in"]
