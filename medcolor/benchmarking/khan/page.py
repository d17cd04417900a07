"""What a run writes: CSV and Markdown, numbers only; the folder keeps outlines of patients and stays outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from medcolor.benchmarking.khan.markdown import to_markdown
from medcolor.benchmarking.khan.run import Section
from medcolor.benchmarking.khan.table import to_csv
from medcolor.benchmarking.outside import refuse_checkout
from medcolor.io.atomic import atomic_files, refuse_existing

CSV, MARKDOWN = "khan.csv", "khan.md"
CELLS = "cells"


def check_output(folder: Path, tables: Path | None = None, *, force: bool = False) -> None:
    """Refuse a folder inside a checkout of this project, or tables that are there.

    Raises
    ------
    SettingError, OutputExistsError
    """
    refuse_checkout(folder, "What a run keeps")
    if not force:
        refuse_existing([place / name for place in (folder, tables) if place is not None for name in (CSV, MARKDOWN)])


def write_results(
    sections: Sequence[Section],
    made: Mapping[str, str],
    folder: Path,
    *,
    tables: Path | None = None,
    force: bool = False,
) -> list[Path]:
    """Write CSV and Markdown to ``folder``, and to ``tables`` as well.

    Raises
    ------
    SettingError, OutputExistsError
    """
    check_output(folder, tables, force=force)
    texts = {CSV: to_csv(sections), MARKDOWN: to_markdown(sections, made)}
    contents = {place / name: text for place in (folder, tables) if place is not None for name, text in texts.items()}
    with atomic_files(contents, force=force) as files:
        for path, text in contents.items():
            with files.open(path) as stream:
                stream.write(text.encode())
    return list(contents)


__all__ = ["CELLS", "CSV", "MARKDOWN", "check_output", "write_results"]
