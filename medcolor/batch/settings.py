"""What a batch was asked for, and the hash of all of it that can change a byte of an output."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medcolor.errors import MedcolorError, SettingError, UnknownColorizerError
from medcolor.scan import family

if TYPE_CHECKING:
    from medcolor.bundle_files import BundleCard
    from medcolor.colorizers import Colorizer

FOLDER_FORMATS = ("dicom", "dicom-multiframe", "seg", "presentation", "png", "thumbnail")
SUFFIXES = {"nifti": ".nii.gz", "nrrd": ".nrrd", "mha": ".mha", "tiff": ".tif"}
FORMATS = ("auto", *FOLDER_FORMATS, *SUFFIXES)


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """Settings of the colours and of the files; the same for every series but for ``modality``.

    Parameters
    ----------
    colorizer : str
        As :func:`medcolor.load_colorizer` takes it, but for ``seg:PATH``, which belongs to one scan.
    to : str
        One of :data:`FORMATS`; auto: the format of the source, PNG where that holds no colour.
    palette, strength, cvd, fade, device, trust
        As :func:`medcolor.load_colorizer` takes them.
    window : str, optional
        ``CENTER/WIDTH`` or a name.
    modality : str, optional
        For files that do not say theirs.
    burn_in : bool
        DICOM only.
    deidentify : bool
        Before anything is derived; see :func:`medcolor.io.dicom.deidentify.deidentify`.
    pixel_text : {"refuse", "flag"}
        What to do with pictures that may hold text, when de-identifying.
    """

    colorizer: str = "auto"
    to: str = "auto"
    palette: str | None = None
    strength: float = 1.0
    cvd: str | None = None
    fade: float | None = None
    window: str | None = None
    modality: str | None = None
    burn_in: bool = False
    device: str = "auto"
    trust: bool = False
    deidentify: bool = False
    pixel_text: Literal["refuse", "flag"] = "refuse"

    def __post_init__(self) -> None:
        if self.to not in FORMATS:
            raise SettingError(f'"{self.to}" is no output format of a batch. Available: {", ".join(FORMATS)}.')
        if self.colorizer.startswith("seg:"):
            raise SettingError("seg:PATH colours the one scan that its labels belong to; use medcolor colorize.")
        if self.burn_in and not self.to.startswith("dicom"):
            raise SettingError("--burn-in writes its strip into DICOM objects: add --to dicom.")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dict; ``BatchSettings(**record)`` reads it back."""
        return asdict(self)

    def load(self) -> Colorizer:
        """Build the colorizer.

        Raises
        ------
        MedcolorError
            As :func:`medcolor.load_colorizer`.
        """
        from medcolor.colorizers import load_colorizer

        return load_colorizer(
            self.colorizer,
            palette=self.palette,
            strength=self.strength,
            cvd=self.cvd,
            fade=self.fade,
            device=self.device,
            trust=self.trust,
        )

    def check(self) -> None:
        """Load what the settings name: a slip of the pen is said before the first of a night's series, not after each.

        Raises
        ------
        MedcolorError
            Nothing has that name, of any modality; what there is, is listed.
        """
        from medcolor.scan import MODALITIES

        self.load()
        known = family(self.modality or "")
        families = [known] if known else list(MODALITIES)
        if self.palette is not None or self.cvd is not None:
            _any_palette(families, self.palette or "anatomical", self.cvd)
        if self.window is not None:
            _any_window(families, self.window)

    def fingerprint(self) -> dict[str, Any]:
        """Return all that can change an output: settings, versions, weights, palettes, and where networks compute.

        The place of this computer's files is not part of it.
        """
        import medcolor
        from medcolor.io.dicom.uids import PIXEL_VERSION

        record = self.to_json() | {"medcolor": medcolor.__version__, "pixels": PIXEL_VERSION}
        cards = _cards(self)
        weights = _weights(cards)
        record["temperatures"] = {card.name: card.temperature for card in cards if card.temperature != 1}
        record["weights_sha256"], record["palettes_sha256"] = weights, _palettes(self.palette)
        if self.palette is not None and Path(self.palette).is_file():
            record["palette"] = "personal"
        if Path(self.colorizer).is_dir():
            record["colorizer"] = "bundle"
        record["device"] = _device(self.device) if weights else "cpu"
        del record["trust"], record["pixel_text"]
        if self.deidentify:
            from medcolor.io.dicom.deidentify import method

            record["deidentify"] = f"{method()}; pixel text: {self.pixel_text}"
        return record


