"""When a series that was sent counts as complete: when nothing came for it for long enough, and not before."""

from __future__ import annotations

import time
from pathlib import Path

from medcolor.node.shelves import Shelves

QUIET = 0.4


def test_a_series_whose_objects_keep_coming_waits_and_one_that_was_done_waits_for_more(tmp_path: Path) -> None:
    shelves = Shelves(tmp_path, ("ct",))
    folder = tmp_path / "series/ct/one"
    folder.mkdir()
    for number in range(6):  # twice as long as quiet, never quiet
        (folder / f"{number}.dcm").write_bytes(b"")
        shelves.look()
        assert shelves.ready("ct", QUIET, 9) == []
        time.sleep(QUIET / 3)
    time.sleep(QUIET)
    shelves.look()
    assert shelves.ready("ct", QUIET, 9) == [folder]
    assert shelves.ready("mr", QUIET, 9) == []
    shelves.series[folder].colored = shelves.series[folder].content
    assert shelves.ready("ct", QUIET, 9) == []
    (folder / "again.dcm").write_bytes(b"")  # a straggler, or what was sent a second time
    shelves.look()
    assert shelves.ready("ct", QUIET, 9) == []
    time.sleep(QUIET)
    shelves.look()
    assert shelves.ready("ct", QUIET, 9) == [folder]
