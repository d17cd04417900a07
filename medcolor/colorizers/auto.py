"""The colorizer chosen for each scan: the learned one of its modality where that is the better one, else physics.

Which is better was decided by figures on test patients, and is written in the bundle's metadata (``default``). What
was chosen, and why, is said; a default that is damaged is an error, never a reason to take another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from medcolor.bundles import BundleCard, bundles_of, default_bundle, load_bundle
from medcolor.color_scan import ColorScan, Law
from medcolor.colorizers.tissue import TissueColorizer
from medcolor.errors import BundleError, ModalityError, SettingError
from medcolor.palettes import Palette
from medcolor.scan import MODALITIES, Scan
from medcolor.voi import Display

if TYPE_CHECKING:
    from medcolor.colorizers import Colorizer, Progress
    from medcolor.colorizers.painting import Stream
    from medcolor.report.legend import Legend


@dataclass(frozen=True, slots=True)
class Choice:
    """What colours one scan.

    Attributes
    ----------
    colorizer : Colorizer
    reason : str
        Why, and which options do not apply to it; one line.
    """

    colorizer: Colorizer
    reason: str


@dataclass(frozen=True)
class AutoColorizer:
    """The default bundle of each scan's modality family, else physics.

    A CT whose units are lost (an 8-bit picture), which physics refuses, goes to the bundle of CT even where that is
    not the default.

    Parameters
    ----------
    palette, strength, cvd
        Of whatever is chosen.
    fade : float
        Where a bundle is chosen. Physics does not know how sure it is of a colour: nothing fades.
    device : str
        Where a bundle computes. Physics computes on the CPU, whatever is asked for; a device that this computer does
        not have is refused at once.
    """

    palette: str = "anatomical"
    strength: float = 1.0
    cvd: str | None = None
    fade: float = 0.0
    device: str = "auto"
    name: str = field(default="auto", init=False)
    law: Law = field(default=Law.LIGHTNESS, init=False)
    _chosen: dict[tuple[str, bool], Choice] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.fade <= 1:
            raise SettingError(f"fade must be between 0 (off) and 1, got {self.fade:g}.")
        if self.device not in {"auto", "cpu"}:
            from medcolor.colorizers.device import find_device

            find_device(self.device)

    def choose(self, scan: Scan) -> Choice:
        """Return the colorizer of this scan, ready for use, and why it is the one.

        Raises
        ------
        ModalityError
            The modality is unknown.
        BundleError
            The default of its modality is damaged.
        """
        if scan.family is None:
            raise ModalityError(
                f"auto chooses by modality ({', '.join(MODALITIES)}); this scan's is {scan.modality}. Say what it is: "
                "modality= in Python, --modality on the command line; or use a lut: colorizer."
            )
        key = (scan.family, has_units(scan))
        if key not in self._chosen:
            self._chosen[key] = self._choose(*key)
        return self._chosen[key]

    def _choose(self, family: str, units: bool) -> Choice:
        card = trained_for(family, units)
        if card is not None:
            why = f"not the default for {family}, but physics needs HU and here are none"
            return Choice(self._trained(card), f"the default for {family}" if card.default else why)
        said = [f"no trained bundle is the default for {family}"]
        if self.fade > 0:
            said.append("physics does not know how sure it is, so nothing fades")
        if self.device not in {"auto", "cpu"}:
            said.append(f"physics computes on the CPU, not on {self.device}")
        return Choice(TissueColorizer(self.palette, self.strength, self.cvd), "; ".join(said))

    def _trained(self, card: BundleCard) -> Colorizer:
        from medcolor.colorizers.network import NetworkColorizer

        return NetworkColorizer(
            load_bundle(card.name),
            palette=self.palette,
            strength=self.strength,
            cvd=self.cvd,
            fade=self.fade,
            device=self.device,
        )

    def palette_for(self, scan: Scan) -> Palette | None:
        """Return the palette of what is chosen for this scan."""
        return self.choose(scan).colorizer.palette_for(scan)

    def legend_for(self, scan: Scan) -> Legend | None:
        """Return the legend of what is chosen for this scan."""
        return self.choose(scan).colorizer.legend_for(scan)

    def __call__(
        self,
        scan: Scan,
        *,
        window: Display | str | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> ColorScan:
        """Colour a scan with what is chosen for it; the provenance names that one.

        Raises
        ------
        ModalityError
            The modality is unknown, or physics was chosen and refuses.
        BundleError
            As :meth:`choose`.
        """
        return self.choose(scan).colorizer(scan, window=window, seed=seed, progress=progress)

    def stream(self, scan: Scan, *, window: Display | str | None = None) -> Stream:
        """Yield what the call would give, block by block; see :func:`medcolor.colorizers.painting.stream`."""
        return self.choose(scan).colorizer.stream(scan, window=window)


def choice_for(colorizer: Colorizer, scan: Scan) -> Choice:
    """Return what colours a scan: the choice of ``auto``; any other colorizer itself, without a reason."""
    return colorizer.choose(scan) if isinstance(colorizer, AutoColorizer) else Choice(colorizer, "")


def trained_for(family: str, units: bool) -> BundleCard | None:
    """Return the bundle that ``auto`` takes, by what the files say alone; None where it takes physics.

    Raises
    ------
    BundleError
        The default is damaged, or it is not clear which bundle is meant.
    """
    default = default_bundle(family)
    return default if default is not None or units else _only(bundles_of(family), family)


def has_units(scan: Scan) -> bool:
    """Whether physics can tell tissue by the values; only CT has units without which it refuses."""
    return scan.family != "CT" or scan.units == "HU"


def _only(cards: list[BundleCard], family: str) -> BundleCard | None:
    if len(cards) > 1:
        raise BundleError(
            f"{', '.join(card.name for card in cards)} all colour {family} without units, and none is its default: "
            "name one (colorizer=, --colorizer)."
        )
    return cards[0] if cards else None


__all__ = ["AutoColorizer", "Choice", "choice_for", "has_units", "trained_for"]
