"""What stands in menus and the command palette beside the panels."""

from __future__ import annotations

from pathlib import Path

from napari.viewer import Viewer  # the annotation is how napari hands its viewer over

THEME = "medcolor-reading-room"
OURS = ("*.dcm", "*.dicom", "*.nii", "*.nii.gz", "*.nrrd", "*.mha", "*.mhd")


def open_files(viewer: Viewer) -> None:
    """Ask for files and open them with medcolor."""
    from qtpy.QtWidgets import QFileDialog

    from napari_plugin.desk import window_of

    paths, _ = QFileDialog.getOpenFileNames(window_of(viewer), "Open scans")
    for path in paths:
        viewer.open(path, plugin="medcolor")


def open_folder(viewer: Viewer) -> None:
    """Ask for a folder and open it with medcolor."""
    from qtpy.QtWidgets import QFileDialog

    from medcolor.viewing.opening import looks_like_scans
    from napari_plugin.desk import tell, window_of

    path = QFileDialog.getExistingDirectory(window_of(viewer), "Open a folder of scans")
    if path and looks_like_scans(path):
        viewer.open(path, plugin="medcolor")
    elif path:  # napari would say that the reader refused
        tell(f"{Path(path).name}: no scan in this folder or below. DICOM, NIfTI, NRRD, MHA and pictures are read.")


def use_reading_room(viewer: Viewer) -> None:
    """Switch to the neutral gray theme: colours are judged against gray."""
    viewer.theme = THEME


def prefer_medcolor() -> None:
    """Let medcolor open medical formats without asking; undone in Preferences > Plugins."""
    from napari.settings import get_settings
    from napari.utils.notifications import show_info

    plugins = get_settings().plugins
    plugins.extension2reader = {**plugins.extension2reader, **dict.fromkeys(OURS, "medcolor")}
    show_info(f"medcolor now opens {', '.join(OURS)}. Folders are asked about; Preferences > Plugins undoes this.")


def toggle_letters(viewer: Viewer) -> None:
    """Show or hide the orientation letters (O)."""
    from napari_plugin import canvas, desk

    canvas.toggle_letters(desk.bare(viewer))
