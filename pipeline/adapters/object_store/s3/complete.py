"""CompleteMultipartUpload, and what its answer is worth.

Guarantee: an answer may be lost, may take minutes and may be an error inside a 200; what comes out is the object as it
must be, or an error of the catalogue. A session that is gone was completed before if the object is there with the ETag
that its parts add up to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline.adapters.object_store.s3.client import S3Client
from pipeline.adapters.object_store.s3.errors import on_session
from pipeline.adapters.object_store.s3.options import S3Options
from pipeline.adapters.object_store.s3.parts import missing_parts, multipart_etag
from pipeline.core.errors import StoreError, StoreUnavailable
from pipeline.core.model import ObjectTarget, StoredObject, StoredSegment
from pipeline.ports import ObjectSource


async def complete_parts(
    client: S3Client,
    reader: ObjectSource,
    target: ObjectTarget,
    segments: Sequence[StoredSegment],
    options: S3Options,
) -> StoredObject:
    """Join the parts. Raises MANIFEST_REFUSED with `segments` in its detail, the numbers to be sent again;
    StoreUnavailable; StoreError."""
    parts = [{"PartNumber": segment.number, "ETag": segment.etag} for segment in segments]
    try:
        with on_session():
            answer = await client.call(
                "complete_multipart_upload",
                key=target.key,
                seconds=options.complete_seconds,
                UploadId=target.session,
                MultipartUpload={"Parts": parts},
            )
    except StoreError as error:
        if error.code not in ("STORE_SESSION_LOST", "MANIFEST_REFUSED"):
            raise
        if error.code == "STORE_SESSION_LOST":
            earlier = await _completed_before(reader, target, segments, options)
            if earlier is not None:
                return earlier
        numbers = await missing_parts(client, target, segments)
        raise StoreError("MANIFEST_REFUSED", reason=error.detail["reason"], segments=numbers) from error
    etag = str(answer.get("ETag", "")).strip('"')
    check_etag(options, etag, multipart_etag(segments), f"complete {target.key}")
    stored = await reader.head(target.key)
    if stored.size_bytes != target.plan.size_bytes:
        raise StoreUnavailable(reason=f"{target.key} has {stored.size_bytes} bytes, expected {target.plan.size_bytes}")
    return replace(stored, segments=tuple(segments))


def check_etag(options: S3Options, etag: str, expected: str, what: str) -> None:
    """Raises StoreUnavailable when what the store says it got is not what was sent. Without any ETag nothing was said,
    whatever the status."""
    if not etag or (options.verify == "etag" and etag != expected):
        raise StoreUnavailable(reason=f"{what}: answered etag {etag!r}, expected {expected!r}")


async def _completed_before(
    reader: ObjectSource, target: ObjectTarget, segments: Sequence[StoredSegment], options: S3Options
) -> StoredObject | None:
    try:
        stored = await reader.head(target.key)
    except StoreError as error:
        if error.code == "STORE_OBJECT_MISSING":
            return None
        raise
    expected = multipart_etag(segments) if options.verify == "etag" else stored.etag
    if (stored.size_bytes, stored.etag) != (target.plan.size_bytes, expected):
        return None
    return replace(stored, segments=tuple(segments))
