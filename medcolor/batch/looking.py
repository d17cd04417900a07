"""What one file is, and which series it belongs to; runs in a child process, decodes nothing."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from medcolor.batch.naming import source_name
from medcolor.batch.task import BatchCode, State, plain
from medcolor.errors import ReadCode, ReadError

VOLUMES = frozenset({"nifti", "nrrd", "mha"})
_ASIDE = frozenset({ReadCode.NO_PIXEL_DATA, ReadCode.UNSUPPORTED_OBJECT, ReadCode.NOT_AN_IMAGE_FILE})
Look = dict[str, Any]
"""form ("dicom", "archive", "volume", "picture", or "" for none); family of the modality; names of study, of series,
and of series by its UID alone; state, code and reason of a file that is no part of a series; ``holds`` of an archive:
names and count of each series."""


def look(path: Path) -> Look:
    """Say what a file is.

    Never raises: what is wrong with a file is the answer.
    """
    try:
        return _look(path)
    except ReadError as error:
        state = State.ASIDE if error.code in _ASIDE else State.REFUSED
        return _none(state, str(error.code), plain(error.reason))
    except FileNotFoundError:
        return _none(State.FAILED, BatchCode.VANISHED, "It was there a moment ago.")
    except PermissionError:
        return _none(State.FAILED, BatchCode.NO_PERMISSION, "No permission to read it.")
    except OSError:
        return _none(State.FAILED, BatchCode.READ_FAILED, "The disk or the network failed while it was read.")
    except MemoryError:
        return _none(State.REFUSED, ReadCode.TOO_LARGE, "Its header needs more memory than a child process may have.")
    except BaseException as error:  # a panic in Rust is no Exception; the words of either may quote a header
        return _none(
            State.REFUSED, BatchCode.UNEXPECTED, f"Looking at it failed unexpectedly ({type(error).__name__})."
        )


def _none(state: State, code: str, reason: str) -> Look:
    return {"form": "", "state": str(state), "code": str(code), "reason": reason}


def _look(path: Path) -> Look:
    from medcolor.io.dicom.files import is_dicom
    from medcolor.io.sniff import format_of

    if path.stat().st_size == 0:
        return _none(State.REFUSED, ReadCode.EMPTY, "The file is empty.")
    form = format_of(path)
    if form is None:
        form = "dicom" if is_dicom(path) else None
    if form == "dicom":
        return _dicom(path)
    if form == "zip":
        return _archive(path)
    if form is None:
        return _none(State.ASIDE, ReadCode.NOT_AN_IMAGE_FILE, "No image format that medcolor knows.")
    with path.open("rb") as stream:
        name = source_name("content", hashlib.file_digest(stream, "sha256").hexdigest())
    return {"form": "volume" if form in VOLUMES else "picture", "study": name, "series": name, "uid": ""}


def _dicom(path: Path) -> Look:
    from medcolor.io.dicom import archives
    from medcolor.io.dicom.parse import parse, quiet_pydicom

    with quiet_pydicom(), tempfile.TemporaryDirectory(prefix="medcolor-") as private:
        where = path
        with path.open("rb") as stream:
            zipped = stream.read(2) == archives.GZIP_MAGIC
        if zipped:
            where = Path(private) / "unpacked"
            archives.gunzip(path, where)
        return look_at(parse(where, path, pixels=False))


def look_at(instance: Any) -> Look:
    """Say what a parsed DICOM file is; raises ReadError where it is no scan."""
    from medcolor.io.dicom import header
    from medcolor.io.dicom.parse import DIRECTORY_CLASS
    from medcolor.io.dicom.series import refusal

    ds, meta = instance.header, getattr(instance.header, "file_meta", None)
    if DIRECTORY_CLASS in (header.text(meta, "MediaStorageSOPClassUID"), header.text(ds, "SOPClassUID")):
        return _none(State.ASIDE, BatchCode.CONTENTS, "A table of contents; the files it names are taken themselves.")
    if header.text(meta, "ImplementationVersionName").startswith("MEDCOLOR_") or _of_ours(ds):
        return _none(State.ASIDE, BatchCode.OWN_OUTPUT, "Coloured by medcolor already.")
    error = refusal(instance)
    if error is not None and error.code is ReadCode.NO_PIXEL_DATA and _should_have_pixels(ds):
        raise ReadError(instance.path, ReadCode.TRUNCATED, "An image without its pixels: the file is cut off.")
    if error is not None:
        raise error
    study, series, uid = _names(instance)
    return {"form": "dicom", "study": study, "series": series, "uid": uid, "family": _family(ds)}


def _of_ours(ds: Any) -> bool:
    """Whether an object is medcolor's though a PACS wrote the file anew."""
    from medcolor.io.dicom import header
    from medcolor.io.dicom.provenance import MODEL_NAME

    return (
        header.text(ds, "Manufacturer") == "medcolor project" and header.text(ds, "ManufacturerModelName") == MODEL_NAME
    )


def _family(ds: Any) -> str:
    """Return CT, MR ... or "": a word of ours, whatever the file says."""
    from medcolor.io.dicom import header
    from medcolor.scan import family

    return family(header.text(ds, "Modality")) or ""


def _should_have_pixels(ds: Any) -> bool:
    from pydicom.uid import UID

    from medcolor.io.dicom import header

    return UID(header.text(ds, "SOPClassUID")).name.endswith("Image Storage")


def _names(instance: Any) -> tuple[str, str, str]:
    """Return the names of study, series, and series by its UID alone; the bytes stand in for a missing UID."""
    from medcolor.io.dicom import header

    study, series = (header.text(instance.header, f"{level}InstanceUID") for level in ("Study", "Series"))
    if not series:
        with instance.file.open("rb") as stream:
            series = "content " + hashlib.file_digest(stream, "sha256").hexdigest()
    return source_name("study", study or series), source_name("series", study, series), source_name("uid", series)


def _archive(path: Path) -> Look:
    from medcolor.io.dicom.files import collect
    from medcolor.io.dicom.parse import quiet_pydicom
    from medcolor.io.dicom.series import candidates_of

    series: Counter[tuple[str, str, str]] = Counter()
    with quiet_pydicom(), collect(path, pixels=False) as found:
        for candidate in candidates_of(found):
            for instance in candidate.instances:
                series[_names(instance)] += 1
        damaged = len(found.refusals)
    holds = [[*names, count] for names, count in series.items()]
    return {"form": "archive", "study": "", "series": "", "uid": "", "holds": holds, "damaged": damaged}


def of_series(instance: Any, series: str) -> bool:
    """Whether an instance of an archive belongs to the series of that name."""
    return _names(instance)[1] == series
