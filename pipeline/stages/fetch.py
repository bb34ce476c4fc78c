"""Fetch: copies a stored object to the temp volume, in ranges, many at once.

Guarantee: the temp file holds one version of the object: its ETag is compared before and after, and an object that
changed in between is refused. Each range is recorded with its crc32c once it is written; a run that takes over checks
the recorded ranges and fetches only those that are missing or do not match. Fetching shares the process's limit on
transfers to the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from pipeline.core.errors import StoreError, StoreUnavailable
from pipeline.core.model import StoredObject, Upload, object_key
from pipeline.core.retry import RetryPolicy
from pipeline.engine.contract import StageRun
from pipeline.engine.limiter import SegmentLimiter
from pipeline.engine.retry import retry_store
from pipeline.ports import ObjectSource, Stores
from pipeline.uploads.cell import CellState
from pipeline.uploads.segment_files import is_intact, segment_source

# Retries of one range within a run.
_RANGE_RETRIES = RetryPolicy(max_attempts=4, base_seconds=0.3, cap_seconds=5)


@dataclass(frozen=True, slots=True)
class _Source:
    """The object to read, and the crc32c of the ranges that were fetched before."""

    reader: ObjectSource
    key: str
    fetched: Mapping[int, int]


class Fetcher:
    """Fetches objects to one temp volume."""

    def __init__(self, cell: CellState, stores: Stores, limiter: SegmentLimiter) -> None:
        self._cell = cell
        self._stores = stores
        self._limiter = limiter

    async def fetch(self, run: StageRun) -> StoredObject | None:
        """Copy the upload's object to its temp file; None if the worker stops first.

        Raises StoreError OBJECT_CHANGED, STORE_OBJECT_MISSING and what the store's reader raises; TempVolumeError;
        StageLost.
        """
        upload = run.upload
        reader, key = self._place(upload)
        found = await reader.head(key)
        etag = upload.source.etag if upload.source else found.etag
        if (found.size_bytes, found.etag) != (upload.size_bytes, etag):
            raise StoreError("OBJECT_CHANGED", key=key)
        await self._cell.volume.allocate(upload.upload_id, upload.size_bytes)  # exists, unless the volume was emptied
        source = _Source(reader, key, await self._cell.segments.received(upload.upload_id))
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
            if not await self._is_fetched(run.upload, number, source.fetched.get(number)):
                fetch = partial(self._fetch_range, run.upload, source, number)
                crc32c = await retry_store(fetch, _RANGE_RETRIES, run.stop)
                length = run.upload.plan.length(number)
                await self._cell.record.segment_fetched(run.job, number, length, crc32c)

    async def _is_fetched(self, upload: Upload, number: int, crc32c: int | None) -> bool:
        """Whether an earlier run has recorded this range and the temp file still has its bytes."""
        if crc32c is None:
            return False
        return await is_intact(segment_source(self._cell.volume, upload.upload_id, upload.plan, number, crc32c))

    async def _fetch_range(self, upload: Upload, source: _Source, number: int) -> int:
        """Read one range and write it to its offset; returns its crc32c."""
        offset, length = upload.plan.offset(number), upload.plan.length(number)
        crc32c = done_bytes = 0
        async with self._limiter.slot():
            blocks = source.reader.read(source.key, offset, offset + length - 1)
            async with aclosing(blocks):  # type: ignore[type-var]  # readers are generators, the port says less
                async for block in blocks:
                    if done_bytes + len(block) > length:
                        break
                    crc32c = await self._cell.volume.write(upload.upload_id, offset + done_bytes, [block], crc32c)
                    done_bytes += len(block)
        if done_bytes != length:
            raise StoreUnavailable(reason=f"range {number} of {source.key} did not have {length} bytes")
        return crc32c
