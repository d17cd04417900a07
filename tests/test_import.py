"""``import medcolor`` stays light, and the public names are there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import medcolor

HEAVY = ("torch", "monai", "SimpleITK", "nibabel", "napari", "scipy", "pydicom", "PIL", "tifffile", "matplotlib")
REPORT = f"import sys; print(*[m for m in {HEAVY} if m in sys.modules])"


def loaded_after(statement: str) -> list[str]:
    code = f"{statement}; {REPORT}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    "statement",
    [
        "import medcolor",
        "import medcolor.io",
        "import medcolor; medcolor.read, medcolor.write, medcolor.list_series, medcolor.restore, medcolor.Scan",
        "import medcolor; medcolor.load_colorizer('physics'); medcolor.restore_gray; medcolor.errors.MedcolorError",
    ],
)
def test_nothing_heavy_is_loaded(statement: str) -> None:
    assert loaded_after(statement) == []


@pytest.mark.parametrize("name", medcolor.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(medcolor, name) is not None
    assert name in dir(medcolor)


def test_the_names_others_rely_on_are_public() -> None:
    promised = {"read", "write", "list_series", "load_colorizer", "restore_gray", "errors"}
    assert promised <= set(medcolor.__all__)
    assert issubclass(medcolor.errors.ReadError, medcolor.errors.MedcolorError)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = medcolor.nonsense
