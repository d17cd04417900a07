"""How much memory a session takes, said and refused before it is taken."""

from __future__ import annotations

from pathlib import Path

from medcolor.errors import SettingError
from medcolor.scan import Scan

PICTURE = 6
"""Bytes a voxel of what is shown: RGBA, gray, confidence."""
KEPT = 6
"""Bytes a voxel of what is kept for repainting, by networks; physics keeps 2, a table nothing."""

RESERVE = 200_000_000
"""Bytes that a session leaves to everybody else."""


def available() -> int | None:
    """Return the bytes that can be had without swapping, None where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return None
    return None


def require_memory(scan: Scan, limit: int | None = None, *, copied: bool = False) -> int:
    """Return the bytes that colouring a scan takes for a viewer, beside the scan itself.

    Parameters
    ----------
    scan : Scan
    limit : int, optional
        Bytes; default what the computer has to spare.
    copied : bool
        Whether another process gets a copy of the scan.

    Raises
    ------
    SettingError
        There is not that much.
    """
    ni, nj, nk = scan.shape
    needed = ni * nj * nk * (PICTURE + KEPT) + (scan.voxels.nbytes if copied else 0)
    most = available() if limit is None else limit
    if most is not None and needed > most:
        raise SettingError(
            f"Colouring {ni} x {nj} x {nk} voxels for a viewer takes {needed / 1e9:.1f} GB, and {most / 1e9:.1f} GB "
            "are free. Close other programs, crop the scan, or colour it to files: medcolor colorize."
        )
    return needed


def require_room() -> None:
    """Refuse to go on where the memory of the computer is all but used up.

    Raises
    ------
    SettingError
    """
    left = available()
    if left is not None and left < RESERVE:
        raise SettingError(
            f"Only {left / 1e6:.0f} MB of memory are left: colouring stopped. What is coloured stays. Close other "
            "programs and go on, crop the scan, or colour it to files: medcolor colorize."
        )


__all__ = ["KEPT", "PICTURE", "RESERVE", "available", "require_memory", "require_room"]
