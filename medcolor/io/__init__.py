"""Reading and writing: one table from what a file is to the module that reads it.

Content decides what a file is; its name is a hint. A folder is searched for DICOM first, then for volumes, and for
loose PNG, JPEG and TIFF files only when there is nothing else; those are single images, because a stack is not
guessed from file names. The exception is a folder of PNG slices that medcolor wrote: its provenance.json says what
they are.
"""

from __future__ import annotations

from medcolor.io.labels import read_segmentation
from medcolor.io.reading import list_series, read
from medcolor.io.restoring import restore, restore_to
from medcolor.io.series import SeriesInfo
from medcolor.io.writing import FILE_SUFFIXES, FORMATS, write

__all__ = [
    "FILE_SUFFIXES",
    "FORMATS",
    "SeriesInfo",
    "list_series",
    "read",
    "read_segmentation",
    "restore",
    "restore_to",
    "write",
]
