"""Fetch: brings an object that lies in the store onto the temp volume, by ranges, many at once.

Guarantee: what is on the temp volume afterwards is one version of the object: it is looked at before and after, and
one that changed in between is refused. Each range is recorded with its crc32c when it is written; a run that takes over
reads what is recorded and fetches only what is missing or does not match. All ranges of a process share the limit that
segments on their way to the store have.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from pipeline.core.errors import SegmentCorrupt, StoreError, StoreUnavailable
from pipeline.core.model import StoredObject, Upload, object_key
from pipeline.core.retry import GiveUp, RetryPolicy, decide
from pipeline.engine.contract import StageRun
from pipeline.engine.limiter import SegmentLimiter
from pipeline.ports import ObjectSource, SegmentBoard, Stores, TempVolume

# Within one run a range is tried so often before the stage's own, longer-breathed retry takes over.
_RANGE_RETRIES = RetryPolicy(max_attempts=4, base_seconds=0.3, cap_seconds=5)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the bytes are, and which ranges of them were fetched before."""

    reader: ObjectSource
    key: str
    fetched: Mapping[int, int]


class Fetcher:
    """Fetches objects onto one temp volume."""

    def __init__(self, segments: SegmentBoard, volume: TempVolume, stores: Stores, limiter: SegmentLimiter) -> None:
        self._segments = segments
        self._volume = volume
        self._stores = stores
        self._limiter = limiter

    async def fetch(self, run: StageRun) -> StoredObject | None:
        """The object as the store has it, its bytes on the temp volume; None: the worker was told to stop first.

        Raises StoreError OBJECT_CHANGED, STORE_OBJECT_MISSING and what the store's reader raises, TempVolumeError,
        StageLost.
        """
        upload = run.upload
        reader, key = self._place(upload)
        found = await reader.head(key)
        etag = upload.source.etag if upload.source else found.etag
        if (found.size_bytes, found.etag) != (upload.size_bytes, etag):
            raise StoreError("OBJECT_CHANGED", key=key)
        await self._volume.allocate(upload.upload_id, upload.size_bytes)  # nothing, unless the volume was emptied
        source = _Source(reader, key, await self._segments.received(upload.upload_id))
        numbers = iter(range(1, upload.plan.count + 1))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._limiter.slots, upload.plan.count)):
                    group.create_task(self._work(run, source, numbers))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        if run.stop.is_set():
            return None
        if await reader.head(key) != found:
            raise StoreError("OBJECT_CHANGED", key=key)
        return found

    def _place(self, upload: Upload) -> tuple[ObjectSource, str]:
        store = self._stores.named(upload.store)
        if upload.source is not None:
            return store.within(upload.source.container), upload.source.key
        return store, object_key(upload.upload_id)

    async def _work(self, run: StageRun, source: _Source, numbers: Iterator[int]) -> None:
        for number in numbers:
            if run.stop.is_set():
                return
            if not await self._is_here(run.upload, number, source.fetched.get(number)):
                crc32c = await self._range(run, source, number)
                await self._segments.record_fetched(run.job, number, run.upload.plan.length(number), crc32c)

    async def _is_here(self, upload: Upload, number: int, crc32c: int | None) -> bool:
        """A range that an earlier run has recorded, if the temp volume still has it so."""
        if crc32c is None:
            return False
        plan = upload.plan
        recorded = self._volume.source(upload.upload_id, number, plan.offset(number), plan.length(number), crc32c)
        try:
            async for _ in recorded.chunks():
                pass
        except SegmentCorrupt:
            return False
        return True

    async def _range(self, run: StageRun, source: _Source, number: int) -> int:
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self._limiter.slot():
                    return await self._copy(run.upload, source, number)
            except StoreUnavailable as error:
                decision = decide(error, attempt, _RANGE_RETRIES, random.random())
                if isinstance(decision, GiveUp) or run.stop.is_set():
                    raise
                await asyncio.sleep(decision.seconds)

    async def _copy(self, upload: Upload, source: _Source, number: int) -> int:
        """Read one range and write it to its place; the crc32c of it."""
        offset, length = upload.plan.offset(number), upload.plan.length(number)
        crc32c = done_bytes = 0
        blocks = source.reader.read(source.key, offset, offset + length - 1)
        async with aclosing(blocks):  # type: ignore[type-var]  # readers are generators, the port says less
            async for block in blocks:
                if done_bytes + len(block) > length:
                    break
                crc32c = await self._volume.write(upload.upload_id, offset + done_bytes, [block], crc32c)
                done_bytes += len(block)
        if done_bytes != length:
            raise StoreUnavailable(reason=f"range {number} of {source.key} came with other than its {length} bytes")
        return crc32c
