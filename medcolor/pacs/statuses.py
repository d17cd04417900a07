"""What statuses of DIMSE and HTTP mean for an object: stored, try later, or refused for good."""

from __future__ import annotations

from medcolor.pacs.peer import Answer, Verdict

_LATER_HTTP = frozenset({408, 423, 425, 429})
_HTTP = {
    400: "It does not understand the request.",
    401: "It wants other credentials: check user= and password=, or token=.",
    403: "It does not let us do this: ask for the right to query, retrieve or store.",
    404: "There is no DICOMweb service at this address: check its path.",
    409: "It did not store the object.",
    413: "The object is larger than it takes.",
    415: "It does not take objects of this kind.",
}
_DIMSE = {
    0x0122: "It does not take objects of this class.",
    0x0124: "It does not let us do this.",
}


def store_answer(status: int) -> Answer:
    """Return what a C-STORE status, or STOW's reason of a failure, means (PS3.4 B.2.3, PS3.7 C, PS3.18 I.2.2)."""
    code = f"0x{status:04X}"
    if status == 0 or status in {0x0001, 0x0107, 0x0116} or 0xB000 <= status <= 0xBFFF:
        return Answer(Verdict.STORED, code if status else "")
    if 0xA700 <= status <= 0xA7FF or status in {0x0110, 0x0213}:
        return Answer(Verdict.LATER, code, "It cannot take the object now.")
    if 0xA900 <= status <= 0xA9FF:
        return Answer(Verdict.REFUSED, code, "It says that the object does not fit its class.")
    if 0xC000 <= status <= 0xCFFF:
        return Answer(Verdict.REFUSED, code, "It says that it cannot understand the object.")
    return Answer(Verdict.REFUSED, code, _DIMSE.get(status, "It refuses the object."))


def http_answer(status: int) -> Answer:
    """Return what an HTTP status that is no success means."""
    code = f"HTTP {status}"
    if status in _LATER_HTTP or status >= 500:
        return Answer(Verdict.LATER, code, "It cannot answer now.")
    return Answer(Verdict.REFUSED, code, _HTTP.get(status, "It refuses the request."))
