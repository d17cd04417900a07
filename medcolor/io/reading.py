"""``read`` and ``list_series``: find out what a path holds, and hand it to the module that knows the format."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from medcolor.errors import AmbiguousSeriesError, MedcolorWarning, ModalityError, ReadCode, ReadError
from medcolor.io.series import SeriesInfo
from medcolor.io.sniff import format_of
from medcolor.scan import Scan

_VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd")
_VOLUMES = frozenset({"nifti", "nrrd", "mha"})
_RASTERS = frozenset({"png", "jpeg", "tiff"})
_ACCEPTED = "DICOM, NIfTI, NRRD, MHA/MHD, PNG, TIFF and JPEG are accepted."


@dataclass(frozen=True, slots=True)
class _Found:
    """What a folder holds."""

    dicom: bool
    files: tuple[tuple[Path, str], ...]  # volumes; or rasters where there is nothing else

    @property
    def beside_pictures(self) -> bool:
        """Whether there is more than pictures: a stack of ours is then one series of several."""
        return self.dicom or any(form in _VOLUMES for _, form in self.files)


def list_series(path: Path | str) -> list[SeriesInfo]:
    """Return what a file or folder holds, without decoding pixels.

    Parameters
    ----------
    path : Path or str
        A file, a zip or a DICOMDIR, or a folder, searched with its subfolders. Loose PNG, JPEG and TIFF files are
        listed, one image each, only where a folder holds nothing else.

    Returns
    -------
    list of SeriesInfo

    Raises
    ------
    FileNotFoundError
    ReadError
        Nothing readable, and why.
    """
    with typed_failures(path):
        path = _existing(path)
        if path.is_dir():
            return _list_folder(path)
        form = _file_format(path)
        if form in {"dicom", "zip"}:
            from medcolor.io.dicom.series import list_dicom

            return list_dicom(path)
        return _list_file(path, form)


def read(path: Path | str, *, series: str | int | None = None, modality: str | None = None) -> Scan:
    """Read one image or volume.

    Parameters
    ----------
    path : Path or str
        A file or a folder; see :func:`list_series`.
    series : str or int, optional
        Which one: a key of :func:`list_series`, or its number there, from 1. Needed where several series are found;
        a file with several volumes, phases or stacks reads as its first without it, with a warning.
    modality : str, optional
        DICOM modality code, for files that do not say it, or say it wrong.

    Returns
    -------
    Scan

    Raises
    ------
    FileNotFoundError
    AmbiguousSeriesError
        Several series and no choice, or a choice that is not there; lists them.
    ReadError
        The file cannot be read, and why.

    Warns
    -----
    MedcolorWarning
        The file does not say its modality, or holds more than was read.
    """
    code = _modality(modality)
    with typed_failures(path):
        path = _existing(path)
        if path.is_dir():
            return _read_folder(path, series, code)
        form = _file_format(path)
        if form in {"dicom", "zip"}:
            from medcolor.io.dicom.read import read_dicom

            return read_dicom(path, series=series, modality=code)
        return _read_part(path, form, _pick(path, _list_file(path, form), series), code)


@contextmanager
def typed_failures(path: Path | str) -> Iterator[None]:
    """Refuse what the system does not let us read, and what is below the size caps and still too large for it."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ReadError(path, ReadCode.CORRUPT, f"it cannot be read ({why}).", "Check permissions and disk.") from error
    except MemoryError:
        raise ReadError(
            path,
            ReadCode.TOO_LARGE,
            "decoded, this is larger than the memory this process may have.",
            "Crop or downsample it, or read it where there is more memory.",
        ) from None


def _existing(path: Path | str) -> Path:
    found = Path(path)
    if not found.exists():
        raise FileNotFoundError(f"{path}: no such file or folder.")
    return found


def _modality(modality: str | None) -> str | None:
    if modality is None:
        return None
    code = modality.strip().upper()
    if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,15}", code):
        raise ModalityError(f'"{modality}" is no modality; give a DICOM code such as CT, MR, PT, NM, US, CR, DX or MG.')
    return code


def _file_format(path: Path) -> str:
    if not path.is_file():
        raise ReadError(path, ReadCode.NOT_AN_IMAGE_FILE, "this is neither a file nor a folder.")
    if path.stat().st_size == 0:
        raise ReadError(path, ReadCode.EMPTY, "the file is empty.", "Copy it again.")
    form = format_of(path)
    if form is not None:
        return form
    from medcolor.io.dicom.files import is_dicom

    if is_dicom(path):
        return "dicom"
    raise ReadError(path, ReadCode.NOT_AN_IMAGE_FILE, "this is no image format medcolor knows.", _ACCEPTED)


def _list_file(path: Path, form: str) -> list[SeriesInfo]:
    if form == "nifti":
        from medcolor.io.nifti import list_nifti

        return list_nifti(path)
    if form in {"nrrd", "mha"}:
        from medcolor.io.itk import list_itk

        return list_itk(path, form)
    if form == "tiff":
        from medcolor.io.tiff import list_tiff

        return list_tiff(path)
    from medcolor.io.raster import list_raster

    return list_raster(path, form)


