"""The ratios that a night is sized by, each measured in one run, in processor seconds. MEDCOLOR_LONG=1 runs them."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("MEDCOLOR_LONG"), reason="takes minutes: MEDCOLOR_LONG=1 runs it"),
    pytest.mark.timeout(3600),
]


@pytest.fixture(scope="module")
def speed() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "batch_speed", Path(__file__).parents[2] / "benchmarks/batch_speed.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_two_workers_do_nearly_twice_the_work_of_one(speed: ModuleType, tmp_path: Path) -> None:
    assert speed.workers(tmp_path) >= 1.8


def test_two_hundred_series_take_the_memory_of_twenty(speed: ModuleType, tmp_path: Path) -> None:
    assert speed.memory(tmp_path) <= 1.2


def test_a_table_costs_little_more_than_reading_and_writing(speed: ModuleType, tmp_path: Path) -> None:
    assert speed.pydicom(tmp_path) <= 1.5
