"""CompleteMultipartUpload, and the verification of its result.

Guarantee: the response may be lost, may take minutes, and may be an error inside a 200. The result is the object as
planned, or an error of the catalogue. When the session no longer exists, it was completed before if the object has the
ETag that its parts add up to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeline.adapters.object_store.http.bodies import unusable
from pipeline.adapters.object_store.integrity import require_etag, unquoted
from pipeline.adapters.object_store.s3.client import S3Client
from pipeline.adapters.object_store.s3.errors import on_session
from pipeline.adapters.object_store.s3.options import S3Options
from pipeline.adapters.object_store.s3.parts import held_parts, missing_parts, multipart_etag
from pipeline.core.errors import StoreError, StoreUnavailable
from pipeline.core.stored_objects import ObjectTarget, StoredObject, StoredSegment
from pipeline.ports import ObjectSource


async def complete_parts(
    client: S3Client,
    reader: ObjectSource,
    target: ObjectTarget,
    segments: Sequence[StoredSegment],
    options: S3Options,
) -> StoredObject:
    """Join the parts. Raises StoreError MANIFEST_REFUSED with the numbers to be sent again as `segments` in its detail,
    other StoreErrors, StoreUnavailable."""
    parts = [{"PartNumber": segment.number, "ETag": segment.etag} for segment in segments]
    try:
        with on_session():
            response = await client.call(
                "complete_multipart_upload",
                key=target.key,
                seconds=options.complete_seconds,
                UploadId=target.session,
                MultipartUpload={"Parts": parts},
            )
    except StoreError as error:
        lost = error.code == "STORE_SESSION_LOST" or await _session_lost(client, target, error)
        if not lost and error.code != "MANIFEST_REFUSED":
            raise
        if lost:
            earlier = await _completed_before(reader, target, segments, options)
            if earlier is not None:
                return earlier
        numbers = await missing_parts(client, target, segments)
        raise StoreError("MANIFEST_REFUSED", reason=error.detail["reason"], segments=numbers) from error
    return await _verified(reader, target, segments, unquoted(response.get("ETag")), options)


async def _verified(
    reader: ObjectSource, target: ObjectTarget, segments: Sequence[StoredSegment], etag: str, options: S3Options
) -> StoredObject:
    """The object that the store says it has completed, as HEAD shows it. `etag` is that of the response; Ceph 16 sends
    an empty one. Raises StoreUnavailable when one of the two ETags, or the size, is not the expected one."""
    what = f"complete {target.key}"
    expected = multipart_etag(segments)
    if etag:
        verify_etag(options, what, etag, expected)
    try:
        stored = await reader.head(target.key)
    except StoreError as error:
        if error.code != "STORE_OBJECT_MISSING":
            raise
        raise StoreUnavailable(reason=f"{what}: confirmed, but the object does not exist") from error
    verify_etag(options, what, stored.etag, expected)
    if stored.size_bytes != target.plan.size_bytes:
        raise StoreUnavailable(reason=f"{target.key} has {stored.size_bytes} bytes, expected {target.plan.size_bytes}")
    return replace(stored, segments=tuple(segments))


def verify_etag(options: S3Options, what: str, etag: str, expected: str) -> None:
    """As `integrity.require_etag`; with `verify="content-md5"` any ETag is accepted, because the store has checked the
    digest."""
    require_etag(what, etag, expected if options.verify == "etag" else etag)


async def _session_lost(client: S3Client, target: ObjectTarget, error: StoreError) -> bool:
    """Whether a 5xx response is about a session that no longer exists. Ceph 16 responds 500 InternalError to that
    ("already in progress"), which would otherwise be repeated for the whole outage budget."""
    if not isinstance(error, StoreUnavailable) or "store_code" not in error.detail:
        return False
    try:
        await held_parts(client, target)
    except StoreError as listing:
        # Ceph 16: NoSuchKey. A 404 without one of these codes may be from something in between.
        return listing.detail.get("store_code") in ("NoSuchUpload", "NoSuchKey")
    return False


def require_no_body(what: str, headers: Mapping[str, str]) -> None:
    """Raises StoreUnavailable when a response to a PUT has a body: S3's has none, a proxy's page has one. Matters with
    `verify="content-md5"`, where any ETag is accepted."""
    length = headers.get("Content-Length", headers.get("content-length", "0"))
    if length != "0":
        raise unusable(what, f"it has a body of {length} bytes")


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
