"""Objects land where their own association was told, on the disk as they came; nothing of the process is changed."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import pydicom
import pytest
from pacs.orthanc import free_port
from pynetdicom import _config, evt

from medcolor.pacs import Address
from medcolor.pacs.associations import associated
from medcolor.pacs.landing import Landing
from medcolor.pacs.listening import Listener
from medcolor.pacs.spool import Intake, Limits

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_two_doors_of_one_process_keep_what_comes_apart_and_change_nothing_for_others(
    ct_series: Path, tmp_path: Path
) -> None:
    sent, before = sorted(ct_series.iterdir()), (_config.STORE_RECV_CHUNKED_DATASET, tempfile.tempdir)
    with ExitStack() as stack:
        addresses = []
        for name in ("one", "two"):
            intake = Intake(tmp_path / name, Limits(free_bytes=1))
            landing = stack.enter_context(Landing.into(intake))
            stores, port = [(evt.EVT_C_STORE, landing.store)], free_port()
            stack.enter_context(Listener("127.0.0.1", port, "DOOR", ["SENDER"], stores, landing=landing))
            addresses.append(Address.parse(f"dimse://DOOR@127.0.0.1:{port}?calling=SENDER&timeout=10"))
        assert (_config.STORE_RECV_CHUNKED_DATASET, tempfile.tempdir) == before
        with tempfile.NamedTemporaryFile() as other:
            assert not Path(other.name).is_relative_to(tmp_path)
        classes = [str(pydicom.dcmread(sent[0]).SOPClassUID)]
        with associated(addresses[0], classes) as first, associated(addresses[1], classes) as second:
            for number, path in enumerate(sent):
                assert (first, second)[number % 2].send_c_store(path).Status == 0
    for part, name in enumerate(("one", "two")):
        came = {ds.SOPInstanceUID: ds for ds in map(pydicom.dcmread, (tmp_path / name).glob("*.dcm"))}
        meant = {ds.SOPInstanceUID: ds for ds in map(pydicom.dcmread, sent[part::2])}
        assert came == meant
        assert len(list((tmp_path / name).iterdir())) == 3
