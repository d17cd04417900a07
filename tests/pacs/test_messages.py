"""What an operator reads when a PACS is not there or refuses: which one, why, what to look at; in a line."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from pacs.orthanc import free_port

from medcolor.cli import run
from medcolor.errors import PeerError
from medcolor.pacs import Outbox, Schedule, open_peer
from medcolor.pacs.associations import unreachable
from medcolor.pacs.delivery import Delivery
from medcolor.pacs.outbox import Post
from medcolor.pacs.peer import Verdict


@pytest.mark.parametrize("scheme", ["dimse://PACS@127.0.0.1:{}?timeout=2", "dicomweb+http://127.0.0.1:{}/x?timeout=2"])
def test_a_port_where_nothing_listens_is_told_from_an_address_that_does_not_answer(scheme: str) -> None:
    with pytest.raises(PeerError, match="cannot be reached: nothing listens at this host and port"):
        open_peer(scheme.format(free_port())).check()
    nobody = r"cannot be reached(: no answer within 2 s|, or does not answer)"
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, pytest.raises(PeerError, match=nobody):
        open_peer(scheme.format(deaf.getsockname()[1])).check()


def test_a_name_that_nobody_knows_is_a_mistake_in_the_address() -> None:
    assert "does not know its name" in unreachable(socket.gaierror(), 5).reason
    assert "check host, port and network" in unreachable(OSError(), 5).reason


@pytest.mark.parametrize("option", ["--from", "--to-pacs"])
def test_an_error_names_the_end_that_it_is_about(
    option: str, ct_series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"dimse://PACS@127.0.0.1:{free_port()}"
    query = ["--query", "Modality=CT"] if option == "--from" else [str(ct_series), "--dry-run"]
    code = run(["batch", option, f"{address}?timeout=2", *query, "-o", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert f"{address}: It cannot be reached" in said
    assert "timeout" not in said
    assert code == (1 if option == "--from" else 0)


def filled(folder: Path, addresses: dict[str, int]) -> Outbox:
    """Return an outbox with objects for each address."""
    box = Outbox(folder, folder / ".medcolor", Schedule("1x1s"))
    for address, count in addresses.items():
        names = [f"{n:04d}.dcm" for n in range(count)]
        for name in names:
            (folder / name).write_bytes(b"")
        box.add(address, [(name, "1") for name in names])
    return box


def test_a_dead_pacs_is_one_line_and_not_one_for_each_object(tmp_path: Path) -> None:
    said: list[str] = []
    address = f"dimse://PACS@127.0.0.1:{free_port()}"
    box = filled(tmp_path, {f"{address}?timeout=1": 250})
    assert Delivery(box, said.append).run()[Post.PARKED] == 250
    box.close()
    assert all(line.startswith(address) for line in said)
    parked = [line for line in said if "parked" in line]
    assert sum(int(line.split(": ")[1].split()[0]) for line in parked) == 250
    assert len(said) <= 4


@pytest.fixture
def two(tmp_path: Path) -> Callable[[], list[tuple[str, Post]]]:
    """An output folder with objects for two addresses that are not there; what its outbox holds."""
    filled(tmp_path, {"dimse://WRONG@127.0.0.1:9?timeout=1": 3, "dimse://WRONGER@127.0.0.1:9": 2}).close()

    def held() -> list[tuple[str, Post]]:
        box = Outbox(tmp_path, tmp_path / ".medcolor")
        try:
            return [(item.destination, item.state) for item in box.items()]
        finally:
            box.close()

    return held


def test_what_was_meant_for_a_wrong_address_can_be_given_up(
    two: Callable[[], list[tuple[str, Post]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["outbox", str(tmp_path), "--drop", "dimse://NOBODY@127.0.0.1:9"]) == 2
    assert "dimse://WRONG@127.0.0.1:9, dimse://WRONGER@127.0.0.1:9" in capsys.readouterr().err
    assert run(["outbox", str(tmp_path), "--drop", "dimse://WRONG@127.0.0.1:9"]) == 0
    assert "3 objects given up" in capsys.readouterr().err
    assert [destination for destination, _ in two()] == ["dimse://WRONGER@127.0.0.1:9"] * 2
    assert len(list(tmp_path.glob("*.dcm"))) == 3


def test_a_promise_is_not_asked_for_what_the_disk_no_longer_has(tmp_path: Path) -> None:
    (tmp_path / "damaged.dcm").write_bytes(b"")
    peer = open_peer(f"dimse://PACS@127.0.0.1:{free_port()}?timeout=1&commit={free_port()}")
    answers = list(peer.commit([tmp_path / "damaged.dcm", tmp_path / "gone.dcm"]))
    assert [(answer.verdict, answer.code) for answer in answers] == [(Verdict.REFUSED, "Vanished")] * 2
