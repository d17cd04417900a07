"""Phantoms with known answers: scans in memory, real DICOM files, and a table of traps for readers."""

from medcolor.phantom.datasets import write_dicom
from medcolor.phantom.scans import labels, letter, letter_index, letter_rgb, oblique, scan

__all__ = ["labels", "letter", "letter_index", "letter_rgb", "oblique", "scan", "write_dicom"]
