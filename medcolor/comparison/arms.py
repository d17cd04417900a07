"""What a segmenter is shown: gray, gray with a colour, or gray with something that only looks like one.

All arms are shown alike. The scan is displayed as 8-bit gray, coloured as 8-bit sRGB, and handed on as CIELAB / 100:
what would not survive a display does not count. Channel 0 is the lightness in every arm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from medcolor.comparison import controls, renders
from medcolor.comparison.leaks import NOTHING, Seen, seen_by
from medcolor.comparison.renders import Render
from medcolor.comparison.tasks import Task
from medcolor.errors import BundleError, SettingError
from medcolor.scan import Scan
from medcolor.training.arms import physics_code

if TYPE_CHECKING:
    from medcolor.bundle_files import BundleCard

LUT = "lut:hot_iron"
METHODS = ("zhang2016", "zhang2017", "nazeri", "nogan", "histogan", "ddcolor", "welsh", "deep")

_NOTES: Mapping[str, tuple[bool, str]] = MappingProxyType(
    {
        "gray": (True, "the displayed gray: what every arm is compared with"),
        "gray_again": (True, "gray once more, with other seeds: how much chance alone moves"),
        "gray3": (True, "the same gray in three channels: as many weights as a colour has"),
        "lut": (False, f"colour of a table ({LUT.removeprefix('lut:')}): nothing that the gray does not say"),
        "physics": (False, "tissue colour without learning"),
        "tissue": (False, "tissue colour of the trained bundle of the modality"),
        **{name: (False, f"learned colour, method {name}") for name in METHODS},
        "shuffled": (True, "the colour of tissue, exchanged among the pixels of each slice"),
        "smooth": (True, "random chroma that changes slowly"),
        "position": (True, "the place of a pixel as its chroma"),
        "blurred": (True, f"gray, and gray blurred by {controls.BLUR:g} pixels as a channel: the neighbourhood alone"),
        "posterior": (True, "gray, and what the trained bundle says of tissue, as channels instead of a colour"),
        "confidence": (False, "colour of the trained bundle, and how sure it is, as a further channel"),
        "init_colorizer": (True, "gray; the network first learned to give the colours of tissue, without labels"),
        "init_selfsupervised": (True, "gray; the network first learned to fill in gray, without labels"),
        "colorizer_as_segmenter": (True, "no segmenter: tissue classes of the trained bundle, joined into labels"),
    }
)
ARMS = tuple(_NOTES)
"""Arms by name; any colorizer's name, and ``rgb:FOLDER`` with one RGB volume for each patient, are arms too."""


@dataclass(frozen=True, eq=False)
class Arm:
    """What a segmenter is shown.

    Parameters
    ----------
    name : str
        As written in a study, with its modifiers: ``tissue+recolor``, ``tissue+drop=0.3``.
    channels : int
    control : bool
        Whether colour must beat it for colour to have helped.
    note : str
        For the report.
    render : callable
        ``render(scan, rng)`` gives float32 (nk, channels, nj, ni); the lightness first, about 0 to 1.
    identity : str
        Hash of what the channels depend on besides the scan: weights, tables, palettes.
    gray_channels : int
        How many channels are the lightness itself, sharp or blurred, and change with it when it is jittered.
    placed : bool
        The chroma belongs to the place in the image, and stays there when the image is moved.
    recolored : bool
        Training images are coloured after their gray was augmented, not before.
    chroma_dropout : float
        Share of the training samples that are shown without any chroma.
    pretraining : str or None
        "colorizer" or "selfsupervised": what the network learns before it sees labels.
    direct : str or None
        Name of the bundle whose classes are the segmentation; there is no segmenter then.
    seen : Seen
        What its colorizer saw of the task.
    pictures : Path or None
        Folder with an RGB volume for each patient.
    """

    name: str
    channels: int
    control: bool
    note: str
    render: Render = field(repr=False)
    identity: str = ""
    gray_channels: int = 1
    placed: bool = False
    recolored: bool = False
    chroma_dropout: float = 0.0
    pretraining: str | None = None
    direct: str | None = None
    seen: Seen = NOTHING
    pictures: Path | None = None

    @property
    def remark(self) -> str:
        """What must stand beside its figures; "" where there is nothing."""
        return self.seen.note


def is_control(spec: str) -> bool:
    """Whether an arm is a control; a modifier changes nothing about that."""
    return _NOTES.get(spec.partition("+")[0], (False, ""))[0]


def load_arm(spec: str, task: Task, *, data: Path | str | None = None, device: str = "auto") -> Arm:
    """Find an arm for a task.

    Parameters
    ----------
    spec : str
        A name of ARMS, a colorizer that ``load_colorizer`` knows, or ``rgb:FOLDER``; then, each after a "+",
        ``recolor`` and ``drop=SHARE``.
    task : Task
    data : Path, optional
        The folder of packs, against which cards are checked.
    device : str
        Where trained bundles compute.

    Raises
    ------
    LeakError
        Its colorizer saw a test patient of the task, or may have.
    BundleError, UnknownColorizerError, SettingError
        There is no such arm for this modality.
    """
    base, *modifiers = spec.split("+")
    arm = _Maker(base, task, data, device).make()
    for modifier in modifiers:
        arm = _modified(arm, modifier)
    return replace(arm, name=spec)


