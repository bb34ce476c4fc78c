"""Transfer: streams an upload's segments from the temp volume to the store, as they arrive.

Guarantee: a segment counts as stored only when the store's own digest matches the bytes that were read, and these match
the crc32c computed on receipt. Where the client has announced the segment's MD5, the store compares that one, and it is
not computed here: the check is then from the client to the store. If it fails, the MD5 of the bytes is computed once: a
digest that is wrong makes the segment missing again, bytes that were changed on the way are sent again. There is one
job per upload that has pending segments; the stage's lease is its claim on them, so the segments of a dead worker are
released with the lease. The job ends when no segment is pending, and the next arrival queues it again. If the store has
lost the session (a lifecycle rule ended it, or the bucket was deleted), a new one is opened and every segment is
transferred again: from the temp file or, if its bytes were released, from the client. A segment of a windowed upload is
released as soon as it is stored. A file of one segment is an object when that is stored, so its transfer finishes stage
`seal` too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from pipeline.core.errors import DigestRefused, RequestError, SegmentCorrupt, StoreError
from pipeline.core.model import Upload
from pipeline.core.retry import RetryPolicy
from pipeline.core.stages import Stage
from pipeline.core.stored_objects import ObjectTarget, StoredSegment
from pipeline.engine.contract import Done, Idle, Outcome, Requeue, StageRun
from pipeline.engine.drain import drain
from pipeline.engine.limiter import SegmentLimiter
from pipeline.engine.retry import retry_store
from pipeline.ports import EventFeed, ObjectStore, SegmentSource, StageIdle, Stores
from pipeline.stages.stored_object import stored_to_data
from pipeline.tasks import end_tasks
from pipeline.telemetry import STORED_BYTES
from pipeline.uploads.cell import CellState
from pipeline.uploads.invalidate import invalidate_segment
from pipeline.uploads.release import EarlyRelease
from pipeline.uploads.segment_files import has_announced_md5, segment_source
from pipeline.uploads.target import open_target

# Retries of one segment within a run.
_SEGMENT_RETRIES = RetryPolicy(max_attempts=4, base_seconds=0.3, cap_seconds=5)
# A job without pending segments stays this long, so that the next arrival needs no new job.
_LINGER_SECONDS = 0.3
# Signals may be lost: the board is read at least this often.
_POLL_SECONDS = 1.0


class Transfer:
    """The handler of stage `transfer`."""

    def __init__(
        self,
        cell: CellState,
        idle: StageIdle,
        stores: Stores,
        limiter: SegmentLimiter,
        feed: EventFeed,
        release: EarlyRelease,
    ) -> None:
        self._cell = cell
        self._release = release
        self._idle = idle
        self._stores = stores
        self._limiter = limiter
        self._feed = feed

    async def __call__(self, run: StageRun) -> Outcome:
        store = self._stores.named(run.upload.store)
        target = await open_target(run.upload, store, self._cell.record)
        in_flight: dict[int, asyncio.Task[Done | None]] = {}
        try:
            try:
                async with self._changes(run.upload) as changes:
                    return await self._pump(run, store, target, in_flight, changes)
            finally:
                await drain(in_flight.values())
        except StoreError as error:
            if error.code == "STORE_SESSION_LOST":  # the next attempt opens a new one
                await self._cell.ledger.renew(run.upload.upload_id)  # its client may have to send segments again
                await self._cell.record.session_lost(run.job, target.session)
            raise

    @asynccontextmanager
    async def _changes(self, upload: Upload) -> AsyncIterator[AsyncIterator[None]]:
        """Signals of further segments: none if there is only one."""
        if upload.plan.count == 1:
            yield _nothing()
        else:
            async with self._feed.watch(upload.upload_id) as changes:
                yield changes

    async def _pump(
        self,
        run: StageRun,
        store: ObjectStore,
        target: ObjectTarget,
        in_flight: dict[int, asyncio.Task[Done | None]],
        changes: AsyncIterator[None],
    ) -> Outcome:
        """Keep up to `slots` segments in flight until every segment is stored, or none is pending."""
        slots = self._limiter.slots
        changed = asyncio.ensure_future(anext(changes))
        try:
            while True:
                pending = await self._cell.segments.pending(run.job, slots + len(in_flight))
                if pending.complete:
                    return Done()
                if not run.stop.is_set():
                    for number, crc32c in pending.crc32c.items():
                        if number not in in_flight and len(in_flight) < slots:
                            md5_hex = pending.md5.get(number, "")
                            put = self._put(run, store, target, number, crc32c, md5_hex)
                            in_flight[number] = asyncio.create_task(put)
                if in_flight:
                    await asyncio.wait(
                        {changed, *in_flight.values()}, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                elif run.stop.is_set():
                    return Requeue()
                else:
                    done, _ = await asyncio.wait({changed}, timeout=_LINGER_SECONDS)
                    if not done and await self._idle.idle(run.job):
                        return Idle()
                if changed.done():
                    changed.result()
                    changed = asyncio.ensure_future(anext(changes))
                ended = [in_flight.pop(number) for number in [*in_flight] if in_flight[number].done()]
                completed = [outcome for task in ended if (outcome := task.result())]
                if completed and not in_flight:
                    return completed[0]
        finally:
            await end_tasks(changed)

    async def _put(
        self, run: StageRun, store: ObjectStore, target: ObjectTarget, number: int, crc32c: int, md5_hex: str
    ) -> Done | None:
        """Store one segment and record it; Done: the store has every segment now. A segment whose bytes changed, or
        whose client has announced another MD5, is invalidated instead."""
        if run.upload.deferred is not None:  # the length of the file, and so of this segment, may have become known
            target = replace(target, plan=(await self._cell.uploads.get(target.upload_id)).plan)
        source = segment_source(self._cell.volume, target.upload_id, target.plan, number, crc32c, md5_hex)
        try:
            stored = await retry_store(partial(self._put_once, store, target, source), _SEGMENT_RETRIES, run.stop)
        except SegmentCorrupt:
            await invalidate_segment(self._cell, target.upload_id, number, crc32c)
            return None
        except RequestError:  # SEGMENT_DIGEST_WRONG, of _put_once
            await invalidate_segment(self._cell, target.upload_id, number, crc32c, wrong_digest=True)
            return None
        verdict = await self._cell.record.segment_stored(run.job, stored, compared=bool(md5_hex))
        STORED_BYTES.inc(stored.size_bytes)
        if verdict.released:
            await self._release.segment_stored(target.upload_id, target.plan, number)
        return Done(also=await _sealed(run, store, target, stored)) if verdict.complete else None

    async def _put_once(self, store: ObjectStore, target: ObjectTarget, source: SegmentSource) -> StoredSegment:
        """Raises RequestError SEGMENT_DIGEST_WRONG, and what `put_segment` raises."""
        async with self._limiter.slot():
            try:
                return await store.put_segment(target, source)
            except DigestRefused as error:
                if not source.md5_hex or await has_announced_md5(source):
                    raise
                raise RequestError("SEGMENT_DIGEST_WRONG", number=source.number, algorithm="md5") from error


async def _sealed(
    run: StageRun, store: ObjectStore, target: ObjectTarget, stored: StoredSegment
) -> Mapping[Stage, Mapping[str, Any] | None]:
    """The outcome of stage `seal`, of a file that is an object without a manifest; nothing where it has to run itself,
    also because the store is unavailable."""
    if not target.is_plain or run.upload.deferred is not None:
        return {}
    try:
        return {Stage.SEAL: stored_to_data(await store.seal(target, [stored], acknowledged=True))}
    except StoreError:
        return {}


async def _nothing() -> AsyncIterator[None]:
    await asyncio.Event().wait()
    yield
