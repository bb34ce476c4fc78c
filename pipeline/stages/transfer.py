"""Transfer: streams an upload's segments from the temp volume to the store, as they arrive.

Guarantee: a segment counts as stored only when the store's own digest of it agrees with what was read, and what was
read agrees with what arrived. One job per upload that has segments waiting; its claim on them is the stage's lease, so
a dead worker's segments are free again with it. The job ends when nothing waits, and the next arrival queues it again.
Where the store has forgotten the session (a lifecycle rule ended it, or the bucket was deleted), another is opened and
everything is put again: the temp file is still there.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

from pipeline.core.errors import SegmentCorrupt, StoreError, StoreUnavailable
from pipeline.core.journal import Gone, Stored
from pipeline.core.model import ObjectTarget
from pipeline.core.retry import GiveUp, RetryPolicy, decide
from pipeline.engine.contract import Done, Idle, Outcome, Requeue, StageRun
from pipeline.engine.drain import land
from pipeline.engine.limiter import SegmentLimiter
from pipeline.ports import EventFeed, ObjectStore, SegmentBoard, StageBoard, Stores, TempVolume, UploadJournals
from pipeline.telemetry import STORED_BYTES
from pipeline.uploads.recall import Recall
from pipeline.uploads.target import open_target

# Within one job a segment is tried so often before the stage's own, longer-breathed retry takes over.
_SEGMENT_RETRIES = RetryPolicy(max_attempts=4, base_seconds=0.3, cap_seconds=5)
# A job that has nothing to do stays so long, to spare the next arrival the way through the queue.
_LINGER_SECONDS = 0.3
# Changes that were signalled while nobody listened are found by looking.
_LOOK_SECONDS = 1.0


class Transfer:
    """The handler of stage `transfer`."""

    def __init__(
        self,
        segments: SegmentBoard,
        stages: StageBoard,
        recall: Recall,
        stores: Stores,
        volume: TempVolume,
        limiter: SegmentLimiter,
        feed: EventFeed,
        journals: UploadJournals,
    ) -> None:
        self._segments = segments
        self._stages = stages
        self._recall = recall
        self._stores = stores
        self._volume = volume
        self._limiter = limiter
        self._feed = feed
        self._journals = journals

    async def __call__(self, run: StageRun) -> Outcome:
        store = self._stores.named(run.upload.store)
        target = await open_target(run.upload, store, self._segments, self._journals)
        flying: dict[int, asyncio.Task[None]] = {}
        try:
            try:
                async with self._feed.watch(run.upload.upload_id) as changes:
                    return await self._pump(run, store, target, flying, changes)
            finally:
                await land(flying.values())
        except StoreError as error:
            if error.code == "STORE_SESSION_LOST":  # the next attempt opens another
                gone = await self._segments.session_lost(run.job, target.session)
                await self._journals.note(run.upload.upload_id, *map(Gone, gone))
            raise

    async def _pump(
        self,
        run: StageRun,
        store: ObjectStore,
        target: ObjectTarget,
        flying: dict[int, asyncio.Task[None]],
        changes: AsyncIterator[None],
    ) -> Outcome:
        """Keep up to `slots` segments in the air until every segment is stored, or nothing waits."""
        slots = self._limiter.slots
        changed = asyncio.ensure_future(anext(changes))
        try:
            while True:
                waiting = await self._segments.pending(run.job, slots + len(flying))
                if waiting.complete:
                    return Done()
                if not run.stop.is_set():
                    for number, crc32c in waiting.crc32c.items():
                        if number not in flying and len(flying) < slots:
                            flying[number] = asyncio.create_task(self._put(run, store, target, number, crc32c))
                if flying:
                    await asyncio.wait(
                        {changed, *flying.values()}, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                elif run.stop.is_set():
                    return Requeue()
                else:
                    done, _ = await asyncio.wait({changed}, timeout=_LINGER_SECONDS)
                    if not done and await self._stages.idle(run.job):
                        return Idle()
                if changed.done():
                    changed.result()
                    changed = asyncio.ensure_future(anext(changes))
                for number in [number for number, task in flying.items() if task.done()]:
                    flying.pop(number).result()
        finally:
            changed.cancel()

    async def _put(self, run: StageRun, store: ObjectStore, target: ObjectTarget, number: int, crc32c: int) -> None:
        """Bring one segment into the store and record it. A segment whose bytes have changed is asked for again."""
        plan = target.plan
        source = self._volume.source(target.upload_id, number, plan.offset(number), plan.length(number), crc32c)
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self._limiter.slot():
                    stored = await store.put_segment(target, source)
            except SegmentCorrupt:
                await self._recall.segment(target.upload_id, number, crc32c)
                return
            except StoreUnavailable as error:
                decision = decide(error, attempt, _SEGMENT_RETRIES, random.random())
                if isinstance(decision, GiveUp) or run.stop.is_set():
                    raise
                await asyncio.sleep(decision.seconds)
            else:
                await self._segments.record_stored(run.job, stored)
                await self._journals.note(run.upload.upload_id, Stored(number, stored.etag))
                STORED_BYTES.inc(stored.size_bytes)
                return