def _modified(arm: Arm, modifier: str) -> Arm:
    if modifier == "recolor" and arm.pictures is None and arm.direct is None:
        return replace(arm, recolored=True, note=f"{arm.note}; coloured after augmentation")
    key, _, value = modifier.partition("=")
    if key == "drop" and arm.channels > arm.gray_channels:
        try:
            share = float(value)
        except ValueError:
            share = -1.0
        if 0 < share < 1:
            note = f"{arm.note}; {share:.0%} of the training samples without chroma"
            return replace(arm, chroma_dropout=share, note=note)
    raise SettingError(
        f'"{modifier}" is no modifier of {arm.name}. There are: recolor, for arms that are computed from the gray; '
        "drop=SHARE, above 0 and below 1, for arms with chroma."
    )


@dataclass(frozen=True)
class _Maker:
    base: str
    task: Task
    data: Path | str | None
    device: str

    def make(self) -> Arm:
        control, note = _NOTES.get(self.base, (False, f"colour of {self.base}"))
        arm = Arm(self.base, 3, control, note, renders.gray)
        if self.base in {"gray", "gray_again"}:
            return replace(arm, channels=1)
        if self.base == "gray3":
            return replace(arm, render=renders.gray3, gray_channels=3)
        if self.base == "smooth":
            return replace(arm, render=lambda scan, rng: controls.smooth(renders.neutral(scan), rng))
        if self.base == "position":
            return replace(arm, render=lambda scan, rng: controls.position(renders.neutral(scan)), placed=True)
        if self.base == "blurred":
            return replace(
                arm, channels=2, gray_channels=2, render=lambda scan, rng: controls.blurred(renders.neutral(scan))
            )
        if self.base == "init_selfsupervised":
            return replace(arm, channels=1, pretraining="selfsupervised")
        if self.base.startswith("rgb:"):
            return self._pictures(arm)
        return self._of_colorizer(arm)

    def _pictures(self, arm: Arm) -> Arm:
        folder = Path(self.base.removeprefix("rgb:"))
        if not folder.is_dir():
            raise SettingError(f"{folder} is no folder; rgb:FOLDER has one RGB volume for each patient, named like it.")
        digest = hashlib.sha256()
        for path in sorted(folder.iterdir()):
            digest.update(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}".encode())
        note = "RGB volumes that somebody brought; what their colours saw is not known here"
        return replace(arm, render=renders.as_brought, pictures=folder, identity=digest.hexdigest(), note=note)

    def _of_colorizer(self, arm: Arm) -> Arm:
        spec = self._spec()
        card = self._card(spec)
        seen = NOTHING if card is None else seen_by(card, self.task, self.data)
        weights = card.identity if card else ""
        arm = replace(arm, identity=f"{spec} {weights} {physics_code()}", seen=seen)  # many are shown what physics says
        if self.base == "colorizer_as_segmenter":
            self._require_classes(card)
            return replace(arm, channels=1, direct=spec)
        if self.base in {"posterior", "confidence"}:
            return self._more_channels(arm, spec, self._require_classes(card))
        color = renders.coloring(spec, self.device)
        if self.base == "shuffled":
            return replace(arm, render=lambda scan, rng: controls.shuffled(color(scan, rng), renders.there(scan), rng))
        if self.base == "init_colorizer":
            return replace(arm, channels=1, pretraining="colorizer")
        return replace(arm, render=color)

    def _spec(self) -> str:
        family = self.task.family.lower()
        if self.base == "lut":
            return LUT
        if self.base in {"tissue", "shuffled", "posterior", "confidence", "init_colorizer", "colorizer_as_segmenter"}:
            return f"{family}_tissue"
        return f"{family}_{self.base}" if self.base in METHODS else self.base

    def _card(self, spec: str) -> BundleCard | None:
        """Return the card of a trained bundle, None of what was never trained."""
        from medcolor.bundles import bundle_names, find_bundle, read_card

        if spec == "physics" or spec.startswith("lut:"):
            return None
        if spec in {"auto"} or spec.startswith("seg:"):
            raise SettingError(f'"{spec}" is no arm: name the colorizer itself, so that its card can be checked.')
        if spec in bundle_names() or not Path(spec).is_dir():
            return read_card(find_bundle(spec))
        return read_card(Path(spec))

    def _require_classes(self, card: BundleCard | None) -> BundleCard:
        from medcolor.bundle_files import TISSUE

        if card is None or card.method != TISSUE:
            raise BundleError(f"{self.base} needs a bundle that says which tissue is where.")
        return card

    def _more_channels(self, arm: Arm, spec: str, card: BundleCard) -> Arm:
        if self.base == "confidence":
            return replace(arm, channels=4, render=renders.sure(spec, self.device))
        return replace(arm, channels=1 + len(card.classes), render=renders.posteriors(spec, self.device))


def with_pictures(arm: Arm, patient: str, scan: Scan) -> Scan:
    """Return the scan with the RGB volume that the arm has for this patient; as it is for any other arm.

    Raises
    ------
    SettingError
        None, or one on another grid.
    """
    if arm.pictures is None:
        return scan
    from medcolor.io import read

    found = [p for p in sorted(arm.pictures.iterdir()) if p.name == patient or p.name.startswith(f"{patient}.")]
    if not found:
        raise SettingError(f"{arm.pictures}: no file or folder named like one of the patients; each needs one.")
    picture = read(found[0])
    if picture.rgb is None or picture.shape != scan.shape:
        raise SettingError(f"{found[0]}: RGB of {scan.shape} voxels is needed, as the scan has.")
    return replace(scan, rgb=picture.rgb)


__all__ = ["ARMS", "METHODS", "Arm", "is_control", "load_arm", "with_pictures"]
