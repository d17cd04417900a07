"""A peer over DICOMweb: QIDO through dicomweb-client; WADO and STOW over its session, streamed from and to the disk.

dicomweb-client holds whole messages in memory and parses what it retrieves in this process; objects are larger than
that, and are not parsed outside a child process.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medcolor.errors import PeerError, SettingError
from medcolor.pacs.address import Address
from medcolor.pacs.associations import NO_TLS, unreachable
from medcolor.pacs.credentials import client_tls, read_secret
from medcolor.pacs.multipart import MultipartError, OneFile, boundary_of, read_parts
from medcolor.pacs.peer import Answer, SeriesFound, Verdict
from medcolor.pacs.query import SERIES_KEYS, is_uid
from medcolor.pacs.spool import Intake
from medcolor.pacs.statuses import http_answer, store_answer

_PAGE = 500
_BLOCK = 1 << 18
_SAID = 1 << 20  # bytes of an answer to STOW that are read


class DicomWebPeer:
    """A DICOMweb server.

    Parameters
    ----------
    address : Address
    """

    def __init__(self, address: Address) -> None:
        try:
            import dicomweb_client  # noqa: F401
            import requests
        except ImportError:
            raise SettingError('DICOMweb needs the extra "batch": pip install "medcolor[batch]".') from None
        self.address = address
        self._session = requests.Session()
        self._session.trust_env = False  # neither proxies nor passwords of an environment that nobody looked at
        self._session.max_redirects = 3
        if address.encrypted:
            self._session.mount("https://", _tls_adapter(address))
        if address.token:
            self._session.headers["Authorization"] = f"Bearer {read_secret(address.token)}"
        elif address.user:
            self._session.auth = (address.user, read_secret(address.password) if address.password else "")

    def check(self, sop_classes: Sequence[str] = (), *, query: bool = False) -> None:
        """See whether it is there and lets us in; DICOMweb does not tell beforehand which classes it stores."""
        with self._asked():
            self._client().search_for_studies(limit=1)

    def find(self, keys: Mapping[str, str]) -> Iterator[SeriesFound]:
        """Yield the series that match, study by study."""
        studies = {name: value for name, value in keys.items() if name not in SERIES_KEYS}
        series = {name: value for name, value in keys.items() if name in SERIES_KEYS}
        for study in self._pages("search_for_studies", studies):
            uid = _value(study, "0020000D")
            for each in self._pages("search_for_series", series, uid):
                count = _value(each, "00201209")
                found = _value(each, "0020000E")
                yield SeriesFound(uid, found, int(count) if count.isdigit() else None)

    def _pages(self, method: str, keys: dict[str, str], *where: str) -> Iterator[dict[str, Any]]:
        client, offset = self._client(), 0
        fields = ["NumberOfSeriesRelatedInstances"] if method == "search_for_series" else []
        while True:
            with self._asked():
                page = getattr(client, method)(*where, search_filters=keys, fields=fields, limit=_PAGE, offset=offset)
            yield from page
            if len(page) < _PAGE:
                return
            offset += len(page)

    def fetch(self, series: SeriesFound, intake: Intake) -> None:
        """Have a series sent into ``intake``."""
        if not (is_uid(series.study) and is_uid(series.series)):
            raise PeerError("The peer names a series by something that is no UID.", code="BadUid", lasting=True)
        url = f"{self.address.url}/studies/{series.study}/series/{series.series}"
        accept = {"Accept": 'multipart/related; type="application/dicom"'}
        with self._asked(), self._session.get(url, headers=accept, stream=True, timeout=self.address.timeout) as said:
            said.raise_for_status()
            boundary = boundary_of(said.headers.get("Content-Type", ""))
            read_parts(said.iter_content(_BLOCK), boundary, intake.open)

    def store(self, paths: Sequence[Path]) -> Iterator[Answer]:
        """Send objects one by one, and yield what was said to each."""
        for path in paths:
            answer = self._store(path)
            yield answer
            if answer.code == "NoPeer":
                return

    def _store(self, path: Path) -> Answer:
        body = OneFile(path)
        headers = {"Content-Type": body.content_type, "Accept": "application/dicom+json"}
        try:
            with (
                self._asked(),
                self._session.post(
                    f"{self.address.url}/studies",
                    data=body,
                    headers=headers,
                    timeout=self.address.timeout,
                    stream=True,
                    allow_redirects=False,
                ) as said,
            ):
                text = b"".join(_limited(said.iter_content(_BLOCK), _SAID))
                return _stored(said.status_code, text)
        except PeerError as error:
            return Answer(Verdict.REFUSED if error.lasting else Verdict.LATER, error.code, error.reason)

    def commit(self, paths: Sequence[Path]) -> Iterator[Answer]:
        """STOW's answer is all that DICOMweb says."""
        return iter(())

    def _client(self) -> Any:
        from dicomweb_client.web import DICOMwebClient

        client = DICOMwebClient(self.address.url, self._session, timeout=self.address.timeout)
        client.set_http_retry_params(retry=False)
        return client

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Put what can go wrong in words that name nobody."""
        import requests

        try:
            yield
        except requests.exceptions.SSLError:
            raise PeerError(NO_TLS, code="Tls") from None
        except requests.HTTPError as error:
            answer = http_answer(500 if error.response is None else error.response.status_code)
            raise PeerError(answer.reason, code=answer.code, lasting=answer.verdict is Verdict.REFUSED) from None
        except (requests.ConnectionError, requests.Timeout) as error:
            raise unreachable(_cause(error), self.address.timeout) from None
        except (requests.RequestException, MultipartError, ValueError):
            raise PeerError("Its answer is not DICOMweb, or is cut off.", code="BadAnswer") from None


def _cause(error: Exception) -> OSError:
    """Return what the system said, which requests and urllib3 wrap in words with addresses."""
    from urllib3.exceptions import NameResolutionError, NewConnectionError
    from urllib3.exceptions import TimeoutError as Late

    inner: Any = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    if isinstance(inner, NameResolutionError):
        return socket.gaierror()
    if isinstance(inner, NewConnectionError) and isinstance(inner.__cause__, ConnectionRefusedError):
        return inner.__cause__
    return TimeoutError() if isinstance(inner, Late) else OSError()


def _tls_adapter(address: Address) -> Any:
    from requests.adapters import HTTPAdapter

    context = client_tls(address)

    class TlsAdapter(HTTPAdapter):
        def init_poolmanager(self, *arguments: Any, **options: Any) -> Any:
            return super().init_poolmanager(*arguments, **options, ssl_context=context)

        def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
            """Leave the context as it is: it checks certificate and name already."""
            conn.cert_reqs = "CERT_REQUIRED"

    return TlsAdapter()


def _limited(chunks: Iterator[bytes], cap: int) -> Iterator[bytes]:
    for chunk in chunks:
        cap -= len(chunk)
        if cap < 0:
            raise ValueError("an answer without end")
        yield chunk


def _stored(status: int, text: bytes) -> Answer:
    """Read the answer to STOW of one object: what counts is whether the peer names it as stored."""
    try:
        record = json.loads(text) if text else {}
        failed = record.get("00081198", {}).get("Value") or []
        done = record.get("00081199", {}).get("Value") or []
        reason = failed[0].get("00081197", {}).get("Value", [None])[0] if failed else None
    except (ValueError, AttributeError, IndexError, TypeError):
        failed, done, reason = [], [], None
    if done and not failed and status in {200, 202}:
        return Answer(Verdict.STORED)
    if failed and isinstance(reason, int):
        return store_answer(reason)
    if status == 200 and not failed:
        return Answer(Verdict.LATER, "BadAnswer", "It did not say that it stored the object.")
    return http_answer(status)


def _value(record: dict[str, Any], tag: str) -> str:
    try:
        return str(record[tag]["Value"][0])
    except (KeyError, IndexError, TypeError):
        return ""
