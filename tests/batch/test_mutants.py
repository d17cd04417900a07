"""Damaged files by the hundred: nothing crashes or hangs that anybody sees; each is coloured or refused with a code."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from medcolor.batch import BatchSettings, Caps, Conduct, run_batch
from medcolor.batch.accounts import Accounts
from medcolor.batch.task import FINISHED, BatchCode, State
from medcolor.errors import ReadCode

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
FILES = (
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "JPEG2000.dcm",
    "JPGExtended.dcm",
    "emri_small_RLE.dcm",
)
CODES = {str(code) for code in (*ReadCode, *BatchCode)} | {"ModalityError", "GeometryError", "AmbiguousSeriesError"}
UNFORESEEN = {str(BatchCode.UNEXPECTED), str(BatchCode.READ_FAILED)}


def mutants(folder: Path, each: int, truncations: int) -> int:
    """Write files with eight random bytes changed, and files cut off; each a series of its own as far as it can say."""
    folder.mkdir()
    written = 0

    def write(content: bytes, uid: bytes) -> None:
        nonlocal written
        own = b"1.2.3." + str(written).encode().rjust(len(uid) - 6, b"9")
        (folder / f"{written:05d}.dcm").write_bytes(content.replace(uid, own))
        written += 1

    for name in FILES:
        content, uid = _content(name)
        rng = random.Random(name)
        for _ in range(each):
            changed = bytearray(content)
            for _ in range(8):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            write(bytes(changed), uid)
    content, uid = _content("CT_small.dcm")
    for n in range(truncations):
        write(content[: len(content) * n // truncations], uid)
    return written


def _content(name: str) -> tuple[bytes, bytes]:
    import pydicom

    path = get_testdata_file(name)
    assert isinstance(path, str)
    uid = str(pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID)
    return Path(path).read_bytes(), uid.encode()


def colour(base: Path, each: int, truncations: int) -> tuple[int, Accounts]:
    written = mutants(base / "in", each, truncations)
    caps = Caps(memory=2 << 30, seconds=30, tries=1)
    settings = BatchSettings("lut:viridis", modality="MR")
    report = run_batch([base / "in"], base / "out", settings, Conduct(caps=caps, quiet=True))
    return written, report.accounts


def check(written: int, accounts: Accounts) -> None:
    assert sum(accounts.by_state.values()) == written
    assert {refusal.code for refusal in accounts.refusals} <= CODES
    assert not {refusal.code for refusal in accounts.refusals} & UNFORESEEN
    assert all(refusal.reason for refusal in accounts.refusals)
    assert sum(accounts.series[state] for state in FINISHED)
    assert not accounts.by_state[State.DIED]


def test_some_mutants_and_truncations_of_each_encoding(tmp_path: Path) -> None:
    check(*colour(tmp_path, 4, 10))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_three_hundred_mutants_of_each_encoding_and_four_hundred_truncations(tmp_path: Path) -> None:
    check(*colour(tmp_path, 300, 400))
