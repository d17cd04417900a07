"""What kind of image a scan looks like, whatever its file says: so that nothing foreign is coloured without a word.

Blank scans, white noise and pictures in colour are found by rule; everything else by a small network that looks at
thumbnails of a few slices. It knows little: the card beside its weights (``configs/recognizer/README.md``) says what it
was shown.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medcolor.bundle_files import METADATA, WEIGHTS, read_tensors
from medcolor.errors import BundleError, MedcolorWarning
from medcolor.resources import config_dir
from medcolor.scan import MODALITIES, Finding, Scan, to_slices

if TYPE_CHECKING:
    from medcolor.networks.recognizer import Recognizer

FOLDER = "recognizer"
CODE = "unlike-modality"
"""Of the finding."""
BLANK, COLOR, TINY = "blank", "colour picture", "too small to tell"
LOOKED_AT = 5
"""Slices looked at, evenly spread."""
SMALLEST = 16
"""Pixels along the shorter side below which nothing is said."""
_ENOUGH = 1024  # longest side that is averaged down exactly; of a larger one every n-th pixel is looked at
_MOSTLY = 0.5  # share of the pixels that are not black, above which an image with colour is a picture
_NOISE = 0.05  # correlation of neighbours; the faintest scans are far above it
_LOOKED_AT_LINES = 32  # rows and columns of a slice: thousands of pairs
_WORDS = MappingProxyType(
    {
        "CT": "CT", "MR": "MR", "PT": "PET", "NM": "nuclear medicine", "US": "ultrasound", "XR": "an X-ray",
        "MG": "a mammogram", "other": "none of the seven kinds of scan",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a scan looks like.

    Attributes
    ----------
    seen : str
        A modality family, "other", or by rule "blank", "colour picture", "too small to tell"; white noise is "other".
    probabilities : Mapping of str to float
        Of each family and of "other", summing to 1. Where a rule decided: "other" is 1; nothing is known of what is
        too small (all equal).
    unusual : float
        Probability that it is none of the seven families, 0..1.
    """

    seen: str
    probabilities: Mapping[str, float]
    unusual: float

    def doubt(self, family: str) -> float:
        """Return the probability that it is not of this family, 0..1."""
        return 1 - self.probabilities[family]


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """Who decides: a network in evaluation mode, and how sure of a family it must be for there to be no alarm.

    Attributes
    ----------
    network : Recognizer
    thresholds : Mapping of str to float
        Probability of each family below which a scan that looks like something else raises an alarm.
    """

    network: Recognizer
    thresholds: Mapping[str, float]

    def alarms(self, found: Recognition, family: str) -> bool:
        """Whether what was found is too unlike a family for silence."""
        return found.seen not in {family, TINY} and found.probabilities[family] < self.thresholds[family]


def recognize(scan: Scan, *, by: Judge | None = None) -> Recognition:
    """Say what a scan looks like, from a few slices spread over it; modality, units and window play no part.

    Parameters
    ----------
    scan : Scan
    by : Judge, optional
        Instead of the one that is installed.

    Raises
    ------
    BundleError
        The recognizer's files are missing or damaged.
    """
    if scan.colored is not None and _colorful(scan):
        return _certain(COLOR)
    if min(scan.shape[:2]) < SMALLEST:
        even = dict.fromkeys((*MODALITIES, "other"), 1 / (len(MODALITIES) + 1))
        return Recognition(TINY, MappingProxyType(even), even["other"])
    planes = _planes(scan)
    if not planes:
        return _certain(BLANK)
    if all(_is_noise(plane) for plane in planes):
        return _certain("other")
    import torch

    from medcolor.networks.recognizer import CLASSES, as_seen, thumbnail

    judge = by or load_judge(config_dir() / FOLDER)
    with torch.inference_mode():
        looks = torch.cat([thumbnail(torch.from_numpy(plane)[None]) for plane in planes])
        chances = torch.softmax(judge.network(as_seen(looks)), dim=1).mean(dim=0).tolist()
    probabilities = dict(zip(CLASSES, chances, strict=True))
    seen = max(probabilities, key=lambda name: probabilities[name])
    return Recognition(seen, MappingProxyType(probabilities), probabilities["other"])


def mismatch(scan: Scan, family: str, *, by: Judge | None = None) -> Finding | None:
    """Return what is wrong with taking a scan for one of a modality family; None where nothing is.

    The alarm threshold of each family was chosen on validation patients and is in the recognizer's metadata.

    Raises
    ------
    BundleError
        As :func:`recognize`.
    """
    judge = by or load_judge(config_dir() / FOLDER)
    found = recognize(scan, by=judge)
    if not judge.alarms(found, family):
        return None
    if found.seen == BLANK:
        head = "This scan is blank: every pixel has the same value. There is nothing to colour."
    elif found.seen == COLOR:
        head = "This is a picture in colour, not a scan in gray. Its coloured pixels keep their colours."
    else:
        head = f"This looks like {_WORDS[found.seen]} ({found.probabilities[found.seen]:.2f}), not {_WORDS[family]}."
    return Finding(
        CODE,
        f"{head} Colours made for {_WORDS[family]} may mean nothing here. Check what the file is, or say what it is: "
        "modality= in Python, --modality on the command line.",
    )


