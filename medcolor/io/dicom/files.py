"""Which files a path means: a file, a folder, a DICOMDIR, a zip or gzip archive; nothing outside of it is touched."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medcolor.errors import ReadCode, ReadError
from medcolor.io.dicom import archives, header
from medcolor.io.dicom.parse import DIRECTORY_CLASS, HEAD, Instance, looks_like_dicom, parse
from medcolor.scan import Finding, Severity

_PEEK = max(HEAD, 8)


@dataclass(slots=True)
class Collection:
    """What was found under a path.

    Parameters
    ----------
    path : Path
    instances : list of Instance
        Parsed DICOM files, in order of their names.
    refusals : list of ReadError
        DICOM files that could not be parsed.
    skipped : int
        Regular files that are no DICOM.
    missing : int
        Files that a DICOMDIR names and that are not there.
    single : bool
        The path is one file and not a collection.
    """

    path: Path
    instances: list[Instance] = field(default_factory=list)
    refusals: list[ReadError] = field(default_factory=list)
    skipped: int = 0
    missing: int = 0
    single: bool = False

    def findings(self) -> tuple[Finding, ...]:
        """Return what a user should know about the files left aside."""
        found = []
        if self.skipped:
            text = f"{_files(self.skipped)} no DICOM and skipped."
            found.append(Finding("skipped-files", text, Severity.NOTE))
        if self.missing:
            found.append(Finding("missing-files", f"{_files(self.missing)} named by the DICOMDIR and not there."))
        if self.refusals:
            first = self.refusals[0]
            text = f"{_files(len(self.refusals))} damaged and left out; the first: {first.reason} [{first.code}]"
            found.append(Finding("unreadable-files", text))
        return tuple(found)


def _files(count: int) -> str:
    return "1 file is" if count == 1 else f"{count} files are"


def is_dicom(path: Path | str) -> bool:
    """Whether ``path`` is for the DICOM reader: a DICOM file (gzip too), a zip file, or a folder with one of them.

    Reads the first bytes of files only, and never opens anything but regular files.
    """
    path = Path(path)
    if path.is_dir():
        return any(_head(file)[1] for file in _walk(path))
    return path.is_file() and (_head(path)[1] or _is_zip(path))


def _is_zip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) in archives.ZIP_MAGIC


def _head(path: Path) -> tuple[bytes, bool]:
    """Return the first bytes of a file (inside of gzip), and whether they look like DICOM."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_PEEK)
    except OSError:
        return b"", False
    if head.startswith(archives.GZIP_MAGIC):
        return head, looks_like_dicom(archives.peek_gzip(path, _PEEK))
    return head, looks_like_dicom(head)


def _walk(root: Path) -> Iterator[Path]:
    """Yield the regular files under a folder in order of names; links only when they stay inside, each file once."""
    inside = root.resolve()
    seen: set[tuple[int, int]] = set()
    folders = [root]
    while folders:
        folder = folders.pop()
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
        deeper = []
        for name in names:
            path = folder / name
            try:
                if path.is_symlink() and not path.resolve().is_relative_to(inside):
                    continue
                status = path.stat()
            except (OSError, RuntimeError):  # dangling, looping or forbidden
                continue
            identity = (status.st_dev, status.st_ino)
            if identity in seen:
                continue
            if stat.S_ISDIR(status.st_mode):
                seen.add(identity)
                deeper.append(path)
            elif stat.S_ISREG(status.st_mode):
                seen.add(identity)
                yield path
        folders.extend(reversed(deeper))


