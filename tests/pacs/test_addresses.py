"""Addresses, queries, schedules and rules say what they mean, refuse what they cannot be, and repeat no secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcolor.errors import SettingError
from medcolor.node.rules import read_config
from medcolor.pacs import Address, Schedule
from medcolor.pacs.credentials import read_secret
from medcolor.pacs.peer import Verdict
from medcolor.pacs.query import parse_query
from medcolor.pacs.statuses import http_answer, store_answer

SECRET = "CANARYSECRET"


@pytest.mark.parametrize(
    ("text", "url", "label"),
    [
        (
            "dicomweb+https://pacs.example/dicom-web/",
            "https://pacs.example:443/dicom-web",
            "dicomweb+https://pacs.example:443/dicom-web",
        ),
        ("dicomweb+http://127.0.0.1:8042/a/b", "http://127.0.0.1:8042/a/b", "dicomweb+http://127.0.0.1:8042/a/b"),
        ("dicomweb+https://[::1]:8443", "https://[::1]:8443", "dicomweb+https://::1:8443"),
    ],
)
def test_a_dicomweb_address_is_a_url(text: str, url: str, label: str) -> None:
    address = Address.parse(text)
    assert (address.url, address.label) == (url, label)


def test_a_dimse_address_names_both_titles(tmp_path: Path) -> None:
    for name in ("ca", "cert"):
        (tmp_path / name).write_text("")
    text = f"dimse+tls://MY PACS@host:2762?calling=MEDCOLOR2&ca={tmp_path}/ca&cert={tmp_path}/cert&timeout=7&move=11113"
    address = Address.parse(text)
    assert (address.called, address.calling, address.host, address.port) == ("MY PACS", "MEDCOLOR2", "host", 2762)
    assert (address.timeout, address.move, address.commit, address.encrypted) == (7.0, 11113, 0, True)


@pytest.mark.parametrize(
    "text",
    [
        "dimse://AE@127.0.0.1:104",
        "dimse://AE@127.0.0.1:104?calling=ME&commit=1104&user=u&password=env:X",
        "dicomweb+https://host/root?token=env:NAME&timeout=12.5",
        "dicomweb+http://localhost:8042/dicom-web?user=u&password=file:/etc/secret",
    ],
)
def test_an_address_written_down_reads_back_the_same(text: str) -> None:
    assert Address.parse(str(Address.parse(text))) == Address.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pacs",
        "https://host/dicom-web",
        "dicomweb+ftp://host",
        f"dicomweb+https://user:{SECRET}@host/",
        f"dimse://AE:{SECRET}@host:104",
        f"dicomweb+https://host/?user=u&password={SECRET}",
        f"dicomweb+https://host/?token={SECRET}",
        "dicomweb+https://host/?user=u&token=env:T",
        "dicomweb+http://host/?user=u&password=env:P",  # in the clear, and not to this computer
        "dimse://AE@host:104?user=u&password=env:P",
        "dicomweb+https://host/?password=env:P",
        "dicomweb+https://user@host/",
        "dimse://host:104",
        "dimse://AE@host",
        "dimse://AE@host:99999",
        "dimse://SEVENTEEN-LETTERS@host:104",
        "dimse://A\\B@host:104",
        "dimse://AE@host:104?timeout=0",
        "dimse://AE@host:104?move=x",
        "dimse://AE@host:104?color=red",
        "dimse://AE@host:104?timeout=1&timeout=2",
        "dimse://AE@host:104?ca=/nowhere/ca.pem",
        "dimse+tls://AE@host:104?ca=/nowhere/ca.pem",
        "dimse+tls://AE@host:104?key=/etc/hostname",
    ],
)
def test_what_is_no_address_is_refused_and_no_secret_is_repeated(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        Address.parse(text)
    assert SECRET not in str(caught.value)


def test_secrets_come_from_files_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    monkeypatch.setenv("PACS_SECRET", SECRET)
    assert read_secret(f"file:{tmp_path / 'secret'}") == read_secret("env:PACS_SECRET") == SECRET
    (tmp_path / "lines").write_text(f"{SECRET}\n{SECRET}\n")
    for place in ("env:NOT_THERE", f"file:{tmp_path / 'no'}", f"file:{tmp_path / 'lines'}"):
        with pytest.raises(SettingError) as caught:
            read_secret(place)
        assert SECRET not in str(caught.value)


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 99), st.sampled_from("smhd")), min_size=1, max_size=4))
def test_a_schedule_is_its_delays_one_after_the_other_and_then_an_end(steps: list[tuple[int, int, str]]) -> None:
    schedule = Schedule(",".join(f"{count}x{number}{unit}" for count, number, unit in steps))
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    expected = [number * seconds[unit] for count, number, unit in steps for _ in range(count)]
    assert [schedule.delay(n) for n in range(1, len(expected) + 2)] == [*expected, None]


def test_the_default_schedule_is_that_of_the_issue() -> None:
    delays = [Schedule().delay(n) for n in range(1, 17)]
    assert delays == [60] * 5 + [600] * 10 + [None]


@pytest.mark.parametrize("text", ["", "5", "5x", "5x1", "x1m", "5x1m,", "5x1w", "-1x1m", "5x1m;10x10m"])
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="schedule"):
        Schedule(text)


def test_a_query_is_keys_and_values_and_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "query").write_text("PatientID=CANARYID77\n\nModality = CT\n")
    keys = parse_query([f"@{tmp_path / 'query'}", "StudyDate=20260101-20260131"])
    assert keys == {"PatientID": "CANARYID77", "Modality": "CT", "StudyDate": "20260101-20260131"}


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["StudyDate"],
        ["StudyDate="],
        ["Colour=red"],
        ["Modality=CT", "Modality=MR"],
        ["@/nowhere"],
        ["StudyDate=1\\2"],
    ],
)
def test_a_query_that_says_nothing_or_not_what_is_refused(texts: list[str]) -> None:
    with pytest.raises(SettingError):
        parse_query(texts)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0x0000, Verdict.STORED),
        (0xB000, Verdict.STORED),
        (0xB007, Verdict.STORED),
        (0xA700, Verdict.LATER),
        (0x0110, Verdict.LATER),
        (0xA900, Verdict.REFUSED),
        (0xC001, Verdict.REFUSED),
        (0x0122, Verdict.REFUSED),
        (0x0124, Verdict.REFUSED),
    ],
)
def test_statuses_of_ps3_4_b_2_3_mean_stored_later_or_refused(status: int, verdict: Verdict) -> None:
    assert store_answer(status).verdict is verdict


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(503, "later"), (500, "later"), (429, "later"), (401, "refused"), (404, "refused"), (415, "refused")],
)
def test_http_statuses_mean_later_or_refused(status: int, verdict: str) -> None:
    assert http_answer(status).verdict == verdict


RULES = """
allow: [CT1, MR1]
quiet: 10s
rules:
  - {name: ct, from: CT1, modality: [CT], description: "(?i)thorax",
     palette: contrast, send: "dimse://PACS@127.0.0.1:104"}
  - {name: rest, send: "dicomweb+https://host/root?token=env:T"}
