"""The bytes of an upload's file, wherever they are: on the temp volume, in the store, or yet to arrive.

Guarantee: no byte of a segment on the temp volume is handed out before the crc32c of the whole segment matches the one
computed on receipt; a segment that does not match is invalidated. Bytes from the store are those of one version of the
object. What cannot be read now raises SegmentsMissing, and nothing waits for it here. At most one small segment, or one
small object, is kept in memory.

Where the store can read segments, the reader of a window does not keep them on the temp volume: one may be released
while it is read there. What was read counts if the segment was still there afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

import google_crc32c

from pipeline.core.errors import SegmentCorrupt, StoreError, StoreUnavailable, TempVolumeError
from pipeline.core.model import StageJob, Upload
from pipeline.core.segments import SegmentPlan
from pipeline.core.stages import Stage, StageState
from pipeline.core.stored_objects import object_key
from pipeline.core.windows import reader_segments
from pipeline.ports import ByteSource, HeldSegment, ObjectSource, SegmentReads, StageReads, Store
from pipeline.uploads.cell import CellState
from pipeline.uploads.invalidate import invalidate_segment
from pipeline.uploads.segment_files import is_intact
from pipeline.uploads.target import target_of

SMALL_BYTES = 1024 * 1024
"""What is not longer is read whole, by one request, and kept."""

# Swift sends segments of less than 1 MiB at one a second after the first ten of a request (slo middleware,
# rate_limit_after_segment).
_SEGMENTS_PER_REQUEST = 8


class SegmentsMissing(Exception):
    """Bytes that are needed cannot be read yet: segments `numbers` have not arrived, or, with `sealed`, they can be
    read only once the store has the whole object. `end`: where the range ends that was to be read."""

    def __init__(self, numbers: Collection[int], *, end: int = 0, sealed: bool = False) -> None:
        super().__init__(f"segments {sorted(numbers)} cannot be read yet")
        self.numbers = frozenset(numbers)
        self.end = end
        self.sealed = sealed


class FileBytes(ByteSource, Protocol):
    """The bytes of a file, as one run of a stage reads them."""

    @property
    def unverified(self) -> bool:
        """Whether bytes were handed out that were not compared with a digest."""

    async def require_unchanged(self) -> None:
        """Raises StoreError OBJECT_CHANGED if what was read is not all of one version, and SegmentsMissing if bytes
        may have left the temp volume while they were read."""


def is_sealed(upload: Upload) -> bool:
    """Whether the store has the whole object of an upload."""
    return upload.stages[Stage.SEAL].state is StageState.DONE


def max_reads(upload: Upload) -> int | None:
    """How many segments the reader of this upload may hold on the temp volume; None: all, since it is not windowed."""
    return reader_segments(upload.window_bytes, upload.segment_bytes) if upload.window_bytes else None


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a segment: `first` counts from the segment's first byte."""

    number: int
    first: int
    size_bytes: int


def spans_of(plan: SegmentPlan, offset: int, length: int) -> Iterator[Span]:
    """The parts of segments that make up a range of the file, in order."""
    end = offset + length
    while offset < end:
        number = plan.number_at(offset)
        first = offset - plan.offset(number)
        size_bytes = min(end - offset, plan.length(number) - first)
        yield Span(number, first, size_bytes)
        offset += size_bytes


