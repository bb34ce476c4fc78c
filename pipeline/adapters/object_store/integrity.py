"""Checks that every store makes: the list of segments before it is joined, and the ETag of what was stored."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from pipeline.core.errors import DigestRefused, StoreError
from pipeline.core.stored_objects import ObjectTarget, StoredObject, StoredSegment
from pipeline.ports import ObjectReader


def check_segments(target: ObjectTarget, segments: Sequence[StoredSegment]) -> None:
    """Require every segment of the plan, in order and with its length. Raises StoreError MANIFEST_REFUSED; `segments`
    in its detail are the numbers that are missing or wrong."""
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


def md5_hex(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def unquoted(etag: object) -> str:
    """An ETag without its quotes: S3 sends them, Swift does not; "" for None."""
    return str(etag or "").strip('"')


def require_etag(what: str, etag: str, expected: str) -> None:
    """Raises DigestRefused when the ETag that a store returned is not the expected one. A success status without an
    ETag confirms nothing."""
    if not etag or etag != expected:
        raise DigestRefused(reason=f"{what}: the store returned etag {etag!r}, expected {expected!r}")


def etag_of_etags(segments: Sequence[StoredSegment]) -> str:
    """MD5 over the segments' MD5s in hex: the ETag of a Swift manifest, known before it is written."""
    digest = hashlib.md5(usedforsecurity=False)
    for segment in segments:
        digest.update(segment.etag.encode("ascii"))
    return digest.hexdigest()


def plain_object(store: str, container: str, target: ObjectTarget, segment: StoredSegment) -> StoredObject:
    """The object of an upload of one segment, as the response to its PUT has shown it."""
    return StoredObject(store, container, target.key, segment.size_bytes, segment.etag, (segment,))


async def verify_plain(store: ObjectReader, target: ObjectTarget, segment: StoredSegment) -> StoredObject:
    """Seal an upload of one segment: its object exists already, and must be what was acknowledged.

    Raises StoreError MANIFEST_REFUSED, and what `head` raises.
    """
    try:
        stored = await store.head(target.key)
    except StoreError as error:
        if error.code == "STORE_OBJECT_MISSING":
            raise StoreError("MANIFEST_REFUSED", reason=f"{target.key} does not exist", segments=[1]) from error
        raise
    if (stored.size_bytes, stored.etag) != (segment.size_bytes, segment.etag):
        raise StoreError("MANIFEST_REFUSED", reason=f"{target.key} is not what was stored", segments=[1])
    return replace(stored, segments=(segment,))
