"""Streams bytes from a store to a client: ranges, conditional requests, and clients that are slow or disconnect.

Guarantee: an error before the first byte is sent in the envelope. After it the connection is aborted, so that a broken
download never looks complete. A download whose key is revoked ends within seconds, also while its client reads slowly;
one whose key or link expires goes on, since it was requested in time. Memory per download is bounded: one block, what
is read ahead, which is a few blocks, and the socket's buffer. A client that accepts nothing for
`download_stall_seconds` is disconnected. A client that disconnects releases the store's connection at once, also while
the store is silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web

from gateway.http import conditions, ranges
from gateway.http.conditions import Validators
from gateway.http.connection import client_gone
from gateway.http.state import DOWNLOAD_SLOTS, OPTIONS
from pipeline.core.errors import AccessError, SluiceError
from pipeline.logs import Log, logger
from pipeline.tasks import end_tasks
from pipeline.telemetry import DOWNLOADS, SENT_BYTES

TRUST_SECONDS = 2.0
"""Time between two checks of a request in progress: is its caller still trusted?"""

WRITE_BYTES = 128 * 1024
"""Bytes passed to a socket at once: a slow client costs this much beside its block, not a second copy of the block."""


@dataclass(frozen=True, slots=True)
class Download:
    """What to send. `blocks(first, last)` yields those bytes, both inclusive. `repr_digest`: of all of them, in the
    form of Repr-Digest (RFC 9530 section 3), which a response with a part of them has too."""

    size_bytes: int
    validators: Validators
    content_type: str
    disposition: str
    blocks: Callable[[int, int], AsyncIterator[bytes]]
    repr_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who downloads: the owner whose share it counts for, and whether it is still trusted. `is_trusted` raises
    SluiceError where that is not known."""

    owner: str
    is_trusted: Callable[[], Awaitable[bool]]


async def send(request: web.Request, download: Download, recipient: Recipient) -> web.StreamResponse:
    """The response to GET and HEAD: 200 or 206, or 304 if the conditions say so. Raises PRECONDITION_FAILED,
    RANGE_NOT_SATISFIABLE, DOWNLOAD_LIMIT, GATEWAY_BUSY, and what the store raised before its first byte."""
    if (unchanged := not_modified(request, download)) is not None:
        return unchanged
    headers = _caching(download) | {
        "Content-Security-Policy": "sandbox",  # a browser that shows it gives it no rights of our origin
        "Last-Modified": download.validators.last_modified,
        "Accept-Ranges": "bytes",
        "Content-Type": download.content_type,
        "Content-Disposition": download.disposition,
    }
    if download.repr_digest is not None:
        headers["Repr-Digest"] = download.repr_digest
    part = _requested(request, download)
    first, last = part or (0, download.size_bytes - 1)
    if part is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{download.size_bytes}"
    response = web.StreamResponse(status=200 if part is None else 206, headers=headers)
    response.content_length = last + 1 - first
    if request.method == "HEAD":
        return response
    with request.app[DOWNLOAD_SLOTS].taken(recipient.owner), DOWNLOADS.track_inprogress():
        work = _copy(request, response, download.blocks(first, last))
        try:
            await _while_wanted(request, work, recipient)
        except (SluiceError, TimeoutError) as error:
            if not response.prepared:
                raise
            reason = error.message if isinstance(error, SluiceError) else "the client does not read"
            logger().warning(Log.DOWNLOAD_BROKEN, path=request.path, reason=reason)
            if request.transport is not None:
                request.transport.abort()
    return response


async def until_distrusted(is_trusted: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the caller of a request in progress is no longer trusted. Raises what `is_trusted` raises."""
    while True:
        if not await is_trusted():
            return
        await asyncio.sleep(TRUST_SECONDS)


def not_modified(request: web.Request, download: Download, *, dates: bool = True) -> web.Response | None:
    """304 if the client has the bytes already, else None; `dates` as for `conditions.is_not_modified`. Raises
    RequestError PRECONDITION_FAILED."""
    if not conditions.is_not_modified(request.headers, download.validators, dates=dates):
        return None
    return web.Response(status=304, headers=_caching(download))  # no other header: RFC 9110 section 15.4.5


def _caching(download: Download) -> dict[str, str]:
    # May be stored, but must be revalidated: the object may be deleted.
    return {"ETag": download.validators.etag, "Cache-Control": "private, no-cache"}


def _requested(request: web.Request, download: Download) -> ranges.Range | None:
    """The range to send; only GET has ranges (RFC 9110 section 14.2). Raises RANGE_NOT_SATISFIABLE."""
    lines = request.headers.getall("Range", [])
    if request.method != "GET" or len(lines) != 1 or not conditions.range_applies(request.headers, download.validators):
        return None
    return ranges.requested_range(lines[0], download.size_bytes)


async def _copy(request: web.Request, response: web.StreamResponse, blocks: AsyncIterator[bytes]) -> None:
    stall_seconds = request.app[OPTIONS].download_stall_seconds
    async with aclosing(cast(AsyncGenerator[bytes, None], blocks)):
        block = await anext(blocks, b"")
        await response.prepare(request)
        while block:
            for start in range(0, len(block), WRITE_BYTES):
                async with asyncio.timeout(stall_seconds):
                    await response.write(memoryview(block)[start : start + WRITE_BYTES])
            SENT_BYTES.inc(len(block))
            block = b""  # else two blocks are held while the next one is read
            block = await anext(blocks, b"")


async def _while_wanted(request: web.Request, work: Coroutine[Any, Any, None], recipient: Recipient) -> None:
    """Run `work` until it ends or the client disconnects. Raises AccessError CREDENTIAL_INVALID once the recipient is
    no longer trusted, and what `work` raises."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(client_gone(request).wait())
    distrusted = asyncio.ensure_future(until_distrusted(recipient.is_trusted))
    try:
        await asyncio.wait((working, leaving, distrusted), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            with suppress(ConnectionError):
                working.result()
        elif distrusted.done():
            distrusted.result()
            raise AccessError("CREDENTIAL_INVALID", reason="it was revoked")
    finally:
        await end_tasks(working, leaving, distrusted)
