"""What medcolor requires states no copyleft licence (docs/licences.md says what lies inside the wheels)."""

from __future__ import annotations

import re
from importlib import metadata

import pytest
from packaging.requirements import Requirement

COPYLEFT = re.compile(r"\bA?L?GPL|General Public", re.IGNORECASE)


def required(name: str) -> set[str]:
    """Return the installed packages that ``name`` needs, without extras, at any depth."""
    found: set[str] = set()
    waiting = [(name, "")]
    seen = set(waiting)
    while waiting:
        package, extra = waiting.pop()
        try:
            distribution = metadata.distribution(package)
        except metadata.PackageNotFoundError:
            continue
        found.add(package)
        for text in distribution.requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                key = re.sub(r"[-_.]+", "-", needed.name).lower()
                more = {(key, ""), *((key, part) for part in needed.extras)} - seen
                seen |= more
                waiting += more
    return found


def stated(package: str) -> str:
    """Return the licence a package states: expression, first line of the licence field, classifiers."""
    fields = metadata.metadata(package)
    classifiers = [c for c in fields.get_all("Classifier") or () if c.startswith("License")]
    first_line = (fields.get("License") or "").split("\n")[0]
    return "; ".join([fields.get("License-Expression") or "", first_line, *classifiers])


@pytest.mark.parametrize("package", sorted(required("medcolor")))
def test_a_required_package_states_a_permissive_licence(package: str) -> None:
    assert not COPYLEFT.search(stated(package))


def test_the_search_for_requirements_finds_those_of_requirements() -> None:
    assert {"numpy", "torch", "monai", "python-gdcm", "networkx"} <= required("medcolor")
