"""Reading in a child process: a decoder that crashes, hangs or eats memory does not take its caller with it.

Native decoders (JPEG, JPEG 2000, TIFF, ITK) meet files that nobody checked. A window full of a radiologist's work, or
a batch over a night, must outlive them. The child runs one function by name and hands its result back through a
temporary file; arrays travel as raw bytes beside the pickle, and come back read-only.
"""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from medcolor import errors
from medcolor.errors import AmbiguousSeriesError, MedcolorError, MedcolorWarning, ReadCode, ReadError, SettingError
from medcolor.io.child_process import child_command, free_memory, limit_memory, manner_of_death, private_folder

_RESULT, _BUFFERS, _FAILURE = "result.pickle", "buffers.bin", "failure.json"
_TRUSTED = frozenset({"medcolor", "numpy", "pydicom", "pathlib", "collections", "datetime", "decimal", "copyreg"})
_PLAIN = frozenset(
    {"set", "frozenset", "bytearray", "bytes", "str", "int", "float", "bool", "complex", "slice", "range"}
    | {"list", "dict", "tuple", "object"}
)


class Isolated:
    """A function running in a child process.

    Parameters
    ----------
    function : str
        ``"package.module:name"`` inside medcolor.
    path : Path or str
        First argument, and what errors name.
    memory : int, optional
        Bytes the child may have (POSIX). Default: what this computer has free.
    **arguments
        Keyword arguments; JSON values, or anything that pickles.

    Notes
    -----
    ``poll()`` is for callers with an event loop; :meth:`result` waits. A child that is not wanted any more is ended by
    :meth:`cancel`.
    """

    def __init__(self, function: str, path: Path | str, *, memory: int | None = None, **arguments: Any) -> None:
        if not function.startswith("medcolor."):
            raise SettingError(f'Only functions of medcolor run in a child process, not "{function}".')
        self.path, self._since = Path(path), time.monotonic()
        self._folder = private_folder()
        request = {"function": function, "path": str(path), "memory": memory or free_memory(), "arguments": arguments}
        (Path(self._folder.name) / "request.pickle").write_bytes(pickle.dumps(request))
        command = child_command("medcolor.io.isolated:serve", self._folder.name)
        self._child = subprocess.Popen(  # output of decoders goes nowhere
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def poll(self) -> bool:
        """Whether the child has ended."""
        return self._child.poll() is not None

    def cancel(self) -> None:
        """End the child, whatever it does."""
        if not self.poll():
            self._child.kill()
        self._child.wait()
        self._folder.cleanup()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the child and return what the function returned.

        Parameters
        ----------
        timeout : float, optional
            Seconds after which the child is ended.

        Raises
        ------
        MedcolorError, FileNotFoundError
            What the function raised.
        ReadError
            The child died (UNDECODABLE), had no memory (TOO_LARGE) or time (UNDECODABLE), or failed unexpectedly.
        """
        try:
            code = self._child.wait(timeout)
            return self._collect(code)
        except subprocess.TimeoutExpired:
            raise ReadError(
                self.path,
                ReadCode.UNDECODABLE,
                f"reading it was ended after {time.monotonic() - self._since:.0f} s, the time it was given.",
                "It is damaged, or larger than expected; allow more time if it should be read.",
            ) from None
        finally:
            self.cancel()

    def _collect(self, code: int) -> Any:
        folder = Path(self._folder.name)
        if (folder / _FAILURE).exists():
            raise _revived(json.loads((folder / _FAILURE).read_text("utf-8")), self.path)
        if code != 0 or not (folder / _RESULT).exists():
            raise ReadError(
                self.path, ReadCode.UNDECODABLE, manner_of_death(code), "It is damaged or unusual; try another copy."
            )
        said, value = _load(folder)
        for message in said:
            warnings.warn(message, MedcolorWarning, stacklevel=3)
        return value


def read_isolated(path: Path | str, *, timeout: float | None = None, memory: int | None = None, **options: Any) -> Any:
    """Read as :func:`medcolor.read` does, in a child process.

    Parameters
    ----------
    path : Path or str
    timeout : float, optional
        Seconds; None waits.
    memory : int, optional
        Bytes the child may have (POSIX).
    **options
        ``series`` and ``modality``.

    Returns
    -------
    Scan

    Raises
    ------
    FileNotFoundError, MedcolorError
        As :func:`medcolor.read`; and ReadError, naming the file, where the decoder crashed.
    """
    return Isolated("medcolor.io.reading:read", path, memory=memory, **options).result(timeout)


def serve(folder: str) -> None:
    """Run the request in ``folder``; the child's whole life."""
    place = Path(folder)
    request = pickle.loads((place / "request.pickle").read_bytes())
    limit_memory(request["memory"])
    try:
        module, name = request["function"].split(":")
        function: Callable[..., Any] = getattr(import_module(module), name)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            value = function(Path(request["path"]), **request["arguments"])
        said = [str(w.message) for w in caught if issubclass(w.category, MedcolorWarning)]
        _save((said, value), place)
    except BaseException as error:
        (place / _FAILURE).write_text(json.dumps(_record(error)), "utf-8")


def _record(error: BaseException) -> dict[str, Any]:
    record: dict[str, Any] = {"kind": type(error).__name__, "message": str(error)}
    if isinstance(error, ReadError):
        record |= {"path": str(error.path), "code": str(error.code), "reason": error.reason, "remedy": error.remedy}
    if isinstance(error, AmbiguousSeriesError):
        record |= {"path": str(error.path), "choices": list(error.choices)}
    return record


def _revived(record: dict[str, Any], path: Path) -> Exception:
    """Return the error of the child: same type, same words."""
    kind, message = record["kind"], record["message"]
    if kind == "ReadError":
        return ReadError(record["path"], ReadCode(record["code"]), record["reason"], record["remedy"])
    if kind == "AmbiguousSeriesError":
        return AmbiguousSeriesError(record["path"], record["choices"], message.split("\n  ")[0])
    if kind == "FileNotFoundError":
        return FileNotFoundError(message)
    if kind == "MemoryError":
        reason = "reading it needs more memory than is free."
        return ReadError(path, ReadCode.TOO_LARGE, reason, "Close other programs, or crop it.")
    known = getattr(errors, kind, None)
    if isinstance(known, type) and issubclass(known, MedcolorError):
        return known(message)
    # of an error we did not foresee only its type: its words may quote a header
    return ReadError(path, ReadCode.CORRUPT, f"reading it failed unexpectedly ({kind}).", "Please report this.")


class _Pickler(pickle.Pickler):
    """Knows read-only mappings, and lays arrays out so that they need no copy."""

    def reducer_override(self, obj: Any) -> Any:
        """Return how to rebuild what pickle cannot, or would copy."""
        if isinstance(obj, MappingProxyType):
            return _mapping, (dict(obj),)
        if type(obj) is np.ndarray and obj.ndim > 2 and not (obj.flags.c_contiguous or obj.flags.f_contiguous):
            turned = obj.transpose(2, 1, 0, *range(3, obj.ndim))
            if turned.flags.c_contiguous:
                return _turned, (turned,)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    """Builds values of the packages that scans are made of, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class, refusing those that no scan holds."""
        if module.split(".")[0] in _TRUSTED or (module == "builtins" and name in _PLAIN):
            return super().find_class(module, name)
        if (module, name) == ("io", "open"):  # pydicom keeps how it opened a file
            return _closed
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a scan")


def _closed(*_: Any) -> Any:
    raise OSError("The file of this header is not read again.")


def _mapping(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)


def _turned(array: Any) -> Any:
    return array.transpose(2, 1, 0, *range(3, array.ndim))


def _save(value: Any, folder: Path) -> None:
    sizes: list[int] = []
    with (folder / _BUFFERS).open("wb") as stream:

        def outside(buffer: pickle.PickleBuffer) -> None:
            raw = buffer.raw()
            sizes.append(raw.nbytes)
            stream.write(raw)

        packed = io.BytesIO()
        _Pickler(packed, protocol=5, buffer_callback=outside).dump(value)
    (folder / "sizes.json").write_text(json.dumps(sizes), "utf-8")
    (folder / _RESULT).write_bytes(packed.getvalue())


def _load(folder: Path) -> tuple[list[str], Any]:
    buffers = []
    with (folder / _BUFFERS).open("rb") as stream:
        for size in json.loads((folder / "sizes.json").read_text("utf-8")):
            block = bytearray(size)
            stream.readinto(block)
            buffers.append(memoryview(block).toreadonly())
    with (folder / _RESULT).open("rb") as stream:
        said, value = _Unpickler(stream, buffers=buffers).load()
    return said, value


__all__ = ["Isolated", "read_isolated", "serve"]
