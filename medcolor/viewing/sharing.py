"""What leaves a viewer beside files of the scan: a picture with its legend, a film through the slices, the report."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medcolor.colorizers import Progress
from medcolor.errors import SettingError, WriteError
from medcolor.viewing.canvas_legend import NOT_FOR_DIAGNOSIS, legend_picture
from medcolor.viewing.live import LiveColors
from medcolor.viewing.planes import Pane, planes
from medcolor.viewing.session import ColoringSession

LONGEST_SIDE = 640  # pixels of a film; larger pictures are shown by their nearest voxels
MOST_FRAMES = 200
_GROUND = 28


def with_legend(
    picture: NDArray[np.uint8], legend: NDArray[np.uint8], *, side: Literal["left", "right"] = "right"
) -> NDArray[np.uint8]:
    """Put a legend beside a picture; the picture's own pixels stay as they are.

    Parameters
    ----------
    picture : ndarray of uint8, (rows, columns, 3 or 4)
    legend : ndarray of uint8, (rows, columns, 4)
        Of :func:`~medcolor.viewing.canvas_legend.legend_picture`.
    side : "left" or "right"

    Returns
    -------
    ndarray of uint8, (rows, columns, 3)
    """
    height = max(len(picture), len(legend))
    out = np.full((height, picture.shape[1] + legend.shape[1], 3), _GROUND, np.uint8)
    left = legend.shape[1] if side == "left" else 0
    out[: len(picture), left : left + picture.shape[1]] = _flat(picture)
    at = 0 if side == "left" else picture.shape[1]
    out[: len(legend), at : at + legend.shape[1]] = _flat(legend)
    return out


def legend_of(session: LiveColors, height: int) -> NDArray[np.uint8]:
    """Return the legend of a session in the look it has now, RGBA."""
    scan = session.scan
    unit = "" if scan.units in {"arbitrary", "gray level"} else f" in {scan.units}"
    return legend_picture(
        session.legend(), height=height, title=f"{scan.modality}{unit}, {session.display}", ramps=session.ramps(),
        opacity=1.0,
    )  # fmt: skip


def picture_with_legend(session: LiveColors, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a screenshot with the legend of its colours beside it, RGB."""
    return with_legend(picture, legend_of(session, max(200, min(len(picture), 480))))


def save_picture(picture: NDArray[np.uint8], path: Path, *, force: bool = False) -> Path:
    """Write a picture as PNG, whole or not at all.

    Raises
    ------
    OutputExistsError
        It exists and ``force`` is not set.
    WriteError
        The name does not end in .png.
    """
    from PIL import Image

    from medcolor.io.atomic import atomic_files

    if path.suffix.lower() != ".png":
        raise WriteError(f"{path}: a picture is written as .png, which keeps every pixel.")
    with atomic_files([path], force=force) as files, files.open(path) as stream:
        Image.fromarray(np.ascontiguousarray(picture)).save(stream, format="PNG")
    return path


