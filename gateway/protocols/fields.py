"""The header fields of resumable uploads: numbers of tus 1.0, and structured fields of the draft (RFC 9651).

Guarantee: a value is what the grammar allows, or nothing: a structured field that is malformed counts as absent, as the
draft prescribes, and one of tus is refused. Only Integer and Boolean items occur in requests; their parameters are
checked and ignored. (A library for all structured fields would be larger than these two expressions.)
"""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from pipeline.core.errors import RequestError

_MOST_DIGITS: Final = 15  # RFC 9651 section 3.3.1; 2**53 has 16
_STRING = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
_NUMBER = r"-?[0-9]{1,15}(?:\.[0-9]{1,3})?"
_WORD = r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*"
_BYTES = r":[A-Za-z0-9+/=]*:"
_BARE = rf"(?:{_STRING}|{_NUMBER}|{_WORD}|{_BYTES}|\?[01]|@-?[0-9]{{1,15}}|%{_STRING})"
_PARAMETERS = rf"(?:; *[a-z*][a-z0-9_\-.*]*(?:={_BARE})?)*"
_INTEGER: Final = re.compile(rf" *(-?[0-9]{{1,15}}){_PARAMETERS} *")
_BOOLEAN: Final = re.compile(rf" *\?([01]){_PARAMETERS} *")
_WHOLE: Final = re.compile(rf"[0-9]{{1,{_MOST_DIGITS}}}")


def whole_number(request: web.Request, name: str) -> int | None:
    """A number of tus: decimal digits. None: it was not sent. Raises RequestError UPLOAD_HEADER_INVALID."""
    sent = request.headers.getall(name, [])
    if not sent:
        return None
    if len(sent) > 1 or not _WHOLE.fullmatch(sent[0].strip()):
        raise RequestError("UPLOAD_HEADER_INVALID", header=name, reason="it is a whole number of at most 15 digits")
    return int(sent[0])


def integer(request: web.Request, name: str) -> int | None:
    """An Integer item that is not negative; None for anything else."""
    found = _INTEGER.fullmatch(", ".join(request.headers.getall(name, [])))
    return int(found[1]) if found and int(found[1]) >= 0 else None


def boolean(request: web.Request, name: str) -> bool | None:
    """A Boolean item; None for anything else."""
    found = _BOOLEAN.fullmatch(", ".join(request.headers.getall(name, [])))
    return None if found is None else found[1] == "1"


def item(value: bool) -> str:  # its value, not an option
    """As a Boolean item."""
    return "?1" if value else "?0"


def media_type(request: web.Request) -> str:
    """The media type of the body, in lower case, without parameters."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
