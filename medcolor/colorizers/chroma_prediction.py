"""What a network that gives colours says of a scan, range of slices by range of slices.

A network that says how far it sees (``reach``) gets large slices in tiles with a halo that wide. One that looks at the
slice as a whole gets it whole, and reduced where it is too large for that; what it says is enlarged again, the gray
that is coloured never is. On a CPU one slice is computed at a time, so bytes do not depend on how a volume is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medcolor.colorizers.point_hints import Hint, hint_planes
from medcolor.colorizers.prediction import Computing, network_input, reduced_plane, reduction_factor
from medcolor.colorizers.tiles import Tile, bands, tiles, whole_factor
from medcolor.errors import SettingError
from medcolor.palettes import Palette
from medcolor.scan import Scan

if TYPE_CHECKING:
    import torch

    from medcolor.networks.normalization import Normalization
    from medcolor.tissue.model import TissueModel

SMALLEST = 16
"""Pixels along a side below which networks need not work: smaller slices are shown to them padded."""


class Conditions(NamedTuple):
    """What a network is told beside the gray.

    Attributes
    ----------
    taught : Palette
        Colours of the classes that hints name.
    hints : tuple of Hint
    tissue : TissueModel or None
        Whose posteriors it is shown.
    histogram : Tensor, (1, 3, B, B), or None
    """

    taught: Palette
    hints: tuple[Hint, ...] = ()
    tissue: TissueModel | None = None
    histogram: torch.Tensor | None = None


class ChromaPart(NamedTuple):
    """What is said of a tile, on the device: ab (n, h, w, 2); doubt and lightness (n, h, w) of networks that have it.

    Where no image is, ab and doubt are 0.
    """

    ab: torch.Tensor
    doubt: torch.Tensor | None
    lightness: torch.Tensor | None


class Whole(NamedTuple):
    """What is said of whole slices: ab (n, nj, ni, 2); doubt and lightness (n, nj, ni) of networks that have it."""

    ab: NDArray[np.float32]
    doubt: NDArray[np.float32] | None
    lightness: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, eq=False)
class ChromaPrediction:
    """What a network says of one scan; computed when asked.

    Parameters
    ----------
    computing : Computing
        Whose network gives a :class:`~medcolor.networks.chroma.ChromaOutput`.
    scan : Scan
    normalization : Normalization
        Fitted to the scan.
    conditions : Conditions
    """

    computing: Computing
    scan: Scan
    normalization: Normalization
    conditions: Conditions

    def parts(self, block: slice) -> Iterator[tuple[Tile, ChromaPart]]:
        """Yield each tile of a range of slices with what the network says of it."""
        import torch

        values, good = network_input(self.scan, self.normalization, block)
        for start in range(0, len(values), self.computing.at_once):
            some = slice(start, min(start + self.computing.at_once, len(values)))
            there = slice(block.start + some.start, block.start + some.stop)
            for tile, planes, names in self._planes(values[some], there):
                kept = (slice(some.start + tile.kept[0].start, some.start + tile.kept[0].stop), *tile.kept[1:])
                with torch.inference_mode():
                    if good is not None:
                        nowhere = torch.from_numpy(~good[kept]).to(planes.device)
                        planes = planes.masked_fill(nowhere, 0)
                    rest = dict(zip(names, planes[2:], strict=True))
                    part = ChromaPart(planes[:2].movedim(0, -1), rest.get("doubt"), rest.get("lightness"))
                yield Tile(kept, tile.seen, tile.inner), part

    def whole(self, block: slice) -> Whole:
        """Return what the network says of a range of slices, its tiles put together."""
        ni, nj, _ = self.scan.shape
        shape = (block.stop - block.start, nj, ni)
        ab, rest = np.empty((*shape, 2), np.float32), dict[str, NDArray[np.float32]]()
        for tile, part in self.parts(block):
            ab[tile.kept] = part.ab.cpu().numpy()
            for name, plane in (("doubt", part.doubt), ("lightness", part.lightness)):
                if plane is not None:
                    rest.setdefault(name, np.empty(shape, np.float32))[tile.kept] = plane.cpu().numpy()
        return Whole(ab, rest.get("doubt"), rest.get("lightness"))

    def confidence(self, block: slice) -> NDArray[np.float32]:
        """Return how far colours of a range of slices can be relied on, (n, nj, ni): 1 less the doubt.

        Raises
        ------
        SettingError
            The network does not know its doubt.
        """
        ni, nj, _ = self.scan.shape
        out = np.empty((block.stop - block.start, nj, ni), np.float32)
        for tile, part in self.parts(block):
            if part.doubt is None:
                raise SettingError("This method does not know how sure it is of a colour.")
            out[tile.kept] = 1 - part.doubt.cpu().numpy()
        return out

    def _planes(
        self, values: NDArray[np.float32], there: slice
    ) -> Iterator[tuple[Tile, torch.Tensor, tuple[str, ...]]]:
        """Yield tiles of slices (n, nj, ni) that go together, with planes (C, n, h, w): a*, b*, and those named."""
        network = self.computing.network
        reach, shape = getattr(network, "reach", None), values.shape
        factor = reduction_factor(self.normalization.side, shape)
        if reach is None:
            factor = max(factor, whole_factor(shape))
        if factor == 1:
            told = self._told(there, shape[1:], 1)
            multiple = getattr(network, "multiple", 32)
            for tile in tiles(shape, reach=reach or 0, multiple=multiple, batch=len(values)):
                rows, columns = tile.seen[1:]
                cut = {name: values[..., rows, columns] for name, values in told.items()}
                planes, names = self._said(values[tile.seen], cut)
                yield tile, planes[(slice(None), slice(None), *tile.inner)].contiguous(), names
            return
        for n, plane in enumerate(values):
            yield from self._reduced(plane, n, there.start + n, factor)

    def _reduced(
        self, plane: NDArray[np.float32], n: int, k: int, factor: int
    ) -> Iterator[tuple[Tile, torch.Tensor, tuple[str, ...]]]:
        """Do the same with one slice at a reduced size, and yield what is enlarged again in bands of rows."""
        import torch

        small = reduced_plane(plane, factor)
        told = self._told(slice(k, k + 1), small.shape, factor)
        planes, names = self._said(small[None], told)
        for band in bands(plane.shape, factor):
            with torch.inference_mode():
                part = planes[:, 0, band.seen][None]
                large = torch.nn.functional.interpolate(part, scale_factor=float(factor), mode="bilinear")[0]
                large = large[:, None, band.inner, : plane.shape[1]]
            kept = (slice(n, n + 1), band.kept, slice(0, plane.shape[1]))
            yield Tile(kept, kept, kept[1:]), large.contiguous(), names

    def _told(self, there: slice, shape: tuple[int, ...], factor: int) -> dict[str, NDArray[np.float32]]:
        """Return hints and posteriors of some slices, (n, C, nj, ni) at the size the network sees."""
        conditions, told = self.conditions, {}
        hints = hint_planes(conditions.hints, there, (shape[0], shape[1]), conditions.taught, factor=factor)
        if hints is not None:
            told["hints"] = hints
        if conditions.tissue is not None:
            posteriors = np.moveaxis(conditions.tissue.posteriors(there), 0, 1)
            if factor > 1:
                posteriors = np.stack([[reduced_plane(plane, factor) for plane in one] for one in posteriors])
            told["posteriors"] = posteriors
        return told

    def _said(
        self, values: NDArray[np.float32], told: dict[str, NDArray[np.float32]]
    ) -> tuple[torch.Tensor, tuple[str, ...]]:
        """Run the network on (n, h, w); return planes (C, n, h, w), and what those after a* and b* are."""
        import torch

        network, inferer, device, _ = self.computing
        n, h, w = values.shape
        short = ((0, 0), (0, 0), (0, max(SMALLEST - h, 0)), (0, max(SMALLEST - w, 0)))

        def shown(array: NDArray[np.float32]) -> torch.Tensor:
            padded = np.pad(array, short, mode="edge") if short[2][1] or short[3][1] else array
            return torch.from_numpy(np.ascontiguousarray(padded)).to(device)

        options: dict[str, Any] = {name: shown(array) for name, array in told.items()}
        if self.conditions.histogram is not None:
            options["histogram"] = self.conditions.histogram.to(device).expand(n, -1, -1, -1)
        with torch.inference_mode():
            output = inferer(shown(values[:, None]), network, **options)
            rest = {"doubt": output.doubt, "lightness": output.lightness}
            names = tuple(name for name, plane in rest.items() if plane is not None)
            planes = torch.cat([output.ab, *(rest[name] for name in names)], dim=1)[..., :h, :w]
            return planes.movedim(1, 0).float(), names


def gives_doubt(network: Any, device: Any) -> bool:
    """Whether a network says how sure it is, by asking it."""
    import torch

    with torch.inference_mode():
        return network(torch.zeros(1, 1, SMALLEST, SMALLEST, device=device)).doubt is not None


__all__ = ["SMALLEST", "ChromaPart", "ChromaPrediction", "Conditions", "gives_doubt"]
