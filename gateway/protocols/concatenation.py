"""Concatenation of tus 1.0: `Upload-Concat: partial`, and `Upload-Concat: final;` with the URLs of partial uploads.

Guarantee: a response to HEAD has the field as its client sent it. A URL may be absolute or a path, percent-encoded or
not, and one that a proxy has rewritten: only its end, `files/ID`, is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from aiohttp import web

from gateway.cells import cell_serving
from gateway.http import bodies
from gateway.http.envelope import success
from gateway.http.links import base_url
from gateway.http.state import OPTIONS
from gateway.keys import CALLER, LIMITS, SERVICES
from gateway.placing import in_cell_of_parts
from gateway.protocols import metadata
from gateway.protocols.creating import described, location_headers, status_headers
from pipeline.core.errors import RequestError, SluiceError
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import Upload
from pipeline.core.transports import Transport
from pipeline.uploads.bytes import is_sealed
from pipeline.uploads.lookup import UploadDetail, ended_error
from schemas.files import FileView

FIELD: Final = "Upload-Concat"
MOST_PARTS: Final = 128
"""Partial uploads of one final upload. The server accepts a header field of 8,190 bytes, about a hundred URLs. HEAD
sends it back, and clients accept as much."""

_PARTIAL: Final = "partial"
_FINAL: Final = "final;"
_FILE: Final = re.compile(r"(?:.*/)?files/([0-9A-Za-z-]{1,64})/?")


@dataclass(frozen=True, slots=True)
class Joined:
    """`Upload-Concat` of a final upload: the ids that it names, in order, and the field as it was sent."""

    upload_ids: tuple[str, ...]
    text: str


def parse(values: list[str]) -> Joined | bool:
    """The values of the header field: what a final upload consists of; True: the upload is a partial one, False: it is
    neither. Raises RequestError UPLOAD_HEADER_INVALID, and UPLOAD_NOT_FOUND for a URL that is not one of an upload."""
    if not values:
        return False
    text = values[0].strip()
    if len(values) > 1 or not text.startswith((_PARTIAL, _FINAL)):
        raise _invalid("it is `partial`, or `final;` and URLs")
    if not text.startswith(_FINAL):
        if text != _PARTIAL:
            raise _invalid("it is `partial`, or `final;` and URLs")
        return True
    urls = text.removeprefix(_FINAL).split()
    if not 1 <= len(urls) <= MOST_PARTS:
        raise _invalid(f"it names 1 to {MOST_PARTS} partial uploads")
    upload_ids = tuple(map(_upload_id, urls))
    if len(set(upload_ids)) < len(upload_ids):
        raise _invalid("it names a partial upload twice")
    return Joined(upload_ids, text)


async def create_final(request: web.Request, joined: Joined) -> web.StreamResponse:
    """Each part is looked up, which counts as a segment towards the limit of requests. Raises RequestError
    UPLOAD_HEADER_INVALID, PARTIAL_UPLOADS_APART; LimitReached RATE_LIMITED; OtherCell; and as `Concatenation.parts` and
    `create_final`."""
    for name in ("Upload-Length", "Upload-Defer-Length"):
        if name in request.headers:
            raise RequestError(
                "UPLOAD_HEADER_INVALID", header=name, reason="a final upload has the length of its parts"
            )
    if bodies.declared_bytes(request):
        raise RequestError("UPLOAD_HEADER_INVALID", header="Content-Length", reason="a final upload has no body")
    service, caller = request.app[SERVICES].concatenation, request[CALLER]
    if (limit := request.app[LIMITS].segments) is not None:
        limit.require(caller.owner, len(joined.upload_ids))
    await _require_parts_here(request, joined.upload_ids)
    parts = await service.parts(joined.upload_ids, caller)
    wanted, key = described(request, sum(part.size_bytes for part in parts))
    detail, _ = await service.create_final(wanted, parts, joined.text, key, caller)
    return web.Response(status=201, headers=location_headers(request, detail))


async def _require_parts_here(request: web.Request, upload_ids: Sequence[str]) -> None:
    """Raises OtherCell CREATE_IN_OTHER_CELL if all parts are in another cell; RequestError PARTIAL_UPLOADS_APART if
    they are in several. What it does not redirect, it leaves to `Concatenation.parts`."""
    cells = [await cell_serving(request, upload_id) for upload_id in upload_ids]
    if len(set(cells)) > 1:
        raise RequestError("PARTIAL_UPLOADS_APART", cells=", ".join(map(str, sorted(set(cells)))))
    if cells[0] != request.app[OPTIONS].cell:
        raise in_cell_of_parts(request, cells[0])


def concat_header(upload: Upload) -> dict[str, str]:
    """What HEAD says of a partial or a final upload; nothing of any other."""
    if upload.transport is Transport.PARTIAL:
        return {FIELD: _PARTIAL}
    return {FIELD: upload.concat} if upload.concat else {}


async def show_final(request: web.Request, name: str, error: SluiceError) -> web.StreamResponse:
    """The response to HEAD and GET of a final upload: it has an offset once the store has joined its parts (tus 1.0,
    Concatenation, HEAD). Raises `error` for any other upload, UploadEnded for one that has failed."""
    detail: UploadDetail = await request.app[SERVICES].lookup.detail(name)
    upload = detail.upload
    if upload.transport is not Transport.FINAL:
        raise error
    if upload.status in ENDED and upload.status is not Status.READY:
        raise ended_error(upload)
    complete = upload.status is Status.READY or is_sealed(upload)
    headers = {
        "Upload-Length": str(upload.size_bytes),
        "Cache-Control": "no-store",
        **concat_header(upload),
        **status_headers(request, name),
    }
    if complete:
        headers["Upload-Offset"] = str(upload.size_bytes)
    if sent := metadata.serialize(upload.metadata):
        headers["Upload-Metadata"] = sent
    view = FileView(
        id=name,
        offset=upload.size_bytes if complete else 0,
        size=upload.size_bytes,
        complete=complete,
        upload=f"{base_url(request)}/v1/uploads/{name}",
    )
    return success(view, headers=headers)


@contextmanager
def naming_a_final() -> Iterator[None]:
    """Raises RequestError UPLOAD_IS_FINAL in place of TRANSPORT_DIFFERS for bytes that were sent to a final upload."""
    try:
        yield
    except RequestError as error:
        if error.code == "TRANSPORT_DIFFERS" and error.detail.get("transport") == str(Transport.FINAL):
            raise RequestError("UPLOAD_IS_FINAL") from None
        raise


def _upload_id(url: str) -> str:
    try:
        path = unquote(urlsplit(url).path)
    except ValueError:
        path = ""
    found = _FILE.fullmatch(path)
    if found is None:
        raise RequestError("UPLOAD_NOT_FOUND", upload_id=url[:64])
    return found[1]


def _invalid(reason: str) -> RequestError:
    return RequestError("UPLOAD_HEADER_INVALID", header=FIELD, reason=reason)