@contextmanager
def collect(path: Path, *, pixels: bool, files: Iterable[Path] | None = None) -> Iterator[Collection]:
    """Find and parse everything under ``path``; unpacked archives live as long as the block.

    Parameters
    ----------
    path : Path
    pixels : bool
        Whether pixel data will be read.
    files : iterable of Path, optional
        Take these instead of searching the folder ``path``, which errors then name.

    Raises
    ------
    FileNotFoundError
    ReadError
        A single file that cannot be parsed, an unsafe archive or directory record, nothing to read at all.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder.")
    with tempfile.TemporaryDirectory(prefix="medcolor-") as private:
        found = Collection(path)
        if path.is_dir():
            for number, file in enumerate(_walk(path) if files is None else files):
                _add(found, file, Path(private) / f"{number:06d}", pixels=pixels)
        elif not path.is_file():
            raise ReadError(path, ReadCode.NOT_AN_IMAGE_FILE, "Neither a regular file nor a folder.")
        elif _is_zip(path):
            _add_zip(found, Path(private), pixels=pixels)
        else:
            found.single = True
            _add_single(found, Path(private) / "unpacked", pixels=pixels)
        _require_something(found)
        yield found


def _require_something(found: Collection) -> None:
    if found.instances:
        return
    if found.refusals:
        return  # candidates_of says why none of them is a scan
    if found.missing:
        raise ReadError(
            found.path,
            ReadCode.EMPTY,
            f"A DICOMDIR is a table of contents; the {found.missing} files it names are not beside it.",
            "Pass it together with its folder, or pass the image files.",
        )
    raise ReadError(found.path, ReadCode.EMPTY, f"No DICOM file in it ({found.skipped} other files).")


def _add(found: Collection, file: Path, unpacked: Path, *, pixels: bool) -> None:
    """Add one file of a folder, or count why not."""
    head, wanted = _head(file)
    if not wanted:
        found.skipped += 1
        return
    try:
        where = file
        if head.startswith(archives.GZIP_MAGIC):
            archives.gunzip(file, unpacked)
            where = unpacked
        instance = parse(where, file, pixels=pixels)
    except ReadError as error:
        found.refusals.append(error)
    except OSError as error:
        found.refusals.append(ReadError(file, ReadCode.CORRUPT, f"Cannot be read ({error.strerror})."))
    else:
        if not _is_directory(instance):
            found.instances.append(instance)


def _add_zip(found: Collection, private: Path, *, pixels: bool) -> None:
    for file, head in archives.unzip(found.path, private, _PEEK):
        if not looks_like_dicom(head):
            found.skipped += 1
            file.unlink()
            continue
        try:
            instance = parse(file, found.path, pixels=pixels)
        except ReadError as error:
            found.refusals.append(error)
            continue
        if not _is_directory(instance):
            found.instances.append(instance)


def _add_single(found: Collection, unpacked: Path, *, pixels: bool) -> None:
    head, _ = _head(found.path)
    where = found.path
    if head.startswith(archives.GZIP_MAGIC):
        archives.gunzip(found.path, unpacked)
        where = unpacked
    instance = parse(where, found.path, pixels=pixels)
    if _is_directory(instance):
        found.single = False
        _add_directory(found, instance.header, unpacked.parent, pixels=pixels)
    else:
        found.instances.append(instance)


def _is_directory(instance: Instance) -> bool:
    meta = getattr(instance.header, "file_meta", None)
    return DIRECTORY_CLASS in (
        header.text(meta, "MediaStorageSOPClassUID"),
        header.text(instance.header, "SOPClassUID"),
    )


def _add_directory(found: Collection, directory: Any, private: Path, *, pixels: bool) -> None:
    """Add the files that the records of a DICOMDIR name, as far as they are inside its folder."""
    root = found.path.parent
    inside = root.resolve()
    for number, record in enumerate(header.items(directory, "DirectoryRecordSequence")):
        parts = [str(part) for part in header.values(record, "ReferencedFileID")]
        if not parts:
            continue
        file = root.joinpath(*parts)
        if any(part in ("", ".", "..") or "/" in part or "\\" in part or "\0" in part for part in parts) or not (
            file.resolve().is_relative_to(inside)
        ):
            raise ReadError(
                found.path, ReadCode.UNSAFE_PATH, "A record of the DICOMDIR names a file outside its folder."
            )
        if not file.is_file():
            found.missing += 1
            continue
        _add(found, file, private / f"{number:06d}", pixels=pixels)
