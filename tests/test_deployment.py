"""What an operator copies: container file, systemd units and command lines of the documents, checked as they stand."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from medcolor.cli import build_app

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
UNITS = sorted((ROOT / "deploy").glob("*.service"))
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("batch", "operations", "pacs"))]
BARE = {"ARCHIVE/": ["ARCHIVE"], "IN...": ["IN"]}


def commands(page: Path) -> list[list[str]]:
    """Return the command lines of ``medcolor`` in a page's blocks, as a shell would read them."""
    text = "\n".join(re.findall(r"^```[a-z]*\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE))
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        place = next((n for n, word in enumerate(words) if word == "medcolor" or word.endswith("bin/medcolor")), None)
        others = {"import", "useradd", "build"}  # lines in which the word is no command
        if place is not None and not others & set(words[:place]) and len(words) > place + 1:
            found.append([new for word in words[place + 1 :] for new in BARE.get(word, [word])])
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_documented_command_is_one(page: Path) -> None:
    lines = commands(page)
    assert len(lines) > 2
    app = build_app()
    for line in lines:
        unused = app.parse_known_args(line)[2]
        assert not unused, (line, unused)


def directives(unit: Path) -> list[tuple[str, str]]:
    text = unit.read_text("utf-8").replace("\\\n", " ")
    return [(name, value) for name, _, value in (line.partition("=") for line in text.splitlines()) if value]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_that_there_is_as_a_user_without_rights(unit: Path, tmp_path: Path) -> None:
    given = dict(directives(unit))
    program, *arguments = shlex.split(given["ExecStart"])
    assert program == "/opt/medcolor/bin/medcolor"
    assert not build_app().parse_known_args(arguments)[2]
    assert (given["User"], given["NoNewPrivileges"], given["ProtectSystem"]) == ("medcolor", "yes", "strict")
    written = given["ReadWritePaths"].split()
    folders = [argument for argument in arguments if argument.startswith(("/data/out", "/var/lib"))]
    assert folders
    assert all(any(folder.startswith(place) for place in written) for folder in folders)
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: the unit's words were checked, systemd's own check was NOT made")
    here = tmp_path / unit.name
    here.write_text(unit.read_text("utf-8").replace(program, sys.executable))
    said = subprocess.run(["systemd-analyze", "verify", here], capture_output=True, text=True, check=False, timeout=60)
    assert unit.name not in said.stderr, said.stderr


def test_the_container_has_what_it_copies_pins_what_it_installs_and_runs_as_nobody() -> None:
    lines = (ROOT / "Containerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    steps = [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word.isupper()]
    sources = [part for word, rest in steps if word == "COPY" and "--from" not in rest for part in rest.split()[:-1]]
    assert sources == ["constraints.txt", f"dist/{PROJECT['name']}-*.whl"]
    assert (ROOT / "constraints.txt").is_file()
    assert all("-c /build/constraints.txt" in rest for word, rest in steps if word == "RUN" and "pip install" in rest)
    users = [rest for word, rest in steps if word == "USER"]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[-1])
    assert [rest for word, rest in steps if word == "ENTRYPOINT"] == ['["medcolor"]']
    assert "medcolor" in PROJECT["scripts"]
    kept = " ".join(rest for word, rest in steps if word in {"ENV", "ARG", "LABEL"})
    assert not re.search(r"(?i)passw|secret|token|_key", kept)