def save_film(
    session: LiveColors,
    path: Path,
    *,
    axis: int | None = None,
    frames_per_second: float = 8.0,
    legend: bool = True,
    longest_side: int = LONGEST_SIDE,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a film through the planes of a colouring, with slice numbers and the legend.

    Parameters
    ----------
    session : LiveColors
    path : Path
        .gif has 256 colours a frame, for slides and mails; .png is an animated PNG with every colour as it is.
    axis : int, optional
        Layer axis to step through; default that of the acquired slices.
    frames_per_second : float
        0.5 to 30.
    legend : bool
    longest_side : int
        Pixels.
    force : bool
    progress : callable, optional
        Told (frames done, frames in all).

    Raises
    ------
    SettingError
        Nothing is coloured yet, one frame only, or a speed out of range.
    OutputExistsError, WriteError
        As :func:`save_picture`.
    """
    from PIL import Image

    from medcolor.io.atomic import atomic_files

    if path.suffix.lower() not in {".gif", ".png"}:
        raise WriteError(f"{path}: a film is written as .gif, or as animated .png.")
    if not 0.5 <= frames_per_second <= 30:
        raise SettingError(f"A film shows 0.5 to 30 frames a second, not {frames_per_second:g}.")
    if session.stale:
        raise SettingError(f"{session.stale} of {session.total} slices are not coloured yet: let it finish first.")
    shown = film(session, axis=axis, legend=legend, longest_side=longest_side, progress=progress)
    pictures = [Image.fromarray(frame) for frame in shown]
    options = {"save_all": True, "append_images": pictures[1:], "duration": round(1000 / frames_per_second), "loop": 0}
    form = "GIF" if path.suffix.lower() == ".gif" else "PNG"
    with atomic_files([path], force=force) as files, files.open(path) as stream:
        pictures[0].save(stream, format=form, **options)
    return path


def film(
    session: LiveColors,
    *,
    axis: int | None = None,
    legend: bool = True,
    longest_side: int = LONGEST_SIDE,
    progress: Progress | None = None,
) -> list[NDArray[np.uint8]]:
    """Return the frames of :func:`save_film`, RGB; long stacks are thinned to 200 frames.

    Raises
    ------
    SettingError
        One frame is no film.
    """
    found = planes(session.scan)
    pane = found.panes[0] if axis is None else next(pane for pane in found.panes if pane.axis == axis)
    count = pane.shape[pane.axis]
    if count < 2:
        raise SettingError("One picture is no film: save it as PNG.")
    numbers = np.unique(np.linspace(0, count - 1, min(count, MOST_FRAMES)).round().astype(int)).tolist()
    layer = found.placement.to_layer(session.rgba)
    beside = legend_of(session, 320) if legend else None
    frames = []
    for done, number in enumerate(numbers, 1):
        position = tuple(number if n == pane.axis else 0 for n in range(3))
        picture = _proportioned(pane, pane.colors(layer, (position[0], position[1], position[2])), longest_side)
        picture = _captioned(picture, f"{pane.title} {number + 1} of {count}. {NOT_FOR_DIAGNOSIS}")
        frames.append(picture if beside is None else with_legend(picture, beside))
        if progress is not None:
            progress(done, len(numbers))
    return frames


def write_report(session: ColoringSession, path: Path, *, title: str = "medcolor", force: bool = False) -> Path:
    """Write the HTML report of a finished colouring: it holds pictures of the scan and is as confidential.

    Raises
    ------
    SettingError, RuntimeError
        Not all slices are coloured yet; as :meth:`ColoringSession.result`.
    OutputExistsError
    """
    from medcolor.report import Entry, write_page

    look = session.look
    legend = None if look.table is not None else session.legend()
    entry = Entry(session.scan, session.result(), display=session.display, palette=look.palette, legend=legend)
    return write_page([entry], path, title=title, force=force)


def _flat(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return RGB; what is transparent lies on the ground of legends."""
    if picture.shape[-1] == 3:
        return picture
    opaque = picture[..., 3:] == 255
    if opaque.all():
        return picture[..., :3]
    alpha = picture[..., 3:] / 255
    return np.where(opaque, picture[..., :3], np.rint(picture[..., :3] * alpha + _GROUND * (1 - alpha))).astype(
        np.uint8
    )


def _proportioned(pane: Pane, picture: NDArray[np.uint8], longest_side: int) -> NDArray[np.uint8]:
    """Return a picture in true proportions; every pixel has the colour of the nearest voxel."""
    tall, wide = pane.size
    finest = min(pane.spacing)
    factor = min(1 / finest, longest_side / max(tall, wide))
    rows = _nearest(len(picture), max(1, round(tall * factor)))
    columns = _nearest(picture.shape[1], max(1, round(wide * factor)))
    return np.ascontiguousarray(picture[rows][:, columns, :3])


def _nearest(count: int, wanted: int) -> NDArray[np.intp]:
    return ((np.arange(wanted) + 0.5) * count / wanted).astype(np.intp)


def _captioned(picture: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """Write below a picture, not on it."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(11)
    width = max(picture.shape[1], int(np.ceil(font.getlength(text))) + 8)
    strip = Image.new("RGB", (width, 18), (_GROUND,) * 3)
    ImageDraw.Draw(strip).text((4, 9), text, fill=(235, 235, 235), font=font, anchor="lm")
    out = np.full((len(picture) + 18, width, 3), _GROUND, np.uint8)
    out[: len(picture), : picture.shape[1]] = picture
    out[len(picture) :] = np.asarray(strip)
    return out


__all__ = [
    "film",
    "legend_of",
    "picture_with_legend",
    "save_film",
    "save_picture",
    "with_legend",
    "write_report",
]
