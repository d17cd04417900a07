"""Which files somebody means: folders searched through, archives, single files, lists in CSV."""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medcolor.batch.naming import source_name
from medcolor.batch.task import BatchCode, State
from medcolor.errors import ReadCode, SettingError

_COLUMNS = ("path", "series", "modality")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One input.

    Parameters
    ----------
    path : Path
    series : str
        SeriesInstanceUID, "" for all.
    modality : str or None
        Instead of what the file says.
    """

    path: Path
    series: str = ""
    modality: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A file, or what is in the place of one; with ``code`` it cannot be looked at."""

    path: str
    size: int = 0
    changed: int = 0
    state: State = State.ASIDE
    code: str = ""
    reason: str = ""


def expand(inputs: Sequence[Path]) -> list[Wanted]:
    """Return the inputs, lists in CSV replaced by what they name; a DICOMDIR stands for its folder.

    Raises
    ------
    FileNotFoundError
    SettingError
        A list without a column "path".
    """
    wanted: list[Wanted] = []
    for path in inputs:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder.")
        if path.suffix.lower() == ".csv" and path.is_file():
            wanted += _listed(path)
        elif path.name.upper() == "DICOMDIR" and path.is_file():
            wanted.append(Wanted(path.parent))
        else:
            wanted.append(Wanted(path))
    return list(dict.fromkeys(wanted))


def _listed(path: Path) -> list[Wanted]:
    """Read a list of series: columns path (from the list's folder), and if wanted series and modality."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            names = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
            if "path" not in names:
                raise SettingError(
                    f'{path}: the first line must name the columns: "path", and if wanted {_COLUMNS[1:]}.'
                )
            read = [{column: (row.get(names.get(column, "")) or "").strip() for column in _COLUMNS} for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingError(f"{path}: this is no CSV in UTF-8.") from error
    return [
        Wanted(path.parent / row["path"], row["series"], row["modality"].upper() or None) for row in read if row["path"]
    ]


def uid_name(uid: str) -> str:
    """Return the name of a series by its UID alone."""
    return source_name("uid", uid)


def walk(root: Path, out: Path) -> Iterator[Found]:
    """Yield every file under a path in a stable order, each once; the output folder is left out.

    Links are followed only where they stay inside. What is no regular file, or cannot be looked at, is said.
    """
    top = root.absolute()
    if not top.is_dir():
        yield _found(top)
        return
    inside, own = top.resolve(), out.resolve()
    seen: set[tuple[int, int]] = set()
    folders = [str(top)]
    while folders:
        folder = folders.pop()
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208
        except OSError as error:
            yield Found(folder, 0, 0, State.FAILED, *_why(error))
            continue
        deeper = []
        for name in names:
            path = Path(folder, name)
            try:
                link = path.is_symlink()
                if link and not path.resolve().is_relative_to(inside):
                    yield Found(str(path), 0, 0, State.ASIDE, ReadCode.UNSAFE_PATH, "A link that leads elsewhere.")
                    continue
                status = path.stat()
            except RuntimeError:
                yield Found(str(path), 0, 0, State.ASIDE, ReadCode.UNSAFE_PATH, "A link that leads to itself.")
                continue
            except OSError as error:
                state = State.ASIDE if path.is_symlink() else State.FAILED
                yield Found(str(path), 0, 0, state, *_why(error))
                continue
            identity = (status.st_dev, status.st_ino)
            if identity in seen and (link or stat.S_ISDIR(status.st_mode)):
                continue
            seen.add(identity)
            if stat.S_ISDIR(status.st_mode):
                if path.resolve() != own:
                    deeper.append(str(path))
            else:
                yield _of(str(path), status)
        folders.extend(reversed(deeper))


def _found(path: Path) -> Found:
    try:
        return _of(str(path), path.stat())
    except OSError as error:
        return Found(str(path), 0, 0, State.FAILED, *_why(error))


def _of(path: str, status: os.stat_result) -> Found:
    if not stat.S_ISREG(status.st_mode):
        return Found(path, 0, 0, State.ASIDE, ReadCode.NOT_AN_IMAGE_FILE, "Neither a regular file nor a folder.")
    return Found(path, status.st_size, status.st_mtime_ns)


def _why(error: OSError) -> tuple[str, str]:
    if isinstance(error, FileNotFoundError):
        return BatchCode.VANISHED, "It was there a moment ago, or is a link to nothing."
    if isinstance(error, PermissionError):
        return BatchCode.NO_PERMISSION, "No permission to look into it."
    return BatchCode.READ_FAILED, "The disk or the network failed."


__all__ = ["Found", "Wanted", "expand", "uid_name", "walk"]
