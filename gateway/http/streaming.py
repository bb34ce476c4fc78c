"""Streams bytes from a store to a client: ranges, conditional requests, and clients that are slow or disconnect.

Guarantee: an error before the first byte is sent in the envelope. After it the connection is aborted, so that a broken
download never looks complete. Memory per download is bounded: one block of 1 MiB plus the two socket buffers. A client
that accepts nothing for `download_stall_seconds` is disconnected. A client that disconnects releases the store's
connection at once, also while the store is silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web

from gateway.http import ranges
from gateway.http.connection import client_gone
from gateway.http.state import DOWNLOAD_SLOTS, OPTIONS
from pipeline.core.errors import RequestError, SluiceError
from pipeline.telemetry import DOWNLOADS, SENT_BYTES, Log, logger

WRITE_BYTES = 128 * 1024
"""Bytes passed to a socket at once: a slow client costs this much beside its block, not a second copy of the block."""


@dataclass(frozen=True, slots=True)
class Download:
    """What to send. `blocks(first, last)` yields those bytes, both inclusive."""

    size_bytes: int
    etag: str
    content_type: str
    disposition: str
    blocks: Callable[[int, int], AsyncIterator[bytes]]


async def send(request: web.Request, download: Download) -> web.StreamResponse:
    """The response: 200, 206 or 304. Raises RANGE_NOT_SATISFIABLE, GATEWAY_BUSY, and what the store
    raised before its first byte."""
    headers = {
        "ETag": f'"{download.etag}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",  # may be stored, but must be revalidated: the object may be deleted
    }
    if ranges.matches_any(request.headers.get("If-None-Match"), download.etag):
        return web.Response(status=304, headers=headers)
    headers |= {"Content-Type": download.content_type, "Content-Disposition": download.disposition}
    part = None
    if ranges.range_applies(request.headers.get("If-Range"), download.etag):
        part = ranges.requested_range(request.headers.get("Range"), download.size_bytes)
    first, last = part or (0, download.size_bytes - 1)
    if part is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{download.size_bytes}"
    response = web.StreamResponse(status=200 if part is None else 206, headers=headers)
    response.content_length = last + 1 - first
    if request.method == "HEAD":
        return response
    slots = request.app[DOWNLOAD_SLOTS]
    if slots.locked():
        raise RequestError("GATEWAY_BUSY")
    async with slots:
        with DOWNLOADS.track_inprogress():
            await _while_connected(request, _copy(request, response, download.blocks(first, last)))
    return response


async def _copy(request: web.Request, response: web.StreamResponse, blocks: AsyncIterator[bytes]) -> None:
    stall_seconds = request.app[OPTIONS].download_stall_seconds
    async with aclosing(cast(AsyncGenerator[bytes, None], blocks)):
        try:
            block = await anext(blocks, b"")
            await response.prepare(request)
            while block:
                for start in range(0, len(block), WRITE_BYTES):
                    async with asyncio.timeout(stall_seconds):
                        await response.write(memoryview(block)[start : start + WRITE_BYTES])
                SENT_BYTES.inc(len(block))
                block = b""  # else two blocks are held while the next one is read
                block = await anext(blocks, b"")
        except (SluiceError, TimeoutError) as error:
            if not response.prepared:
                raise
            reason = error.message if isinstance(error, SluiceError) else "the client does not read"
            logger().warning(Log.DOWNLOAD_BROKEN, path=request.path, reason=reason)
            if request.transport is not None:
                request.transport.abort()


async def _while_connected(request: web.Request, work: Coroutine[Any, Any, None]) -> None:
    """Run `work` until it ends or the client disconnects."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(client_gone(request).wait())
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            with suppress(ConnectionError):
                working.result()
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
