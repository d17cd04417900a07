"""multipart/related: whatever the chunks, the parts come out; a message that is cut off is refused."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcolor.pacs.multipart import MultipartError, OneFile, boundary_of, read_parts
from medcolor.pacs.spool import Intake, Limits, SpoolError

BOUNDARY = b"b0undary"
part = st.binary(max_size=200) | st.just(b"\r\n--b0undar\r\n--b0und\r\n\r\n") | st.just(b"--")


def message(parts: list[bytes], *, preamble: bytes = b"") -> bytes:
    body = b"".join(b"--" + BOUNDARY + b"\r\nContent-Type: application/dicom\r\n\r\n" + p + b"\r\n" for p in parts)
    return preamble + body + b"--" + BOUNDARY + b"--\r\n"


def read(chunks: list[bytes]) -> list[bytes]:
    found: list[io.BytesIO] = []

    @contextmanager
    def sink() -> Iterator[io.BytesIO]:
        found.append(io.BytesIO())
        yield found[-1]

    assert read_parts(iter(chunks), BOUNDARY, sink) == len(found)  # type: ignore[arg-type]
    return [each.getvalue() for each in found]


@given(st.lists(part, max_size=5), st.data())
def test_parts_come_out_whatever_the_chunks(parts: list[bytes], data: st.DataObject) -> None:
    parts = [p for p in parts if b"--" + BOUNDARY not in b"\r\n" + p + b"\r\n"]
    whole = message(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    chunks = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert read(chunks) == parts


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=3), st.data())
def test_a_message_that_is_cut_off_is_refused(parts: list[bytes], data: st.DataObject) -> None:
    whole = message(parts)
    end = data.draw(st.integers(0, len(whole) - len(b"--\r\n") - 1))
    with pytest.raises(MultipartError):
        read([whole[:end]])


def test_a_header_without_end_is_refused_before_it_fills_the_memory() -> None:
    endless = (b"x" * 4096 for _ in range(10_000))
    with pytest.raises(MultipartError, match="too long"):
        read_parts(endless, BOUNDARY, io.BytesIO)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "text/html", "multipart/related", "multipart/form-data; boundary=x"])
def test_a_message_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(MultipartError):
        boundary_of(text)


def test_the_message_that_stores_a_file_is_what_the_standard_library_reads(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000 + b"\r\n--"
    (tmp_path / "a.dcm").write_bytes(content)
    body = OneFile(tmp_path / "a.dcm")
    text = b"".join(body)
    assert len(body) == len(text)
    parsed = message_from_bytes(b"Content-Type: " + body.content_type.encode() + b"\r\n\r\n" + text)
    inside = parsed.get_payload()
    assert isinstance(inside, list)
    only = inside[0]
    assert isinstance(only, Message)
    assert only.get_content_type() == "application/dicom"
    assert boundary_of(body.content_type) in text
    assert content in text


def test_an_intake_takes_whole_objects_within_its_limits_and_nothing_else(tmp_path: Path) -> None:
    intake = Intake(tmp_path / "in", Limits(object_bytes=10, objects=2, free_bytes=1))
    for _ in range(2):
        with intake.open() as stream:
            stream.write(b"0123456789")
    with pytest.raises(SpoolError, match="More than 2"), intake.open() as stream:
        stream.write(b"a")
    bigger = Intake(tmp_path / "bigger", Limits(object_bytes=10, free_bytes=1))
    with pytest.raises(SpoolError, match="larger"), bigger.open() as stream:
        stream.write(b"01234567890")
    with pytest.raises(RuntimeError), bigger.open() as stream:
        raise RuntimeError
    assert not list((tmp_path / "bigger").iterdir())
    assert [path.read_bytes() for path in (tmp_path / "in").iterdir()] == [b"0123456789"] * 2
    assert all(path.stem.isalnum() for path in (tmp_path / "in").iterdir())
    full = Intake(tmp_path / "full", Limits(free_bytes=1 << 60))
    with pytest.raises(SpoolError, match="nearly full"):
        full.check_room()
