"""Reading, removing and listing objects in a bucket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from pipeline.adapters.object_store.guard import Guarded
from pipeline.adapters.object_store.http.bodies import READ_BYTES, text, whole_number
from pipeline.adapters.object_store.http.ranges import ByteCount, length_of_range, range_header, require_version
from pipeline.adapters.object_store.integrity import unquoted
from pipeline.adapters.object_store.names import MULTIPART_PREFIX, may_match, multipart_name, split_multipart
from pipeline.adapters.object_store.s3.checksums import object_crc32c
from pipeline.adapters.object_store.s3.client import S3Client
from pipeline.adapters.object_store.s3.errors import MISSING_BUCKET, store_errors
from pipeline.adapters.object_store.s3.options import S3Options
from pipeline.core.errors import StoreError, StoreUnsupported
from pipeline.core.stored_objects import StoredObject

STORE_NAME = "s3"


class S3Reader(Guarded):
    """`ObjectSource`, `TransferSessions` and deletion over a bucket."""

    def __init__(self, bucket: str, client: S3Client, options: S3Options) -> None:
        self._bucket = bucket
        self._client = client
        self._options = options

    async def read(
        self, key: str, first: int = 0, last: int | None = None, *, etag: str | None = None
    ) -> AsyncIterator[bytes]:
        """See `ObjectSource.read`. STORE_REJECTED also when the store responds to a range with the whole object."""
        ranged: dict[str, Any] = range_header(first, last)
        response = await self._client.call("get_object", key=key, **ranged)
        what = f"reading {key}"
        with store_errors(what, key):
            async with response["Body"] as body:
                require_version(etag, response.get("ETag"), key)
                size_bytes = None
                if ranged:
                    if response["ResponseMetadata"]["HTTPStatusCode"] != 206:
                        raise StoreError("STORE_REJECTED", reason=f"{what}: the store ignored the range")
                    size_bytes = length_of_range(response.get("ContentRange"), first, last, what)
                count = ByteCount(size_bytes, what)
                while block := await self._block(body):
                    count.add(block)
                    yield block
                count.end()

    async def _block(self, body: Any) -> bytes:
        """The next block. botocore's own timeout is that of its longest call."""
        async with asyncio.timeout(self._options.stall_seconds):
            block: bytes = await body.read(READ_BYTES)
            return block

    async def head(self, key: str) -> StoredObject:
        """See `ObjectSource.head`."""
        response = await self._client.call("head_object", key=key, ChecksumMode="ENABLED")
        what = f"head_object {self._bucket}/{key}"
        size_bytes = whole_number(response.get("ContentLength"), what, "Content-Length")
        etag = text(unquoted(response.get("ETag")), what, "ETag")
        content_type = str(response.get("ContentType", ""))
        crc32c = object_crc32c(response, etag)
        return StoredObject(STORE_NAME, self._bucket, key, size_bytes, etag, content_type=content_type, crc32c=crc32c)

    async def delete(self, key: str) -> None:
        """See `ObjectReader.delete`. S3 removes an object's segments with it."""
        if key.startswith(MULTIPART_PREFIX):
            await self.end_session(*split_multipart(key))
        else:
            await self._delete_object(key)

    async def list_keys(self, prefix: str = "") -> AsyncIterator[str]:
        """See `ObjectSource.list_keys`: objects, then open multipart uploads."""
        async for item in self._objects(prefix):
            yield item["Key"]
        if may_match(prefix, MULTIPART_PREFIX):
            async for key, session in self.open_sessions():
                name = multipart_name(key, session)
                if name.startswith(prefix):
                    yield name

    async def open_sessions(self, key_prefix: str = "") -> AsyncIterator[tuple[str, str]]:
        """See `TransferSessions.open_sessions`: open multipart uploads; none where the store does not list them."""
        with suppress(StoreUnsupported):
            async for item in self._listed("list_multipart_uploads", "Uploads", key_prefix):
                yield item["Key"], item["UploadId"]

    async def end_session(self, key: str, session: str) -> None:
        """See `TransferSessions.end_session`: AbortMultipartUpload."""
        try:
            await self._client.remove("abort_multipart_upload", key=key, UploadId=session)
        except StoreError as error:
            if error.code not in ("STORE_OBJECT_MISSING", "STORE_SESSION_LOST"):
                raise

    async def _objects(self, prefix: str) -> AsyncIterator[Any]:
        """Entries of objects; where the store does not have ListObjectsV2, by its first version."""
        try:
            async for item in self._listed("list_objects_v2", "Contents", prefix):
                yield item
        except StoreUnsupported:
            async for item in self._listed("list_objects", "Contents", prefix):
                yield item

    async def _listed(self, operation: str, items: str, prefix: str) -> AsyncIterator[Any]:
        """The items of a listing; none when the bucket does not exist."""
        try:
            async for item in self._client.items(operation, items, Prefix=prefix):
                yield item
        except StoreError as error:
            if error.detail.get("store_code") != MISSING_BUCKET:
                raise

    async def _delete_object(self, key: str) -> None:
        """Amazon responds 204 when the key does not exist; some stores respond 404, and all do when the bucket does
        not."""
        try:
            await self._client.remove("delete_object", key=key)
        except StoreError as error:
            if error.code != "STORE_OBJECT_MISSING":
                raise
