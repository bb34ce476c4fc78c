"""Reading an upload's file in a stage: from wherever its bytes are, holding no worker while they are missing.

Guarantee: a stage that needs bytes which are not there announces them, and what it can foresee with them, stays for a
moment in case they arrive at once, and otherwise releases its lease; the script that records their arrival queues it
again. Bytes that only the stage after it needs are announced before it ends. A file is rejected as not being
media only if every byte that the reader requested matched its digest, or if a second reading of the store's bytes
rejects it too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager

from pipeline.core.errors import MediaError
from pipeline.core.model import Upload
from pipeline.core.reading import foreseen
from pipeline.core.retry import RetryPolicy
from pipeline.core.stored_objects import object_key
from pipeline.core.transports import TRANSPORTS
from pipeline.engine.contract import Outcome, Parked, StageRun
from pipeline.engine.retry import retry_store
from pipeline.ports import EventFeed, SegmentReads, StageReads, Stores
from pipeline.tasks import end_tasks
from pipeline.uploads.bytes import FileBytes, ObjectBytes, SegmentsMissing, UploadBytes, is_sealed, max_reads
from pipeline.uploads.cell import CellState
from pipeline.uploads.unsealed_bytes import UnsealedBytes

LINGER_SECONDS = 2.0
"""How long a run stays for segments that it has announced: a client that follows its upload sends them at once."""

# Signals may be lost: the board is asked at least this often.
_POLL_SECONDS = 0.5
# Retries of one range within a run.
_RANGE_RETRIES = RetryPolicy(max_attempts=4, base_seconds=0.3, cap_seconds=5)


class FileReads:
    """Opens the files of uploads of one cell for the stages that read them. A run that stays for segments of its client
    does so in a block of `waiting`: it needs nothing of its worker, which may run other jobs meanwhile."""

    def __init__(
        self,
        cell: CellState,
        reads: StageReads,
        stores: Stores,
        feed: EventFeed,
        waiting: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self._waiting = waiting
        self._cell = cell
        self._reads = reads
        self._stores = stores
        self._feed = feed

    async def reading(self, run: StageRun, read: Callable[[FileBytes], Awaitable[Outcome]]) -> Outcome:
        """The outcome of `read`, which gets the file's bytes and may be called again; Parked if they are missing."""
        upload, doubted = run.upload, False
        while True:
            try:
                source = self._open(run, upload)
                outcome = await self._read(source, read, doubted=doubted)
                if source.missing is not None:
                    await self._announce(run, upload, source.missing)
            except SegmentsMissing as missing:
                if await self._is_parked(run, upload, missing):
                    return Parked()
                upload = await self._cell.uploads.get(upload.upload_id)
            else:
                if outcome is not None:
                    return outcome
                doubted = True

    async def _read(
        self, source: FileBytes, read: Callable[[FileBytes], Awaitable[Outcome]], *, doubted: bool
    ) -> Outcome | None:
        """The outcome of `read`. None: the file is to be read a second time, since it was rejected as not being media
        and its bytes were not compared with a digest."""
        try:
            return await read(source)
        except MediaError as error:
            await source.require_unchanged()
            if doubted or not source.unverified or error.code != "NOT_MEDIA":
                raise
            return None

    def _open(self, run: StageRun, upload: Upload) -> _Retrying:
        """Raises SegmentsMissing for an object that does not exist yet."""
        spec, store = TRANSPORTS[upload.transport], self._stores.named(upload.store)
        found: FileBytes
        if upload.source is not None:
            version = upload.source
            found = ObjectBytes(store.within(version.container), version.key, upload.size_bytes, etag=version.etag)
        elif spec.in_store or (upload.window_bytes and not spec.graph[run.job.stage].reads):
            # What does not hold the segments of a window may find them released at any moment.
            if not is_sealed(upload):
                if spec.in_store and isinstance(store, SegmentReads):
                    return _Retrying(UnsealedBytes(self._cell, store, upload), run.stop)
                raise SegmentsMissing((), sealed=True)
            key = object_key(upload.upload_id)
            found = ObjectBytes(store, key, upload.size_bytes, segment_bytes=upload.segment_bytes)
        else:
            found = UploadBytes(self._cell, self._reads, store, run.job, upload)
        return _Retrying(found, run.stop)

    async def _is_parked(self, run: StageRun, upload: Upload, missing: SegmentsMissing) -> bool:
        """False: the bytes are there now."""
        most, from_store = max_reads(upload), isinstance(self._stores.named(upload.store), SegmentReads)
        if not missing.sealed:
            await self._announce(run, upload, missing)
            await self._linger(run, missing.numbers, most, from_store)
        return await self._reads.park(run.job, missing.numbers, most, from_store=from_store, sealed=missing.sealed)

    async def _announce(self, run: StageRun, upload: Upload, missing: SegmentsMissing) -> None:
        """Request segments, and those that will probably be needed next. A window has no room for guesses."""
        if missing.sealed:
            return
        more = frozenset[int]() if upload.window_bytes else foreseen(upload.plan, missing.numbers, missing.end)
        from_store = isinstance(self._stores.named(upload.store), SegmentReads)
        await self._reads.want(run.job, missing.numbers | more, max_reads(upload), from_store=from_store)

    async def _linger(self, run: StageRun, numbers: Collection[int], most: int | None, from_store: bool) -> None:
        """Wait a moment for segments that were announced."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LINGER_SECONDS
        async with self._waiting(), self._feed.watch(run.job.upload_id) as changes:
            changed = asyncio.ensure_future(anext(changes))
            try:
                while await self._reads.want(run.job, numbers, most, from_store=from_store) and not run.stop.is_set():
                    left_seconds = deadline - loop.time()
                    if left_seconds <= 0:
                        return
                    await asyncio.wait({changed}, timeout=min(left_seconds, _POLL_SECONDS))
                    if changed.done():
                        changed.result()
                        changed = asyncio.ensure_future(anext(changes))
            finally:
                await end_tasks(changed)


class _Retrying:
    """Repeats a read that the store did not serve. Implements FileBytes."""

    def __init__(self, source: FileBytes, stop: asyncio.Event) -> None:
        self._source = source
        self._stop = stop
        self.missing: SegmentsMissing | None = None
        """Why the last range that was requested could not be read."""

    @property
    def size_bytes(self) -> int:
        return self._source.size_bytes

    @property
    def unverified(self) -> bool:
        return self._source.unverified

    async def require_unchanged(self) -> None:
        await retry_store(self._source.require_unchanged, _RANGE_RETRIES, self._stop)

    async def read(self, offset: int, length: int) -> bytes:
        self.missing = None
        try:
            return await retry_store(lambda: self._source.read(offset, length), _RANGE_RETRIES, self._stop)
        except SegmentsMissing as missing:
            self.missing = missing
            raise
