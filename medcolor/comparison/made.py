"""On what a study was made: versions and hardware, without the name of the machine or of its user."""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from pathlib import Path

import medcolor

_PACKAGES = ("numpy", "scipy", "scikit-image", "torch", "monai")


def made_by(command: str) -> dict[str, str]:
    """Return what the report says of the run."""
    return {
        "command": command,
        "medcolor": medcolor.__version__,
        "packages": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "accelerator": _accelerator(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _accelerator() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"


__all__ = ["made_by"]
