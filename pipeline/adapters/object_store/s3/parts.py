"""What S3 knows of the parts of a multipart upload, and the ETag that they add up to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pipeline.adapters.object_store.s3.client import S3Client
from pipeline.core.errors import StoreError
from pipeline.core.model import ObjectTarget, StoredSegment


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


async def missing_parts(client: S3Client, target: ObjectTarget, segments: Sequence[StoredSegment]) -> list[int]:
    """Which segments the store does not have, or has with other bytes; all of them when the session is gone."""
    stored: dict[int, str] = {}
    try:
        async for part in client.pages("list_parts", "Parts", key=target.key, UploadId=target.session):
            stored[int(part["PartNumber"])] = str(part["ETag"]).strip('"')
    except StoreError as error:
        if error.code not in ("MANIFEST_REFUSED", "STORE_OBJECT_MISSING"):
            raise
    return [segment.number for segment in segments if stored.get(segment.number) != segment.etag]
