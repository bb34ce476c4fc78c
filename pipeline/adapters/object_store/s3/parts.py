"""The parts of a multipart upload: how they are sent, which ones the store holds, and the ETag of the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from pipeline.adapters.object_store.http.bodies import text, whole_number
from pipeline.adapters.object_store.integrity import unquoted
from pipeline.adapters.object_store.names import segment_key
from pipeline.adapters.object_store.s3.client import S3Client
from pipeline.adapters.object_store.s3.errors import on_session
from pipeline.core.errors import StoreError, StoreUnsupported
from pipeline.core.stored_objects import ObjectTarget, SegmentRequest, StoredSegment

_SEGMENT_TYPE = "application/octet-stream"


def multipart_etag(segments: Sequence[StoredSegment]) -> str:
    """The ETag of the whole when the parts' ETags are MD5s: MD5 over the binary MD5s, a dash, and their number.

    Not documented, but Amazon, Swift's s3api, Ceph and MinIO do so. "" when an ETag is not an MD5.
    """
    digest = hashlib.md5(usedforsecurity=False)
    for segment in segments:
        try:
            digest.update(bytes.fromhex(segment.etag))
        except ValueError:
            return ""
    return f"{digest.hexdigest()}-{len(segments)}"


async def open_session(client: S3Client, target: ObjectTarget) -> str:
    """The session of a new multipart upload for the target's key."""
    response = await client.call("create_multipart_upload", key=target.key, ContentType=target.content_type)
    return text(response.get("UploadId"), f"create_multipart_upload {target.key}", "UploadId")


def put_operation(target: ObjectTarget, number: int) -> tuple[str, dict[str, Any], dict[str, str]]:
    """How a segment is PUT: botocore's operation, its parameters, and the headers that they sign and that must be sent.
    A part of the multipart upload, or the object itself when the upload has one segment; of a partial upload, an object
    of its own."""
    if target.partial:
        parameters = {"Key": segment_key(target.place(number)), "ContentType": _SEGMENT_TYPE}
        return "put_object", parameters, {"Content-Type": _SEGMENT_TYPE}
    if target.plan.count > 1:
        return "upload_part", {"Key": target.key, "UploadId": target.session, "PartNumber": number}, {}
    parameters = {"Key": target.key, "ContentType": target.content_type}
    return "put_object", parameters, {"Content-Type": target.content_type}


async def presign_parts(
    client: S3Client, target: ObjectTarget, numbers: Sequence[int], seconds: int
) -> list[SegmentRequest]:
    """A presigned PUT for each number."""
    requests: list[SegmentRequest] = []
    for number in numbers:
        operation, parameters, headers = put_operation(target, number)
        url = await client.presign_for_client(operation, seconds=seconds, **parameters)
        requests.append(SegmentRequest(number, target.plan.length(number), url, headers=headers))
    return requests


async def held_parts(client: S3Client, target: ObjectTarget) -> list[StoredSegment]:
    """The parts of an open multipart upload, in order. Raises StoreError STORE_SESSION_LOST."""
    with on_session():
        parts = client.items("list_parts", "Parts", key=target.key, UploadId=target.session)
        what = f"list_parts {target.key}"
        found = [
            StoredSegment(
                whole_number(part["PartNumber"], what, "PartNumber"),
                whole_number(part["Size"], what, "Size"),
                text(unquoted(part["ETag"]), what, "ETag"),
            )
            async for part in parts
        ]
    return sorted(found, key=lambda segment: segment.number)


async def missing_parts(client: S3Client, target: ObjectTarget, segments: Sequence[StoredSegment]) -> list[int]:
    """The segments that the store lacks or holds with other bytes; all of them when the session no longer exists, or
    when the store does not list its parts."""
    try:
        stored = {part.number: part.etag for part in await held_parts(client, target)}
    except StoreUnsupported:
        stored = {}
    except StoreError as error:
        if error.code != "STORE_SESSION_LOST":
            raise
        stored = {}
    return [segment.number for segment in segments if stored.get(segment.number) != segment.etag]
