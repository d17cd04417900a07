"""What somebody chose for a picture: checked, and turned into the palette and numbers that are painted with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from medcolor.errors import PaletteError, SettingError
from medcolor.palettes import Palette, load_palette, with_cvd

Style = str | Path | Palette


@dataclass(frozen=True, slots=True)
class Settings:
    """What somebody chose; None: as the colorizer has it, and of ``cvd`` normal vision."""

    palette: Style | None = None
    strength: float | None = None
    cvd: str | None = None
    fade: float | None = None

    def over(self, own: Settings) -> Settings:
        """Return these, and where nothing was chosen those of a colorizer; ``cvd`` stays."""
        return Settings(
            own.palette if self.palette is None else self.palette,
            own.strength if self.strength is None else self.strength,
            self.cvd,
            own.fade if self.fade is None else self.fade,
        )


Check = Callable[[], None]


def nothing() -> None:
    """Go on."""


def checked_settings(strength: float | None, fade: float | None) -> None:
    """Refuse numbers out of range.

    Raises
    ------
    SettingError
    """
    if strength is not None and not 0 <= strength <= 1:
        raise SettingError(f"strength must be between 0 (gray) and 1 (full colour), got {strength:g}.")
    if fade is not None and not 0 <= fade <= 1:
        raise SettingError(f"fade must be between 0 (off) and 1, got {fade:g}.")


def checked_look(name: str, settings: Settings, *, fades: bool = False) -> tuple[float, float]:
    """Return strength and fade.

    Raises
    ------
    SettingError
        Out of range, or a fade where nothing fades.
    """
    strength, fade = settings.strength or 0.0, settings.fade or 0.0
    checked_settings(strength, fade)
    if fade and not fades:
        raise SettingError(f"{name} does not know how sure it is of a colour: fade is an option of trained bundles.")
    return float(strength), float(fade)


@lru_cache(maxsize=64)
def _for_eye(palette: Palette, cvd: str) -> Palette:
    return with_cvd(palette, cvd)


def palette_for_look(family: str, names: tuple[str, ...], settings: Settings) -> Palette:
    """Return the palette of these settings, for the eye in question.

    Raises
    ------
    PaletteError, UnknownColorizerError
        No such palette, or one of other classes.
    """
    style, cvd = settings.palette, settings.cvd
    palette = style if isinstance(style, Palette) else load_palette(family, style or "anatomical")
    if palette.names != names:
        raise PaletteError(f"The palette's classes {palette.names} are not the colorizer's {names}.")
    return palette if cvd is None else _for_eye(palette, cvd)


__all__ = ["Check", "Settings", "Style", "checked_look", "checked_settings", "nothing", "palette_for_look"]
