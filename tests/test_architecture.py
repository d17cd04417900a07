"""The house as it is described: layers, sizes, public names, documents."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

import medcolor

ROOT = Path(__file__).parents[1]
MODULES = sorted([*(ROOT / "medcolor").rglob("*.py"), *(ROOT / "napari_plugin").rglob("*.py")])


def test_imports_go_one_way() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--config", str(ROOT / "pyproject.toml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("medcolor", "napari_plugin", exclude_type_checking_imports=True, cache_dir=None)
    waiting = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    while free := [module for module, needs in waiting.items() if not needs & waiting.keys()]:
        for module in free:
            del waiting[module]
    assert waiting == {}, "modules in or above a circle"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_a_crowd(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def test_every_top_level_module_has_a_layer() -> None:
    layers = re.findall(r"medcolor\.(\w+)", (ROOT / "pyproject.toml").read_text())
    modules = [
        path for path in (ROOT / "medcolor").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    ]
    assert {path.stem for path in modules} - {"__init__"} <= set(layers)


def test_public_names_are_all_there_and_documented() -> None:
    for name in medcolor.__all__:
        assert getattr(medcolor, name).__doc__, name


def test_architecture_names_only_rooms_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = re.findall(r"^\| `([^|]+)\|", text, flags=re.MULTILINE)
    for cell in rooms:
        for room in re.findall(r"[\w/]+(?:\.py|/)", cell):
            assert any((base / room).exists() for base in (ROOT, ROOT / "medcolor")), room


def test_every_module_says_what_it_is() -> None:
    for path in MODULES:
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_links_in_the_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "configs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"
