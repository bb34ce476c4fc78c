"""What the event streams of one gateway share: their number, and their reads of uploads.

Guarantee: however many streams show an upload, a change of it costs at most two reads, and one rendering for each
address by which clients reach the gateway. All streams together have at most `_READS_AT_ONCE` reads in progress, so
that other requests do not wait for them.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from aiohttp import web

from gateway.api.views import upload_view
from gateway.http.links import base_url
from gateway.http.slots import OwnerSlots, streams_taken
from gateway.http.state import OPTIONS
from gateway.keys import SERVICES
from pipeline.bootstrap import GatewayServices
from pipeline.uploads.lookup import UploadDetail

_READS_AT_ONCE: Final = 8


class ShownUpload:
    """An upload as it was read, and as its clients see it."""

    def __init__(self, detail: UploadDetail) -> None:
        self.detail = detail
        self._texts: dict[str, str] = {}

    def text(self, request: web.Request) -> str:
        """As JSON, with links to the gateway at the address that this client used."""
        base = base_url(request)
        if base not in self._texts:
            self._texts[base] = upload_view(self.detail, base).model_dump_json()
        return self._texts[base]


class UploadReads:
    """Reads uploads, each once for all who ask for it at the same time."""

    def __init__(self, services: GatewayServices) -> None:
        self._services = services
        self._slots = asyncio.Semaphore(_READS_AT_ONCE)
        self._running: dict[str, asyncio.Task[ShownUpload]] = {}
        self._next: dict[str, asyncio.Task[ShownUpload]] = {}

    async def latest(self, upload_id: str) -> ShownUpload:
        """The upload as it is after this call has begun. Raises as `UploadLookup.detail`."""
        running = self._running.get(upload_id)
        if running is None:
            task = self._running[upload_id] = self._begin(upload_id, None)
        elif upload_id in self._next:
            task = self._next[upload_id]
        else:  # what is being read may be older than the change that the caller wants to see
            task = self._next[upload_id] = self._begin(upload_id, running)
        return await asyncio.shield(task)

    def _begin(self, upload_id: str, after: asyncio.Task[ShownUpload] | None) -> asyncio.Task[ShownUpload]:
        task = asyncio.create_task(self._read(upload_id, after), name="stream-read")
        task.add_done_callback(partial(self._ended, upload_id))
        return task

    async def _read(self, upload_id: str, after: asyncio.Task[ShownUpload] | None) -> ShownUpload:
        if after is not None:
            await asyncio.wait({after})
        async with self._slots:
            return ShownUpload(await self._services.lookup.detail(upload_id))

    def _ended(self, upload_id: str, task: asyncio.Task[ShownUpload]) -> None:
        following = self._next.pop(upload_id, None)
        if following is None:
            del self._running[upload_id]
        else:
            self._running[upload_id] = following
        if not task.cancelled():
            task.exception()  # those that waited may have left


STREAM_SLOTS = web.AppKey("stream_slots", OwnerSlots)
UPLOAD_READS = web.AppKey("upload_reads", UploadReads)


def share_streams(app: web.Application) -> None:
    """Give an application what its streams share; its services and options are set."""
    app[STREAM_SLOTS] = OwnerSlots(app[OPTIONS].streams, app[OPTIONS].owner_streams, streams_taken)
    app[UPLOAD_READS] = UploadReads(app[SERVICES])