@dataclass(frozen=True, slots=True)
class Caps:
    """What one series may take before its child process is ended.

    Parameters
    ----------
    memory : int
        Bytes in memory of one child.
    seconds : float
    tries : int
        A series that ended its child so often is parked.
    """

    memory: int = 4 << 30
    seconds: float = 1800.0
    tries: int = 3


def digest_of(record: Any) -> str:
    """Return the sha256 hex of canonical JSON."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint_for(fingerprint: dict[str, Any], modality: str | None) -> dict[str, Any]:
    """Return what can change the outputs of one modality: a new network for CT does not concern MR.

    Parameters
    ----------
    fingerprint : dict
        ``BatchSettings.fingerprint()``.
    modality : str or None
        None where nothing says it: then all networks count.
    """
    weights = fingerprint["weights_sha256"]
    if modality:
        weights = {name: sha for name, sha in weights.items() if name == family(modality)}
    return fingerprint | {"modality": modality, "weights_sha256": weights}


def _any_palette(families: list[str], style: str, cvd: str | None) -> None:
    """Raise what is wrong with a palette that fits none of these modalities."""
    from medcolor.palettes import load_palette, with_cvd

    wrong: MedcolorError | None = None
    for each in families:
        try:
            palette = load_palette(each, style)
        except MedcolorError as error:
            wrong = wrong or error
        else:
            if cvd is not None:
                with_cvd(palette, cvd)
            return
    assert wrong is not None
    raise wrong


def _any_window(families: list[str], text: str) -> None:
    """Raise where a window is a name that none of these modalities has."""
    from medcolor.windowing import NAMED_WINDOWS, parse_window

    window, tables = parse_window(text), {each: NAMED_WINDOWS.get(each, {}) for each in families}
    if isinstance(window, str) and not any(window in table for table in tables.values()):
        known = "; ".join(f"{each}: {', '.join(table)}" for each, table in tables.items() if table) or "none"
        raise UnknownColorizerError(f'"{text}" is no window. Available: {known}; or give CENTER/WIDTH.')


def _cards(settings: BatchSettings) -> list[BundleCard]:
    """Return the cards of the bundles that may be used."""
    from medcolor.bundle_files import read_card
    from medcolor.bundles import bundle_names, bundles_of, default_bundle, find_bundle
    from medcolor.scan import MODALITIES

    if settings.colorizer == "auto":
        cards = [card for each in MODALITIES if (card := default_bundle(each)) is not None]
        return cards + [card for each in MODALITIES for card in bundles_of(each)]  # CT without units takes no default
    if settings.colorizer in bundle_names() or Path(settings.colorizer).is_dir():
        return [read_card(find_bundle(settings.colorizer, trust=settings.trust))]
    return []


def _weights(cards: Sequence[BundleCard]) -> dict[str, dict[str, str]]:
    """Return the sha256 of the weights: family -> bundle -> sha256."""
    weights: dict[str, dict[str, str]] = {}
    for card in cards:
        weights.setdefault(card.family, {})[card.name] = card.weights_sha256
        if card.default:
            weights[card.family]["default"] = card.name
    return weights


def _palettes(personal: str | None) -> str:
    from medcolor.resources import config_dir

    paths = sorted((config_dir() / "palettes").glob("*.yaml"))
    if personal is not None and Path(personal).is_file():
        paths.append(Path(personal))
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)).hexdigest()


def _device(wanted: str) -> str:
    from medcolor.colorizers.device import find_device

    return str(find_device(wanted).type)


def default_workers() -> int:
    """Return the processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
