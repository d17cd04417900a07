"""From a name that says nothing back to the files it stands for: for whoever has the files and the output folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from medcolor.batch.inputs import expand, walk
from medcolor.batch.journal import Journal, open_journal
from medcolor.batch.naming import LABEL, file_label, output_name
from medcolor.batch.salt import salt_of


def find_files(inputs: Sequence[Path], out: Path, name: str, *, salt_file: Path | None = None) -> list[str]:
    """Return the paths behind a name of a summary or a message.

    Parameters
    ----------
    inputs : sequence of Path
        What the batch was given.
    out : Path
        Its output folder.
    name : str
        Of a file; or of a series: its folder's name, or the first ten digits of it.
    salt_file : Path, optional
        Of de-identification, where it is not the output folder's own.
    """
    wanted, found = name.strip().lower(), list[str]()
    salts = [b"", salt_of(out.absolute(), salt_file, keep=False).value]
    with open_journal(out.absolute(), lambda: None, copy=True) as journal:
        looks = {label: look for label, (_, _, look) in journal.looks().items()}
        for each in expand(inputs):
            for file in walk(each.path, out):
                label = file_label(journal.salt, file.path)
                if label == wanted or (label in looks and _is_of(journal, wanted, looks[label], salts)):
                    found.append(file.path)
    return found


def _is_of(journal: Journal, wanted: str, look: str, salts: Sequence[bytes]) -> bool:
    """Whether a file belongs to the series whose output folder's name begins with ``wanted``."""
    record = json.loads(look)
    series = [record["series"]] if record.get("series") else [names[1] for names in record.get("holds", [])]
    names = [output_name(one, digest, salt) for one in series for digest in journal.settings() for salt in salts]
    return len(wanted) >= LABEL and any(name.startswith(wanted) for name in names)
