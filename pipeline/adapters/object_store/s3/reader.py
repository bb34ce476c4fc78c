"""Reading, removing and listing what lies in a bucket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pipeline.adapters.object_store.names import MULTIPART_PREFIX, multipart_name, split_multipart
from pipeline.adapters.object_store.s3.client import S3Client
from pipeline.adapters.object_store.s3.errors import MISSING_BUCKET, store_errors
from pipeline.adapters.object_store.s3.options import S3Options
from pipeline.core.disposition import content_disposition
from pipeline.core.errors import StoreError
from pipeline.core.model import SegmentSpan, StoredObject
from pipeline.core.segments import MEBIBYTE

MAX_GRANT_SECONDS = 7 * 24 * 3600


class S3Reader:
    """`ObjectReader` over a bucket."""

    def __init__(self, name: str, bucket: str, client: S3Client, options: S3Options) -> None:
        self._name = name
        self._bucket = bucket
        self._client = client
        self._options = options

    async def read(self, key: str, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        """As the port says, in blocks of at most 1 MiB. STORE_REJECTED when `first` lies behind the end, and when the
        store answers a range with something else."""
        whole = first == 0 and last is None
        ranged: dict[str, Any] = {} if whole else {"Range": f"bytes={first}-{'' if last is None else last}"}
        answer = await self._client.call("get_object", key=key, **ranged)
        what = f"reading {key}"
        with store_errors(what, key):
            async with answer["Body"] as body:
                if ranged and answer["ResponseMetadata"]["HTTPStatusCode"] != 206:
                    raise StoreError("STORE_REJECTED", reason=f"{what}: a range was answered with the whole")
                while block := await self._block(body):
                    yield block

    async def _block(self, body: Any) -> bytes:
        """The next block: botocore's own timeout is that of the longest call there is."""
        async with asyncio.timeout(self._options.stall_seconds):
            block: bytes = await body.read(MEBIBYTE)
            return block

    async def head(self, key: str) -> StoredObject:
        """As the port says."""
        answer = await self._client.call("head_object", key=key)
        etag = str(answer.get("ETag", "")).strip('"')
        return StoredObject(self._name, self._bucket, key, int(answer.get("ContentLength", -1)), etag)

    async def presign_download(
        self, key: str, *, segment_count: int, seconds: int, filename: str, inline: bool
    ) -> str | None:
        """As the port says: a presigned GET, good for at most seven days (Signature Version 4)."""
        disposition = content_disposition(filename, inline=inline)
        return await self._client.presign_for_client(
            "get_object", seconds=min(seconds, MAX_GRANT_SECONDS), Key=key, ResponseContentDisposition=disposition
        )

    async def presign_segment_download(self, key: str, span: SegmentSpan, *, seconds: int) -> str | None:
        """As the port says: a presigned GET with `partNumber`, which the store answers 206 with that part's bytes.

        Not a presigned Range: that is a header, so the URL would not say it, and a client that left it out would be
        refused. A store that ignores `partNumber` (Ceph before Squid) sends the whole object: use the gateway there.
        """
        part = {"PartNumber": span.number} if span.count > 1 else {}
        return await self._client.presign_for_client(
            "get_object", seconds=min(seconds, MAX_GRANT_SECONDS), Key=key, **part
        )

    async def delete(self, key: str) -> None:
        """As the port says; takes any name that `list_keys` gives. An object of S3 takes its segments along."""
        if key.startswith(MULTIPART_PREFIX):
            await self.end_session(*split_multipart(key))
        else:
            await self._delete_object(key)

    async def list_keys(self, prefix: str = "") -> AsyncIterator[str]:
        """As the port says: objects, then open multipart uploads."""
        async for item in self._listed("list_objects_v2", "Contents", prefix):
            yield item["Key"]
        if prefix.startswith(MULTIPART_PREFIX[: len(prefix)]):
            async for key, session in self.open_sessions():
                name = multipart_name(key, session)
                if name.startswith(prefix):
                    yield name

    async def open_sessions(self, key_prefix: str = "") -> AsyncIterator[tuple[str, str]]:
        """As the port says: open multipart uploads."""
        async for item in self._listed("list_multipart_uploads", "Uploads", key_prefix):
            yield item["Key"], item["UploadId"]

    async def _listed(self, operation: str, items: str, prefix: str) -> AsyncIterator[Any]:
        """A bucket that is not there has nothing in it."""
        try:
            async for item in self._client.pages(operation, items, Prefix=prefix):
                yield item
        except StoreError as error:
            if error.detail.get("store_code") != MISSING_BUCKET:
                raise

    async def _delete_object(self, key: str) -> None:
        """Amazon answers 204 to a key that is not there; others 404, all of them where the bucket is missing."""
        try:
            await self._client.call("delete_object", key=key)
        except StoreError as error:
            if error.code != "STORE_OBJECT_MISSING":
                raise

    async def end_session(self, key: str, session: str) -> None:
        """As the port says: AbortMultipartUpload."""
        try:
            await self._client.call("abort_multipart_upload", key=key, UploadId=session)
        except StoreError as error:
            if error.code not in ("STORE_OBJECT_MISSING", "STORE_SESSION_LOST"):
                raise
