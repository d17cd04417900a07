"""Names for derived objects: equal inputs and settings give equal UIDs, on every machine, at any time.

``2.25.<UUID>`` with an RFC 9562 version 8 UUID cut from a sha256 (PS3.5 B.2). Everything that can change a pixel or
an attribute of an output is part of the hash, because an archive that already has a UID keeps the old object.
"""

from __future__ import annotations

import hashlib

PIXEL_VERSION = "1"  # raise when the same provenance starts to give other pixels

# What wrote the file (PS3.7 D.3.3.2): one fixed value, derived_uid("medcolor implementation class", "class").
IMPLEMENTATION_CLASS_UID = "2.25.119399448974134465206498142587074333357"


def derived_uid(source: str, kind: str, settings: str = "") -> str:
    """Return the UID of what ``settings`` make of ``source``.

    Parameters
    ----------
    source : str
        What it comes from: a source UID (and frame or part number), or a content digest.
    kind : str
        "study", "frame of reference", "series" or "instance": one source gives one UID of each.
    settings : str
        Canonical JSON of all that shapes the output; empty for what every output of a source shares.

    Returns
    -------
    str
        At most 44 characters.
    """
    return uid_of(hashlib.sha256("|".join((source, kind, settings)).encode()).hexdigest())


def uid_of(digest: str) -> str:
    """Return the UID that the first 32 digits of a hex digest make."""
    number = int(digest[:32], 16)
    number = number & ~(0xF << 76) | 0x8 << 76  # version 8: custom
    number = number & ~(0x3 << 62) | 0x2 << 62  # variant 10
    return f"2.25.{number}"
