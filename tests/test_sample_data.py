"""The demo's images are the ones that sample_data/README.md describes."""

from __future__ import annotations

import hashlib
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from medcolor.demo import SAMPLES
from medcolor.resources import sample_dir

ROW = re.compile(r"\| (?P<package>\w+) `(?P<member>[^`]+)` \|.*`(?P<digest>[0-9a-f]{64})` \|")
TABLE = [match.groups() for match in ROW.finditer((sample_dir() / "README.md").read_text(encoding="utf-8"))]


def test_every_image_of_the_demo_is_described() -> None:
    assert {(s.package, s.member) for s in SAMPLES if s.package} == {(package, member) for package, member, _ in TABLE}


@pytest.mark.parametrize(("package", "member", "digest"), TABLE, ids=lambda value: str(value)[-24:])
def test_an_installed_image_is_the_one_described(package: str, member: str, digest: str) -> None:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f'{package} is not installed (pip install "medcolor[samples]")')
    assert hashlib.sha256((Path(spec.origin).parent / member).read_bytes()).hexdigest() == digest
