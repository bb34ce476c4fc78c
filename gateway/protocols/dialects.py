"""The protocols of /files/: tus 1.0, and the IETF draft "Resumable Uploads for HTTP" in several versions.

A request says which one it speaks: every request of tus carries Tus-Resumable, except OPTIONS; one of the draft carries
Upload-Draft-Interop-Version, or else Upload-Complete or the draft's media type, or asks for an offset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.keys import CURRENT_ROUTE
from gateway.protocols.fields import integer, media_type
from pipeline.core.errors import RequestError

TUS_VERSION: Final = "1.0.0"
PARTIAL_UPLOAD: Final = "application/partial-upload"


@dataclass(frozen=True, slots=True)
class Dialect:
    """`interop`: the interop version of the draft; 0: tus 1.0. Versions 5 and 6 are what tus-js-client 4 speaks."""

    interop: int

    @property
    def is_tus(self) -> bool:
        return self.interop == 0

    @property
    def is_early(self) -> bool:
        """Whether it is a version of the draft before `max-age`, the problem types and the present rules of length."""
        return self.interop in (5, 6)


TUS: Final = Dialect(0)
NEWEST: Final = Dialect(8)
ALL: Final = (TUS, Dialect(5), Dialect(6), NEWEST)


def dialect_of(request: web.Request) -> Dialect:
    """The protocol of a request to /files/. A version of the draft that is not known is treated as the newest one."""
    if "Tus-Resumable" in request.headers:
        return TUS
    version = integer(request, "Upload-Draft-Interop-Version")
    if version is not None:
        return next((dialect for dialect in ALL if dialect.interop == version != 0), NEWEST)
    if "Upload-Complete" in request.headers or media_type(request) == PARTIAL_UPLOAD:
        return NEWEST
    return NEWEST if request[CURRENT_ROUTE].method in ("GET", "DELETE") else TUS


def require_tus_version(request: web.Request) -> None:
    """Raises RequestError TUS_VERSION_NOT_SUPPORTED."""
    version = request.headers.get("Tus-Resumable", "")
    if version != TUS_VERSION:
        raise RequestError("TUS_VERSION_NOT_SUPPORTED", supported=TUS_VERSION, version=version[:32])