class UploadBytes:
    """The file of an upload whose segments come through the gateway, for one run of a stage. `upload` is as new as the
    run. Implements FileBytes. `read` raises SegmentsMissing, SegmentCorrupt, StageLost, and errors of volume, store and
    board."""

    def __init__(self, cell: CellState, reads: StageReads, store: Store, job: StageJob, upload: Upload) -> None:
        self._cell = cell
        self._reads = reads
        self._store = store
        self._job = job
        self._upload = upload
        self._max_reads = max_reads(upload)
        self._reads_store = isinstance(store, SegmentReads)
        self._places: dict[int, HeldSegment] = {}
        self._intact: set[int] = set()
        self._small: tuple[int, bytes] = (0, b"")
        self._unverified = False

    @property
    def size_bytes(self) -> int:
        return self._upload.size_bytes

    @property
    def unverified(self) -> bool:
        return self._unverified

    async def require_unchanged(self) -> None:
        """A segment that is invalidated ends the run. In a window, Redis may have lost that this run holds a segment
        (its last second, in a failover), and then it was released: a hole reads as zeros. Where the store can read
        segments, each read has looked."""
        held = [number for number, place in self._places.items() if place.on_volume]
        if self._max_reads is not None and not self._reads_store and held:
            now = await self._reads.hold(self._job, held, self._max_reads, from_store=False)
            if left := [number for number in held if number not in now or not now[number].on_volume]:
                raise SegmentsMissing(left)

    async def read(self, offset: int, length: int) -> bytes:
        spans = list(spans_of(self._upload.plan, offset, length))
        await self._locate([span.number for span in spans if span.number not in self._places])
        missing = [span.number for span in spans if span.number not in self._places]
        if missing:
            raise SegmentsMissing(missing, end=offset + length)
        return b"".join([await self._read(span) for span in spans])

    async def _locate(self, numbers: Collection[int]) -> None:
        if numbers:
            self._places |= await self._reads.hold(self._job, numbers, self._max_reads, from_store=self._reads_store)

    async def _read(self, span: Span) -> bytes:
        place = self._places[span.number]
        if place.on_volume:
            try:
                return await self._from_volume(span, place.crc32c)
            except TempVolumeError as error:
                if error.code != "TEMP_FILE_MISSING" or not place.stored:
                    raise
        return await self._from_store(span, place)

    async def _from_volume(self, span: Span, crc32c: int) -> bytes:
        volume, upload, number = self._cell.volume, self._upload, span.number
        start, size_bytes = upload.plan.offset(number), upload.plan.length(number)
        if self._small[0] == number:
            return self._small[1][span.first : span.first + span.size_bytes]
        if size_bytes <= SMALL_BYTES:
            data = await volume.read(upload.upload_id, start, size_bytes)
            if google_crc32c.value(data) != crc32c:
                return await self._corrupt(span, crc32c)
            self._small = (number, data)
            return data[span.first : span.first + span.size_bytes]
        if number not in self._intact:
            if not await is_intact(volume, upload.upload_id, upload.plan, number, crc32c):
                return await self._corrupt(span, crc32c)
            self._intact.add(number)
        data = await volume.read(upload.upload_id, start + span.first, span.size_bytes)
        if self._max_reads is not None and self._reads_store:
            await self._locate([number])
            if not self._places[number].on_volume:
                return await self._from_store(span, self._places[number])
        return data

    async def _corrupt(self, span: Span, crc32c: int) -> bytes:
        """Invalidate the segment, unless its bytes have left the temp volume."""
        await self._locate([span.number])
        place = self._places[span.number]
        if not place.on_volume:
            return await self._from_store(span, place)
        await invalidate_segment(self._cell, self._upload.upload_id, span.number, crc32c)
        raise SegmentCorrupt(span.number)

    async def _from_store(self, span: Span, place: HeldSegment) -> bytes:
        upload, store, first = self._upload, self._store, span.first
        if self._small[0] == span.number:
            return self._small[1][first : first + span.size_bytes]
        if is_sealed(upload):
            start = upload.plan.offset(span.number) + first
            blocks = store.read(object_key(upload.upload_id), start, start + span.size_bytes - 1)
            self._unverified = True
            return await collected(blocks, span.size_bytes)
        if not isinstance(store, SegmentReads) or not place.stored:
            raise SegmentsMissing([span.number], sealed=True)
        try:
            return await self._stored(store, span, place.crc32c)
        except StoreError as error:
            # Writing the manifest finds out which segments the store has lost, and requests them from the client.
            if error.code != "STORE_OBJECT_MISSING":
                raise
            raise SegmentsMissing([span.number], sealed=True) from error

    async def _stored(self, store: SegmentReads, span: Span, crc32c: int) -> bytes:
        """Bytes of a stored segment. A small one is read whole, and so compared with its crc32c."""
        first, size_bytes = span.first, self._upload.plan.length(span.number)
        target = target_of(self._upload)
        if size_bytes <= SMALL_BYTES:
            data = await collected(store.read_segment(target, span.number, 0, size_bytes - 1), size_bytes)
            if google_crc32c.value(data) == crc32c:
                self._small = (span.number, data)
            else:
                self._unverified = True
            return data[first : first + span.size_bytes]
        self._unverified = True
        blocks = store.read_segment(target, span.number, first, first + span.size_bytes - 1)
        return await collected(blocks, span.size_bytes)


class ObjectBytes:
    """An object in the store, by ranged requests. Implements FileBytes. `etag`: the version to read; None: the one that
    is there at the first read. `segment_bytes`: of an object that consists of segments; no request reads many of them.
    `read` raises StoreError OBJECT_CHANGED, STORE_OBJECT_MISSING and StoreUnavailable.

    Another version is noticed in the response to a range, before its first byte. Where a response has no ETag, or
    another one than `head`, `require_unchanged` decides."""

    def __init__(
        self,
        source: ObjectSource,
        key: str,
        size_bytes: int,
        *,
        etag: str | None = None,
        segment_bytes: int | None = None,
    ) -> None:
        self._source = source
        self._key = key
        self._size_bytes = size_bytes
        self._etag = etag
        self._most_bytes = segment_bytes * _SEGMENTS_PER_REQUEST if segment_bytes else size_bytes
        self._compared = False
        self._compares_ranges = True
        self._whole: bytes | None = None

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def unverified(self) -> bool:
        return True

    async def require_unchanged(self) -> None:
        found = await self._source.head(self._key)
        if found.size_bytes != self._size_bytes or (self._etag is not None and found.etag != self._etag):
            raise StoreError("OBJECT_CHANGED", key=self._key)
        self._etag = found.etag

    async def read(self, offset: int, length: int) -> bytes:
        if not self._compared:
            await self.require_unchanged()
            self._compared = True
        if self._size_bytes > SMALL_BYTES:
            return await self._read(offset, length)
        if self._whole is None:
            self._whole = await self._read(0, self._size_bytes)
        return self._whole[offset : offset + length]

    async def _read(self, offset: int, length: int) -> bytes:
        parts = []
        while length:
            size_bytes = min(length, self._most_bytes)
            version = self._etag if self._compares_ranges else None
            try:
                blocks = self._source.read(self._key, offset, offset + size_bytes - 1, etag=version)
                parts.append(await collected(blocks, size_bytes))
            except StoreError as error:
                await self.require_unchanged()  # an object that has become shorter refuses ranges
                if error.code != "OBJECT_CHANGED" or version is None:
                    raise
                self._compares_ranges = False
                continue
            offset += size_bytes
            length -= size_bytes
        return b"".join(parts)


async def collected(blocks: AsyncIterator[bytes], size_bytes: int) -> bytes:
    """All bytes of a response. Raises StoreUnavailable unless there are `size_bytes`."""
    parts: list[bytes] = []
    count = 0
    async with aclosing(blocks):  # type: ignore[type-var]  # readers are generators, the port says less
        async for block in blocks:
            parts.append(block)
            count += len(block)
            if count > size_bytes:
                break
    if count != size_bytes:
        raise StoreUnavailable(reason=f"a response had {count} bytes, {size_bytes} were requested")
    return b"".join(parts)