"""


def test_rules_are_read_with_defaults_that_let_nobody_in_from_outside(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    config = read_config(tmp_path / "rules.yaml")
    assert (config.host, config.port, config.quiet_seconds, config.allow) == ("127.0.0.1", 11112, 10.0, ("CT1", "MR1"))
    first, second = config.rules
    assert (first.senders, first.modalities, first.settings.palette, first.settings.to) == (
        ("CT1",),
        ("CT",),
        "contrast",
        "dicom",
    )
    assert (second.senders, second.modalities, second.description) == ((), (), "")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("allow: [CT1, MR1]", "", "allow"),
        ("allow: [CT1, MR1]", "allow: [MR1]", "CT1"),
        ("quiet: 10s", "quiet: 10", "30s"),
        ("quiet: 10s", "loud: 10s", "loud"),
        ("name: ct", "name: ../ct", "name"),
        ("name: ct", "name: rest", "same name"),
        ("(?i)thorax", "(thorax", "regular expression"),
        ("dimse://PACS@127.0.0.1:104", "PACS", "address"),
        ("palette: contrast", "colour: red", "colour"),
        ("palette: contrast", "to: png", "DICOM"),
        ("quiet: 10s", "listen: 11112", "HOST:PORT"),
        ("quiet: 10s", "title: A\\\\B", "AE title"),
        ("quiet: 10s", "tls: {key: a}", "cert"),
        (RULES, "- 1", "mapping"),
        (RULES, "a: b: c", "YAML"),
    ],
)
def test_rules_that_cannot_be_are_refused_with_the_file_and_the_place(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES.replace(old, new))
    with pytest.raises(SettingError, match=words) as caught:
        read_config(path)
    assert str(path) in str(caught.value)


def test_a_file_of_rules_that_is_not_there_or_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone.yaml: there is no such file of rules"):
        read_config(tmp_path / "gone.yaml")
    with pytest.raises(SettingError, match="cannot be read"):
        read_config(tmp_path)
