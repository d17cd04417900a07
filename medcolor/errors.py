"""Every exception and warning medcolor raises, on one screen.

A message says what came, what is accepted and what to do, and names the file. It never quotes a value
that could identify a patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path


class ReadCode(StrEnum):
    """Why a file was refused; stable words that scripts and batch summaries may rely on."""

    NOT_AN_IMAGE_FILE = "NotAnImageFile"  # none of the formats we know
    NO_PIXEL_DATA = "NoPixelData"  # a DICOM object without pixels: plan, report, waveform, directory
    UNSUPPORTED_OBJECT = "UnsupportedObject"  # has pixels, but they are no scan: SEG, RTDOSE, RTIMAGE
    UNSUPPORTED_PIXEL = "UnsupportedPixel"  # sample layout outside what we read
    UNSUPPORTED_FORMAT = "UnsupportedFormat"  # an image format of the field that we do not read
    MISSING_ATTRIBUTE = "MissingAttribute"
    CORRUPT = "Corrupt"
    TRUNCATED = "Truncated"
    UNDECODABLE = "Undecodable"  # every installed decoder failed
    TOO_LARGE = "TooLarge"  # over a size cap, refused before allocation
    FOR_PROCESSING = "ForProcessing"  # raw detector data, not meant for display
    EMPTY = "Empty"  # nothing readable in a folder or an archive
    UNSAFE_PATH = "UnsafePath"  # archive member or directory record outside its root


class MedcolorError(Exception):
    """Base of every error medcolor raises on purpose."""


class ReadError(MedcolorError, ValueError):
    """A file exists and is not a scan we can read.

    Parameters
    ----------
    path : Path or str
        The file or folder refused.
    code : ReadCode
        Machine-readable reason.
    reason : str
        One sentence: what came and what is accepted. No patient data.
    remedy : str, optional
        What the user can do.
    """

    def __init__(self, path: Path | str, code: ReadCode, reason: str, remedy: str = "") -> None:
        self.path, self.code, self.reason, self.remedy = Path(path), code, reason, remedy
        super().__init__(f"{path}: {reason}{' ' + remedy if remedy else ''} [{code}]")


class AmbiguousSeriesError(MedcolorError, ValueError):
    """Several series where one was asked for; ``choices`` holds one line for each."""

    def __init__(self, path: Path | str, choices: Sequence[str], reason: str = "") -> None:
        self.path, self.choices = Path(path), tuple(choices)
        head = reason or f"{path}: {len(choices)} series found, one expected. Choose with series=KEY (--series KEY):"
        super().__init__("\n  ".join([head, *choices]))


class GeometryError(MedcolorError, ValueError):
    """Inconsistent spacing or orientation, or values that do not share a grid."""


class ModalityError(MedcolorError, ValueError):
    """The modality is unknown, or not one this colorizer accepts."""


class UnknownColorizerError(MedcolorError, LookupError):
    """No colorizer, palette, style or named window of that name; the message lists what exists."""


class SettingError(MedcolorError, ValueError):
    """A setting outside what is accepted, or one that this colorizer, device or output does not have."""


class PaletteError(MedcolorError, ValueError):
    """A palette file is incomplete or contradicts itself."""


class TrainingError(MedcolorError, ValueError):
    """A training cannot start, go on or be exported; names the setting or file, and what is accepted."""


class BundleError(MedcolorError, ValueError):
    """A trained colorizer's folder is missing, incomplete, damaged, contradictory, or not trusted."""


class ColoringProcessError(MedcolorError, RuntimeError):
    """The process that runs a network for a window died, or failed in a way that nobody foresaw."""


class LicenseError(TrainingError):
    """Data whose licence does not allow what was asked for, such as weights that will be shipped."""


class PrivacyError(MedcolorError, ValueError):
    """What was to be de-identified may still say whose it is, and why."""


class LeakError(MedcolorError, ValueError):
    """A colorizer saw, or cannot be shown not to have seen, a patient it would be judged on."""


class RestoreError(MedcolorError, ValueError):
    """The gray cannot be recovered from these pixels, and why."""


class WriteError(MedcolorError, OSError):
    """The value cannot be written in that format or place; ``errno`` is set where the system refused."""

    def __str__(self) -> str:
        """Return the sentence alone; the system's number is in ``errno``."""
        return str(self.args[-1]) if self.args else ""


class OutputExistsError(WriteError, FileExistsError):
    """Output is already there and overwriting was not asked for."""


class PeerError(MedcolorError, OSError):
    """A PACS cannot be reached, does not let us in, or does not offer what is needed; ``lasting``: nor tomorrow.

    Parameters
    ----------
    reason : str
        One sentence of ours; what the peer says may quote headers and is not repeated.
    code : str
        A status, or a word of ours.
    lasting : bool
    """

    def __init__(self, reason: str, *, code: str = "NoPeer", lasting: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.code, self.lasting = reason, code, lasting


class MedcolorWarning(UserWarning):
    """Something a user should know that does not stop the work."""
