"""The object of a final upload of one segment, which has no manifest: the segment is copied to the object's name. For
stores that can read segments; others (S3) copy it themselves when they seal.

Every other part of Sluice may so take an object of one segment for a plain object, whose ETag is the digest of its
bytes. It is one segment at most; longer files are never copied.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import cast

from pipeline.core.errors import StoreError
from pipeline.core.segments import SegmentPlan
from pipeline.core.stored_objects import ObjectTarget, StoredObject, StoredSegment, object_key
from pipeline.hashing import update_all
from pipeline.ports import Hash, ObjectStore, SegmentReads


async def make_whole(store: ObjectStore, target: ObjectTarget, segment: StoredSegment) -> StoredObject:
    """Copy the only segment to the object's name, then remove it. Idempotent: a copy that exists is not made again.
    Raises StoreError, StoreUnavailable."""
    plain = replace(target, plan=SegmentPlan(segment.size_bytes, segment.size_bytes), parts=())
    only = StoredSegment(1, segment.size_bytes, segment.etag)
    try:
        sealed = await store.seal(plain, [only])
    except StoreError as error:
        if error.code != "MANIFEST_REFUSED" or not isinstance(store, SegmentReads):
            raise
        await store.put_segment(plain, _Copied(store, target, segment))
        sealed = await store.seal(plain, [only])
    for part in target.parts:
        await store.abort(ObjectTarget(part, object_key(part), target.content_type, plain.plan, partial=True))
    return sealed


@dataclass(frozen=True, slots=True)
class _Copied:
    """A stored segment as the source of another one. Implements SegmentSource."""

    store: SegmentReads
    target: ObjectTarget
    segment: StoredSegment
    crc32c: int | None = None
    md5_hex: str = ""

    @property
    def number(self) -> int:
        return self.segment.number

    @property
    def size_bytes(self) -> int:
        return self.segment.size_bytes

    async def chunks(self, *hashes: Hash) -> AsyncIterator[bytes]:
        segment = self.segment
        reading = self.store.read_segment(self.target, segment.number, 0, segment.size_bytes - 1, etag=segment.etag)
        async with aclosing(cast(AsyncGenerator[bytes, None], reading)) as blocks:
            async for block in blocks:
                await update_all(hashes, block)
                yield block
