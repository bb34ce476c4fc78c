"""Building blocks of the object store suites: sources that behave in known ways, and uploads of them."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Protocol

import google_crc32c

from pipeline.adapters.object_store.limits import FILESYSTEM_LIMITS, S3_LIMITS, SWIFT_LIMITS
from pipeline.core.errors import SegmentCorrupt
from pipeline.core.retry import RetryPolicy
from pipeline.core.segments import SegmentPlan
from pipeline.core.stored_objects import ObjectTarget, StoredObject, StoredSegment
from pipeline.engine.retry import retry_store
from pipeline.hashing import update_all
from pipeline.ports import Hash, ObjectReader, ObjectStore, SegmentSource

BLOCK_BYTES = 64 * 1024
PRESETS = {"swift": SWIFT_LIMITS, "s3": S3_LIMITS, "filesystem": FILESYSTEM_LIMITS}


class Store(ObjectStore, ObjectReader, Protocol):
    """The two ports that every adapter implements."""


def min_segment_bytes(store: Store) -> int:
    """The shortest segment that is not the last."""
    return PRESETS[store.name].min_segment_bytes


def some_bytes(count: int, seed: int = 0) -> bytes:
    """`count` bytes that do not repeat, the same for the same seed."""
    return random.Random(f"{count}/{seed}").randbytes(count)


class MemorySource:
    """A correct segment."""

    def __init__(self, number: int, data: bytes, block_bytes: int = BLOCK_BYTES) -> None:
        self.number = number
        self.size_bytes = len(data)
        self.crc32c: int | None = google_crc32c.value(data)
        self.md5_hex = ""
        self.passes = 0
        self._data = data
        self._block_bytes = block_bytes

    async def chunks(self, *hashes: Hash) -> AsyncIterator[bytes]:
        self.passes += 1
        for start in range(0, len(self._data), self._block_bytes):
            await self.before(start)
            block = self._data[start : start + self._block_bytes]
            await update_all(hashes, block)
            yield block

    async def before(self, start: int) -> None:
        """Called before the block at `start` is yielded."""


class FailingSource(MemorySource):
    """Raises instead of yielding its last block, as a temp volume does when the digest is wrong."""

    def __init__(self, number: int, data: bytes, error: Exception | None = None) -> None:
        super().__init__(number, data)
        self._error = error or SegmentCorrupt(number)

    async def before(self, start: int) -> None:
        if start + self._block_bytes >= self.size_bytes:
            raise self._error


class HangingSource(MemorySource):
    """Yields its first half, sets `reached_half`, and waits forever."""

    def __init__(self, number: int, data: bytes) -> None:
        super().__init__(number, data)
        self.reached_half = asyncio.Event()

    async def before(self, start: int) -> None:
        if start >= self.size_bytes // 2:
            self.reached_half.set()
            await asyncio.Event().wait()


class Scenario:
    """One upload: its bytes, its plan, and the steps that workers take with it."""

    def __init__(
        self, store: Store, *, sizes: Sequence[int] | None = None, key: str | None = None, upload_id: str | None = None
    ) -> None:
        """`sizes`: lengths of the segments, equal except for the last; by default three small ones."""
        smallest = max(min_segment_bytes(store), 100_000)
        self.sizes = tuple(sizes) if sizes is not None else (smallest, smallest, 1234)
        self.store = store
        upload_id = upload_id or uuid.uuid4().hex
        self.data = some_bytes(sum(self.sizes), seed=1)
        plan = SegmentPlan(len(self.data), max(self.sizes[0], 1))
        assert plan.count == len(self.sizes)
        self.target = ObjectTarget(upload_id, key or f"contents/{upload_id}/original", "video/mp4", plan)

    async def begin(self) -> None:
        session = await self.store.begin(self.target)
        self.target = ObjectTarget(
            self.target.upload_id, self.target.key, self.target.content_type, self.target.plan, session
        )

    def segment(self, number: int) -> bytes:
        first = self.target.plan.offset(number)
        return self.data[first : first + self.target.plan.length(number)]

    def source(self, number: int) -> SegmentSource:
        return MemorySource(number, self.segment(number))

    async def put(self, *numbers: int) -> list[StoredSegment]:
        """Put these segments, or all, one after the other."""
        return [
            await self.store.put_segment(self.target, self.source(number))
            for number in numbers or range(1, self.target.plan.count + 1)
        ]

    async def put_concurrently(self, at_once: int = 16) -> list[StoredSegment]:
        """Put every segment; as transfer does, repeat a request that a busy server refuses."""
        limit = asyncio.Semaphore(at_once)

        async def put_one(number: int) -> StoredSegment:
            async with limit:
                put = partial(self.store.put_segment, self.target, self.source(number))
                return await retry_store(put, RetryPolicy(max_attempts=5))

        return await asyncio.gather(*(put_one(number) for number in range(1, self.target.plan.count + 1)))

    async def put_elsewhere(self, number: int) -> list[StoredSegment]:
        """What the store returned for a segment of this upload that has been removed again."""
        await self.begin()
        segments = await self.put(number)
        await self.store.abort(self.target)
        return segments

    async def sealed(self) -> StoredObject:
        """Begin, put every segment, seal."""
        await self.begin()
        return await self.store.seal(self.target, await self.put())


async def content(store: Store, key: str, first: int = 0, last: int | None = None) -> bytes:
    return b"".join([block async for block in store.read(key, first, last)])


async def segment_content(store: Any, target: ObjectTarget, number: int, first: int, last: int) -> bytes:
    """Of a store with the ability `SegmentReads`."""
    return b"".join([block async for block in store.read_segment(target, number, first, last)])


async def keys(store: Store, prefix: str = "") -> list[str]:
    return [key async for key in store.list_keys(prefix)]
