"""Everything that turns a scan into a coloured scan.

A colorizer is a value with a name, a law and a call; there is no base class. ``load_colorizer`` is the registry:
the spec says what it is, and an unknown one is an error that lists what exists, never another model.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from medcolor.color_scan import ColorScan, Law
from medcolor.errors import SettingError, UnknownColorizerError
from medcolor.scan import MODALITIES, Scan
from medcolor.voi import Display

if TYPE_CHECKING:
    from medcolor.bundle_files import BundleFacts
    from medcolor.bundles import Bundle
    from medcolor.colorizers.painting import Stream
    from medcolor.colorizers.point_hints import Hint
    from medcolor.palettes import Palette
    from medcolor.report.legend import Legend

Progress = Callable[[int, int], None]
"""Called with (slices done, slices in all). Raise from it to cancel: nothing is kept."""


class Colorizer(Protocol):
    """A scan in, a coloured scan on the same grid out.

    Attributes
    ----------
    name : str
        The spec ``load_colorizer`` understands.
    law : Law
        What is promised about the gray; a contract test holds every colorizer to it.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def law(self) -> Law: ...  # noqa: D102

    def palette_for(self, scan: Scan) -> Palette | None:
        """Return the class colours used on this scan, for legends; None for a table."""
        ...

    def legend_for(self, scan: Scan) -> Legend | None:
        """Return what the colours mean on this scan; None where palette and tissue model, or the table, say it."""
        ...

    def __call__(
        self,
        scan: Scan,
        *,
        window: Display | str | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> ColorScan:
        """Colour ``scan`` as displayed with ``window`` (None: as its file asks, else the modality's default)."""
        ...

    def stream(self, scan: Scan, *, window: Display | str | None = None) -> Stream:
        """Yield (range of slices, RGB (n, nj, ni, 3)) of the same colours, block by block, keeping none."""
        ...


@dataclass(frozen=True, slots=True)
class ColorizerInfo:
    """One line of ``medcolor colorizers``.

    ``pattern`` where the name is to be completed, as in ``seg:PATH``; ``facts`` and ``method`` of a trained bundle,
    whose method is "tissue" where it says which tissue is where.
    """

    name: str
    law: Law
    modalities: tuple[str, ...]
    description: str
    pattern: bool = False
    facts: BundleFacts | None = None
    method: str | None = None


def list_colorizers() -> list[ColorizerInfo]:
    """Return every colorizer that ``load_colorizer`` knows by name, and the patterns of those made from a file.

    Trained ones are listed when their folder is complete, those that know tissue first.
    """
    from medcolor.bundle_files import TISSUE, facts_of
    from medcolor.bundles import bundle_names, find_bundle, read_card
    from medcolor.luts import list_luts

    auto = ColorizerInfo(
        "auto", Law.LIGHTNESS, MODALITIES, "the trained bundle that is its modality's default, else physics; says which"
    )
    physics = ColorizerInfo(
        "physics", Law.LIGHTNESS, MODALITIES, "tissue posteriors from units and intensity models, coloured by a palette"
    )
    segmentation = ColorizerInfo(
        "seg:PATH",
        Law.LIGHTNESS,
        ("any",),
        "labels of a label map or DICOM SEG, with soft edges; background gray",
        True,
    )
    luts = [
        ColorizerInfo(f"lut:{name}", Law.LUT, ("any",), "colour table applied to the displayed gray")
        for name in list_luts()
    ]
    cards = [read_card(find_bundle(name)) for name in bundle_names()]
    trained = [
        ColorizerInfo(
            card.name,
            Law.LIGHTNESS,
            (card.family,),
            f"{'default; ' if card.default else ''}{card.description}",
            facts=facts_of(card),
            method=card.method,
        )
        for card in sorted(cards, key=lambda card: (card.method != TISSUE, card.method, card.name))
    ]
    return [auto, physics, *trained, segmentation, *luts]


def load_colorizer(
    spec: str,
    *,
    palette: str | None = None,
    strength: float = 1.0,
    cvd: str | None = None,
    soft_edge: float | None = None,
    bleed: float | None = None,
    fade: float | None = None,
    device: str | None = None,
    trust: bool = False,
    onnx: str | Path | None = None,
    hints: Sequence[Hint] = (),
    reference: str | Path | None = None,
) -> Colorizer:
    """Build a colorizer.

    Parameters
    ----------
    spec : str
        ``"auto"``, which chooses for each scan (:class:`~medcolor.colorizers.auto.AutoColorizer`); ``"physics"``,
        ``"lut:NAME"``, or ``"seg:PATH"`` with a label map or DICOM SEG; the name of a trained bundle, or with
        ``trust`` the path of a bundle's folder.
    palette : str, optional
        Style of the modality's palette, or the path of a personal YAML; default ``"anatomical"``.
        Tables have none, nor bundles that learned the colours of one. For a segmentation: a table with the names and
        colours of its labels.
    strength : float
        0 (the displayed gray) to 1 (full colour).
    cvd : str, optional
        Raise the separability for a colour-vision deficiency: ``"protan"``, ``"deutan"``, ``"tritan"``,
        optionally with a severity, ``"deutan:0.6"``.
    soft_edge, bleed : float, optional
        Of a segmentation, in mm; see :class:`~medcolor.colorizers.segmentation.SegmentationColorizer`.
    fade : float, optional
        Of a trained bundle; see :class:`~medcolor.colorizers.network.NetworkColorizer`. With ``"auto"`` it applies to
        the scans that a bundle colours.
    device : str, optional
        Where a trained bundle computes: "auto", "cpu", "cuda"; all others know only the CPU.
    trust : bool
        A bundle is code: the one in this folder may run on this computer.
    onnx : str or Path, optional
        Of a trained bundle: the file that ``medcolor export onnx`` made from it. ONNX Runtime then computes the
        network.
    hints : sequence of Hint
        Colours at voxels, for trained methods that take them (zhang2017).
    reference : str or Path, optional
        A coloured scan or picture, for trained methods that take one (histogan, welsh).

    Raises
    ------
    UnknownColorizerError
        Lists what exists and the nearest name.
    SettingError
        A strength outside 0..1, or an option this colorizer does not have.
    FileNotFoundError, ReadError
        The segmentation cannot be read.
    BundleError
        A trained bundle is incomplete, damaged, contradicts itself, or is not trusted.
    """
    if not 0.0 <= strength <= 1.0:
        raise SettingError(f"strength must be between 0 (gray) and 1 (full colour), got {strength:g}.")
    kind, _, name = spec.partition(":")
    if kind != "seg" and (soft_edge is not None or bleed is not None):
        raise SettingError(f"{spec} has no labels: soft_edge and bleed are options of seg:PATH.")
    trained = kind not in {"auto", "physics", "lut", "seg"} and _is_bundle(spec)
    if kind in {"physics", "lut", "seg"}:
        if fade is not None:
            raise SettingError(f"{spec} is not trained: fade is an option of trained bundles.")
        if device not in {None, "auto", "cpu"}:
            raise SettingError(f"{spec} is not trained: it computes on the CPU. Use device auto or cpu.")
    if onnx is not None and kind in {"auto", "physics", "lut", "seg"}:
        raise SettingError(f"{spec} is no trained bundle: onnx names the file that was exported from one.")
    if not trained and (hints or reference is not None):
        raise SettingError(f"{spec} takes no hints and no reference: trained methods such as zhang2017 and welsh do.")
    match kind, name:
        case "auto", "":
            from medcolor.colorizers.auto import AutoColorizer

            return AutoColorizer(
                palette or "anatomical", float(strength), cvd, 0.0 if fade is None else float(fade), device or "auto"
            )
        case "physics", "":
            from medcolor.colorizers.tissue import TissueColorizer

            return TissueColorizer(palette=palette or "anatomical", strength=float(strength), cvd=cvd)
        case "lut", str() if name:
            from medcolor.colorizers.lut import LutColorizer

            if palette is not None or cvd is not None:
                raise SettingError(
                    f"{spec} is a fixed table: its colours are known by the gray they stand for. It takes no palette "
                    "and no cvd option. lut:cividis was made for deficient eyes; physics takes both options."
                )
            return LutColorizer(name, strength=float(strength))
        case "seg", str() if name:
            from medcolor.colorizers.segmentation import BLEED, SOFT_EDGE, SegmentationColorizer
            from medcolor.io.labels import read_segmentation

            return SegmentationColorizer(
                read_segmentation(name, table=palette),
                soft_edge=SOFT_EDGE if soft_edge is None else float(soft_edge),
                bleed=BLEED if bleed is None else float(bleed),
                strength=float(strength),
                cvd=cvd,
            )
        case _ if trained:
            from medcolor.bundle_files import TISSUE
            from medcolor.bundles import load_bundle

            bundle = load_bundle(spec, trust=trust)
            if bundle.card.method != TISSUE:
                return _of_method(bundle, palette, onnx, strength, cvd, fade, device, hints, reference)
            if hints or reference is not None:
                raise SettingError(f"{spec} takes no hints and no reference: zhang2017, histogan and welsh do.")
            from medcolor.colorizers.network import NetworkColorizer

            return NetworkColorizer(
                bundle,
                palette=palette or "anatomical",
                strength=float(strength),
                cvd=cvd,
                fade=0.0 if fade is None else float(fade),
                device=device or "auto",
                onnx=onnx,
            )
        case _:
            names = [info.name for info in list_colorizers()]
            near = difflib.get_close_matches(spec, names, n=1)
            hint = f' Did you mean "{near[0]}"?' if near else ""
            raise UnknownColorizerError(f'"{spec}" is no colorizer. Available: {", ".join(names)}.{hint}')


def _of_method(
    bundle: Bundle,
    palette: str | None,
    onnx: str | Path | None,
    strength: float,
    cvd: str | None,
    fade: float | None,
    device: str | None,
    hints: Sequence[Hint],
    reference: str | Path | None,
) -> Colorizer:
    from medcolor.colorizers.chroma import ChromaColorizer

    card = bundle.card
    if palette is not None:
        raise SettingError(
            f'{card.name} learned the colours of "{card.taught}" and takes no palette; use auto, physics or a bundle '
            "of method tissue for another."
        )
    if onnx is not None:
        raise SettingError(f"{card.name} is of method {card.method}: only bundles of method tissue are exported.")
    return ChromaColorizer(
        bundle,
        strength=float(strength),
        cvd=cvd,
        fade=0.0 if fade is None else float(fade),
        device=device or "auto",
        hints=tuple(hints),
        reference=reference,
    )


def _is_bundle(spec: str) -> bool:
    from medcolor.bundles import bundle_names

    return spec in bundle_names() or (spec.strip() != "" and Path(spec).is_dir())


__all__ = ["Colorizer", "ColorizerInfo", "Progress", "list_colorizers", "load_colorizer"]
