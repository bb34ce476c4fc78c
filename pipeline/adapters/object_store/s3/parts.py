"""What S3 knows of the parts of a multipart upload, and the ETag that they add up to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from pipeline.adapters.object_store.s3.client import S3Client
from pipeline.adapters.object_store.s3.errors import on_session
from pipeline.core.errors import StoreError
from pipeline.core.model import ObjectTarget, SegmentRequest, StoredSegment


def multipart_etag(segments: Sequence[StoredSegment]) -> str:
    """The ETag of the whole where those of the parts are MD5s: MD5 over the binary MD5s, a dash, and their number.

    Not documented, but what Amazon, Swift's s3api, Ceph and MinIO do. "" when an ETag is no MD5.
    """
    digest = hashlib.md5(usedforsecurity=False)
    for segment in segments:
        try:
            digest.update(bytes.fromhex(segment.etag))
        except ValueError:
            return ""
    return f"{digest.hexdigest()}-{len(segments)}"


async def grant_parts(
    client: S3Client, target: ObjectTarget, numbers: Sequence[int], seconds: int
) -> list[SegmentRequest]:
    """A presigned URL for each part, or for the object of an upload of one segment; good for at most seven days."""
    grants: list[SegmentRequest] = []
    for number in numbers:
        headers: dict[str, str] = {}
        parameters: dict[str, Any] = {"Key": target.key}
        if target.plan.count == 1:
            operation = "put_object"
            parameters["ContentType"] = headers["Content-Type"] = target.content_type  # signed, so it has to be sent
        else:
            operation = "upload_part"
            parameters |= {"UploadId": target.session, "PartNumber": number}
        url = await client.presign_for_client(operation, seconds=seconds, **parameters)
        grants.append(SegmentRequest(number, target.plan.length(number), url, headers=headers))
    return grants


async def held_parts(client: S3Client, target: ObjectTarget) -> list[StoredSegment]:
    """The parts of an open multipart upload, in order. Raises STORE_SESSION_LOST."""
    with on_session():
        pages = client.pages("list_parts", "Parts", key=target.key, UploadId=target.session)
        found = [
            StoredSegment(int(part["PartNumber"]), int(part["Size"]), str(part["ETag"]).strip('"'))
            async for part in pages
        ]
    return sorted(found, key=lambda segment: segment.number)


async def missing_parts(client: S3Client, target: ObjectTarget, segments: Sequence[StoredSegment]) -> list[int]:
    """Which segments the store does not have, or has with other bytes; all of them when the session is gone."""
    try:
        stored = {part.number: part.etag for part in await held_parts(client, target)}
    except StoreError as error:
        if error.code != "STORE_SESSION_LOST":
            raise
        stored = {}
    return [segment.number for segment in segments if stored.get(segment.number) != segment.etag]
