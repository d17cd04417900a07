"""One series' work, and what came of it: plain values that travel to any process as JSON."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """What came of a series, or of a file."""

    DONE = "coloured"
    PARTIAL = "coloured in part"  # damaged files or stacks were left out
    UNCHANGED = "unchanged"  # touched, but the same bytes as when it was coloured
    REFUSED = "refused"  # the input's fault: the same next time
    FAILED = "failed"  # the system's fault: tried again by the next run
    DIED = "died"  # its child process crashed or was ended
    PARKED = "parked"  # died too often
    NO_SPACE = "no space"
    ASIDE = "left aside"  # no image: reports, tables of contents, other files


class BatchCode(StrEnum):
    """Reasons that only a batch has; others are a ``ReadCode`` or the name of a medcolor error."""

    CRASHED = "DecoderCrashed"
    TIME = "TimeLimit"
    MEMORY = "MemoryLimit"
    VANISHED = "Vanished"
    NO_PERMISSION = "NoPermission"
    READ_FAILED = "ReadFailed"
    WRITE_FAILED = "WriteFailed"
    NO_SPACE = "NoSpace"
    UNEXPECTED = "Unexpected"
    OWN_OUTPUT = "OwnOutput"
    DUPLICATE = "Duplicate"
    UNLISTED = "NotListed"
    PICTURE = "PictureBesideScans"
    CONTENTS = "TableOfContents"
    CHANGED = "ChangedMeanwhile"
    IDENTITY = "MayIdentify"
    LOST_WORKERS = "LostWorkers"
    OTHER_VERSION = "OtherVersion"


FINISHED = frozenset({State.DONE, State.PARTIAL})
LASTING = frozenset({State.DONE, State.PARTIAL, State.REFUSED, State.PARKED})  # not done again for equal inputs
_UID = re.compile(r"\d+(?:\.\d+){4,}")


@dataclass(frozen=True, slots=True)
class Task:
    """Everything that the work on one series is a function of.

    Parameters
    ----------
    key, study : str
        16 hex digits: the names of its folder and of its study's, a hash of source UIDs and settings.
    series : str
        sha256 of what the source calls it.
    form : {"dicom", "archive", "volume", "picture"}
    files : tuple of str
        Absolute paths; the archive itself for ``archive``.
    labels : tuple of str
        What each file is called wherever people read: a keyed hash of its path.
    settings : dict
        ``BatchSettings.to_json()``, with the modality of this series.
    settings_digest : str
    out : str
        The output folder.
    known : str
        ``inputs`` of the work that is finished already, "" where there is none.
    source_uids : bool
        Whether to tell the UIDs of the source.
    salt_file : str
        Where the salt of de-identification is, "" where there is none: the secret itself does not travel.
    """

    key: str
    study: str
    series: str
    form: str
    files: tuple[str, ...]
    labels: tuple[str, ...]
    settings: dict[str, Any]
    settings_digest: str
    out: str
    known: str = ""
    source_uids: bool = False
    salt_file: str = ""

    @property
    def folder(self) -> str:
        """Where its output goes, relative to ``out``."""
        return f"{self.study}/{self.key}"

    @property
    def name(self) -> str:
        """What it is called wherever people read."""
        return self.key[:10]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Task:
        """Build from :meth:`to_json` output."""
        return cls(**record | {"files": tuple(record["files"]), "labels": tuple(record["labels"])})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task.

    Parameters
    ----------
    state : State
    code, reason : str
        Of a refusal; the reason is one sentence without patient data, paths or UIDs.
    inputs : str
        sha256 over the contents of its files.
    outputs : dict
        Path relative to ``out`` -> sha256.
    left_out : tuple of int
        Indices of files that are in no output: damaged ones, copies.
    facts : dict
        Modality, size, colorizer, weights, window, codes of findings, seconds; source UIDs where wanted.
    thumbnail : str
        PNG in base64.
    stage : str
        Name of the folder where its output waits to be published, "" where there is none.
    """

    state: State
    code: str = ""
    reason: str = ""
    inputs: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    left_out: tuple[int, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    thumbnail: str = ""
    stage: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Outcome:
        """Build from :meth:`to_json` output."""
        return cls(**record | {"state": State(record["state"]), "left_out": tuple(record["left_out"])})


def plain(reason: str) -> str:
    """Return a reason without anything that looks like a UID: our own sentences have none; a guard, not the rule."""
    return _UID.sub("(a UID)", reason)
