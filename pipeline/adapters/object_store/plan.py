"""What every dialect asks of the segments of an object before it joins them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from pipeline.core.errors import StoreError
from pipeline.core.model import ObjectTarget, StoredObject, StoredSegment
from pipeline.ports import ObjectReader


def check_segments(target: ObjectTarget, segments: Sequence[StoredSegment]) -> None:
    """Every segment of the plan, in order, with its length. Raises StoreError MANIFEST_REFUSED naming the numbers
    that are not."""
    plan = target.plan
    wrong = [
        number
        for number in range(1, plan.count + 1)
        if number > len(segments)
        or segments[number - 1].number != number
        or segments[number - 1].size_bytes != plan.length(number)
    ]
    if wrong or len(segments) != plan.count:
        reason = (
            f"{len(segments)} segments were given for a plan of {plan.count}; first wrong: {wrong[:1] or 'too many'}"
        )
        raise StoreError("MANIFEST_REFUSED", reason=reason, segments=wrong)


def etag_of_etags(segments: Sequence[StoredSegment]) -> str:
    """MD5 over the segments' MD5s in hex: the ETag of a Swift manifest, known before it is written."""
    digest = hashlib.md5(usedforsecurity=False)
    for segment in segments:
        digest.update(segment.etag.encode("ascii"))
    return digest.hexdigest()


async def verify_plain(store: ObjectReader, target: ObjectTarget, segment: StoredSegment) -> StoredObject:
    """Seal an upload of one segment: its object is there already, and must be what was acknowledged.

    Raises MANIFEST_REFUSED, and what `head` raises.
    """
    try:
        stored = await store.head(target.key)
    except StoreError as error:
        if error.code == "STORE_OBJECT_MISSING":
            raise StoreError("MANIFEST_REFUSED", reason=f"{target.key} is not there", segments=[1]) from error
        raise
    if (stored.size_bytes, stored.etag) != (segment.size_bytes, segment.etag):
        raise StoreError("MANIFEST_REFUSED", reason=f"{target.key} is not what was stored", segments=[1])
    return replace(stored, segments=(segment,))