def audited(scan: Scan, family: str) -> Scan:
    """Return a scan with what :func:`mismatch` finds in its audit, so that whatever is made of it says so; and warn.

    Warns
    -----
    MedcolorWarning
        The scan does not look like the family.
    """
    found = mismatch(scan, family)
    if found is None or found in scan.audit:
        return scan
    warnings.warn(found.message, MedcolorWarning, stacklevel=4)
    return replace(scan, audit=(*scan.audit, found))


def _certain(seen: str) -> Recognition:
    return Recognition(seen, MappingProxyType(dict.fromkeys(MODALITIES, 0.0) | {"other": 1.0}), 1.0)


def _spread(scan: Scan) -> list[int]:
    """Return slices in the middles of equal parts: the ends of a volume often show nothing."""
    count = scan.shape[2]
    return sorted({int((n + 0.5) * count / LOOKED_AT) for n in range(LOOKED_AT)})


def _colorful(scan: Scan) -> bool:
    """Whether most of what is not black has colour of its own; Doppler and annotations are the smaller part."""
    assert scan.colored is not None
    colored, slices = to_slices(scan.colored), to_slices(scan.voxels)
    places = _spread(scan)
    there = sum(int(np.count_nonzero((slices[k] > 8) | colored[k])) for k in places)
    return sum(int(np.count_nonzero(colored[k])) for k in places) > _MOSTLY * max(there, 1)


def _planes(scan: Scan) -> list[NDArray[np.float32]]:
    """Return the slices looked at, (nj, ni), in the usual sense; empty where every slice has but one value."""
    places = _spread(scan)
    planes = [plane for k in places if (plane := _plane(scan, k)) is not None]
    if planes:
        return planes
    rest = (plane for k in range(scan.shape[2]) if k not in places and (plane := _plane(scan, k)) is not None)
    return list(islice(rest, 1))


def _plane(scan: Scan, k: int) -> NDArray[np.float32] | None:
    """Return a slice as gray, 0 to 1 if it had a fraction, thinned out if huge; None where it has but one value."""
    step = -(-max(scan.shape[:2]) // _ENOUGH)
    values = to_slices(scan.voxels)[k, ::step, ::step]
    good = None if scan.padding is None else ~scan.padded(slice(k, k + 1))[0, ::step, ::step]
    if values.dtype.kind == "f" and not (finite := np.isfinite(values)).all():
        good = finite if good is None else good & finite
    there = values if good is None else values[good]
    if there.size == 0 or (low := there.min()) == (high := there.max()):
        return None
    if values.dtype.kind == "f":
        half = values.astype(np.float64) / 2  # the range of doubles may be no double
        gray = ((half - low / 2) / (high / 2 - low / 2)).astype(np.float32)
        low, high = 0, 1
    else:
        gray = values.astype(np.float32)
    if good is not None:
        gray[~good] = high if scan.inverted else low
    return -gray if scan.inverted else gray


def _is_noise(plane: NDArray[np.float32]) -> bool:
    """Whether no pixel says anything of the next one, along rows and along columns: in no picture of a thing."""
    j, i = (-(-size // _LOOKED_AT_LINES) for size in plane.shape)
    pairs = (plane[::j, :-1], plane[::j, 1:]), (plane[:-1, ::i], plane[1:, ::i])
    return all(
        abs(float(((a - a.mean()) * (b - b.mean())).mean())) < _NOISE * float(a.std()) * float(b.std())
        for a, b in pairs
    )


@lru_cache(maxsize=2)
def load_judge(folder: Path) -> Judge:
    """Return the network of a folder with its thresholds, checked.

    Raises
    ------
    BundleError
        A file is missing, damaged, or of another version.
    """
    from medcolor.networks.recognizer import CLASSES, Recognizer

    path = folder / METADATA
    if not path.is_file():
        raise BundleError(f"{path} is missing: the check for foreign images needs it. Install medcolor again.")
    try:
        ours = json.loads(path.read_text(encoding="utf-8"))["recognizer"]
        classes, digest = tuple(ours["classes"]), str(ours["weights_sha256"])
        thresholds = {family: float(ours["thresholds"][family]) for family in MODALITIES}
    except (ValueError, TypeError, KeyError) as error:
        raise BundleError(
            f'{path}: expected JSON with "recognizer": {{"classes", "thresholds", "weights_sha256"}}; '
            f"{type(error).__name__}: {error}."
        ) from error
    if classes != CLASSES:
        raise BundleError(f"{path}: classes are {classes}, this version of medcolor has {CLASSES}.")
    network = Recognizer()
    try:
        network.load_state_dict(read_tensors(folder / WEIGHTS, digest), strict=True)
    except RuntimeError as error:
        raise BundleError(f"{folder / WEIGHTS} does not fit the recognizer. {error}") from error
    return Judge(network.folded(), MappingProxyType(thresholds))


__all__ = [
    "BLANK",
    "CODE",
    "COLOR",
    "LOOKED_AT",
    "TINY",
    "Judge",
    "Recognition",
    "audited",
    "load_judge",
    "mismatch",
    "recognize",
]