def _read_part(path: Path, form: str, part: int, modality: str | None) -> Scan:
    if form == "nifti":
        from medcolor.io.nifti import read_nifti

        return read_nifti(path, volume=part, modality=modality)
    if form in {"nrrd", "mha"}:
        from medcolor.io.itk import read_itk

        return read_itk(path, form, volume=part, modality=modality)
    if form == "tiff":
        from medcolor.io.tiff import read_tiff

        return read_tiff(path, image=part, modality=modality)
    from medcolor.io.raster import read_raster

    return read_raster(path, form, modality=modality)


def _pick(path: Path, found: Sequence[SeriesInfo], series: str | int | None) -> int:
    """Return the 0-based place of the wanted series in a listing."""
    if series is None:
        if len(found) > 1:
            others = ", ".join(info.key for info in found[1:6]) + (" ..." if len(found) > 6 else "")
            warnings.warn(
                f"{path}: {len(found)} images in this file; read {found[0].key}. The others: {others}. "
                "Choose with series=KEY (--series KEY).",
                MedcolorWarning,
                stacklevel=3,
            )
        return 0
    wanted = str(series)
    for n, info in enumerate(found):
        if info.key == wanted:
            return n
    if wanted.isdecimal() and 1 <= int(wanted) <= len(found):
        return int(wanted) - 1
    raise AmbiguousSeriesError(
        path, [str(info) for info in found], f'{path}: there is no series "{wanted}". There are:'
    )


def _list_folder(folder: Path) -> list[SeriesInfo]:
    from medcolor.io.stack import list_stack

    found = _look(folder)
    listed, refused = list_stack(folder), list[ReadError]()
    if listed and not found.beside_pictures:
        return listed
    if found.dicom:
        from medcolor.io.dicom.series import list_dicom

        try:
            listed = listed + list_dicom(folder)
        except ReadError as error:
            refused.append(error)
    for path, form in found.files:
        try:
            parts = _list_file(path, form)
        except ReadError as error:
            refused.append(error)
            continue
        name = path.relative_to(folder).as_posix()
        listed += [replace(info, key=name if len(parts) == 1 else f"{name}{info.key}") for info in parts]
    if refused and not listed:
        raise refused[0]
    if refused:
        what = "1 file was" if len(refused) == 1 else f"{len(refused)} files were"
        warnings.warn(f"{folder}: {what} left out; the first: {refused[0]}", MedcolorWarning, stacklevel=3)
    return listed


def _read_folder(folder: Path, series: str | int | None, modality: str | None) -> Scan:
    from medcolor.io.stack import read_stack, recorded_stack

    stack = recorded_stack(folder)
    found = _look(folder)
    if stack is not None and not found.beside_pictures:
        return read_stack(folder, modality=modality)
    if stack is None and found.dicom and not found.files:
        from medcolor.io.dicom.read import read_dicom

        return read_dicom(folder, series=series, modality=modality)
    if not found.dicom and len(found.files) == 1 and series is None:
        path, form = found.files[0]
        return _read_part(path, form, _pick(path, _list_file(path, form), None), modality)
    listed = _list_folder(folder)
    if series is None and len(listed) > 1:
        raise AmbiguousSeriesError(folder, [str(info) for info in listed])
    info = listed[_pick(folder, listed, series)]
    if stack is not None and info.paths == tuple(stack[1]):
        return read_stack(folder, modality=modality)
    if info.format == "dicom":
        from medcolor.io.dicom.read import read_dicom

        return read_dicom(folder, series=info.key, modality=modality)
    part = re.search(r"#(\d+)$", info.key) if len([i for i in listed if i.paths == info.paths]) > 1 else None
    return _read_part(info.paths[0], info.format, int(part[1]) - 1 if part else 0, modality)


def _look(folder: Path) -> _Found:
    """Find what a folder holds; once one DICOM file is seen, only the names of the others are looked at."""
    from medcolor.io.dicom.files import is_dicom

    volumes: list[tuple[Path, str]] = []
    rasters: list[tuple[Path, str]] = []
    dicom, refusal = False, None
    for path in _walk(folder):
        if dicom and not path.name.lower().endswith(_VOLUME_SUFFIXES):
            continue
        try:
            form = format_of(path)
        except ReadError as error:
            refusal = refusal or error
            continue
        if form in _VOLUMES:
            volumes.append((path, form))
        elif form in _RASTERS:
            rasters.append((path, form))
        elif form in {"dicom", "zip"} or (form is None and is_dicom(path)):
            dicom = True
    if not (dicom or volumes or rasters):
        raise refusal or ReadError(folder, ReadCode.EMPTY, "nothing readable in this folder.", _ACCEPTED)
    return _Found(dicom, tuple(volumes) if dicom or volumes else tuple(rasters))


def _walk(folder: Path) -> Iterator[Path]:
    """Yield regular files in a stable order; not hidden ones, no links to folders or out of the folder."""
    inside = folder.resolve()
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root) / name
            if name.startswith(".") or not path.is_file():
                continue
            if not path.is_symlink() or path.resolve().is_relative_to(inside):
                yield path
