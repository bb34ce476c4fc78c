"""How /files/ sends errors: in the envelope, with the statuses and headers of the protocol that the request speaks.

Guarantee: an error of tus carries neither Upload-Offset nor Location: some clients read them as a success. Only a
redirect to another cell has Location. Browsers and aiotus follow it; tuspy follows it except for HEAD; tus-java-client
follows it with the system property http.strictPostRedirect; tus-js-client in Node.js reports it as an error.

An error that may pass has a status after which clients try again by themselves. tus-js-client gives up after every 4xx
except 409 and 423, and after an error of HEAD other than 423 it creates a second upload; tus-java-client repeats after
423 and 5xx. So to tus clients, which includes those of the early drafts:

- an error that may pass has the status 423 in place of 408 and 429, and of 5xx if the request asks for an offset;
- DAILY_LIMIT keeps its 429, since it does not pass within the minutes for which clients try.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from gateway.http.envelope import REQUEST_ID, failure
from gateway.keys import CURRENT_ROUTE
from gateway.protocols.dialects import ALL, TUS_VERSION, Dialect, dialect_of
from gateway.protocols.limits import limit_field
from gateway.routing import ErrorForm
from pipeline.core.error_codes import CATALOGUE
from pipeline.core.errors import SluiceError

_LOCKED: Final = 423
_GONE: Final = 410

# Of every protocol here.
_STATUSES: Final = {"VALIDATION_FAILED": 400, "UPLOAD_ENDED": _GONE, "TRANSPORT_DIFFERS": 404}
# Of the drafts: a request beyond the length of the upload contradicts itself; 460 is a status of tus.
_DRAFT: Final = {"APPEND_TOO_LONG": 400, "APPEND_DIGEST_WRONG": 400}
_EARLY: Final = {"UPLOAD_ENDED": 404}
_NEWEST: Final = {"APPEND_NO_ROOM": 503, "APPEND_SUPERSEDED": 503}

_AS_LISTED: Final = frozenset({"APPEND_DIGEST_WRONG", "DAILY_LIMIT", "INTERNAL"})

_PROBLEMS: Final = "https://iana.org/assignments/http-problem-types#"
_OFFSET: Final = "APPEND_OFFSET_WRONG"
_LENGTHS: Final = frozenset({"APPEND_TOO_LONG", "UPLOAD_LENGTH_DIFFERS"})
_LIMITS: Final = frozenset({"VALIDATION_FAILED"})  # of an empty file


def error_form(codes: tuple[str, ...], *, asks: bool = False) -> ErrorForm:
    """The form of a route that sends errors with these codes, and with those of every route. `asks`: it is the one that
    tells the offset."""
    statuses = {code: tuple(sorted({status_of(code, dialect, asks=asks) for dialect in ALL})) for code in CATALOGUE}
    return ErrorForm(_respond, statuses, frozenset({_OFFSET, *_LENGTHS}).intersection(codes))


def status_of(code: str, dialect: Dialect, *, asks: bool) -> int:
    """The status of an error in a protocol. `asks`: the request asks for the offset of an upload."""
    spec = CATALOGUE[code]
    own = _STATUSES | ({} if dialect.is_tus else _DRAFT | (_EARLY if dialect.is_early else _NEWEST))
    if code in own:
        return own[code]
    if not spec.retryable or code in _AS_LISTED or not (dialect.is_tus or dialect.is_early):
        return spec.http_status
    return _LOCKED if spec.http_status < 500 or asks else spec.http_status


def _respond(request: web.Request, error: SluiceError) -> web.Response:
    dialect = dialect_of(request)
    status = status_of(error.code, dialect, asks=request[CURRENT_ROUTE].method == "GET")
    problem = None if dialect.is_tus else _problem(error)
    response = failure(error, request.path, request[REQUEST_ID], status=status, problem=problem)
    if error.code == "TUS_VERSION_NOT_SUPPORTED":
        response.headers["Tus-Version"] = TUS_VERSION
    if dialect.is_tus:
        return response
    if error.code == _OFFSET:
        response.headers["Upload-Offset"] = str(error.detail["offset"])
    if error.code == _OFFSET or error.code in _LENGTHS:
        response.headers["Upload-Complete"] = "?0"
    if response.status == 413 or error.code in _LIMITS:
        response.headers["Upload-Limit"] = limit_field(request, dialect, None)
    return response


def _problem(error: SluiceError) -> Mapping[str, Any] | None:
    """The members of RFC 9457 for the problem types of the draft."""
    if error.code == _OFFSET:
        return {
            "type": _PROBLEMS + "mismatching-upload-offset",
            "title": error.message,
            "expected-offset": error.detail["offset"],
            "provided-offset": error.detail["sent_offset"],
        }
    if error.code in _LENGTHS:
        return {"type": _PROBLEMS + "inconsistent-upload-length", "title": error.message}
    return None
