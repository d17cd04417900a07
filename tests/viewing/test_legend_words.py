"""What a legend is called and what its rows say."""

from __future__ import annotations

import pytest

from medcolor import phantom
from medcolor.viewing.session import ColoringSession
from medcolor.viewing.wording import legend_title
from medcolor.windowing import resolve_display


def test_uptake_is_called_by_its_bounds_and_outside_has_no_share() -> None:
    session = ColoringSession(phantom.scan("PT", shape=(24, 24, 3)), colorizer="physics")
    list(session.work())
    rows = session.legend().rows
    assert [row.entry.label for row in rows[1:4]] == [
        "background, below 1 SUV", "low uptake, 1 to 2.5 SUV", "moderate uptake, 2.5 to 5 SUV",
    ]  # fmt: skip
    assert str(rows[0]).strip() == ""
    assert all(str(row).endswith("%") for row in rows[1:])


@pytest.mark.parametrize(
    ("family", "window", "said"), [("PT", "suv0-6", "PT, SUVbw 0 to 6"), ("CT", "lung", "CT, lung C -500 W 1400 HU")]
)
def test_a_title_is_what_a_reader_says(family: str, window: str, said: str) -> None:
    scan = phantom.scan(family, shape=(16, 16, 2))
    assert legend_title(scan, resolve_display(scan, window)) == said
