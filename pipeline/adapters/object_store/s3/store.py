"""S3 behind the `ObjectStore` port: segments as parts of a multipart upload, joined by CompleteMultipartUpload.

Guarantee: as the port's. Every part is verified, by its ETag or by a digest that goes along (`S3Options.verify`), and
so is the object. The answer to a Complete may be lost or may take minutes: the session being gone, the object is
looked at and compared with the ETag that it must have.

Two paths. What is small goes through botocore. A segment goes through our own HTTP client to a presigned URL:
botocore signs the SHA-256 of a body over plain HTTP, so it would have to read each segment twice or hold it in
memory, and its timeouts do not see a stalled PUT.

Rights needed: s3:PutObject, GetObject, DeleteObject, AbortMultipartUpload, ListMultipartUploadParts on the bucket's
objects; ListBucket, ListBucketMultipartUploads on the bucket; CreateBucket only where it is missing.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from pipeline.adapters.object_store.http.observe import RequestObserver, unobserved
from pipeline.adapters.object_store.http.payload import SegmentPayload
from pipeline.adapters.object_store.http.sender import RequestSender, answered, new_session
from pipeline.adapters.object_store.limits import S3_LIMITS
from pipeline.adapters.object_store.plan import check_segments, verify_plain
from pipeline.adapters.object_store.s3.bucket import BucketMaker
from pipeline.adapters.object_store.s3.client import S3Client
from pipeline.adapters.object_store.s3.complete import check_etag, complete_parts
from pipeline.adapters.object_store.s3.errors import answer_refusal, on_session
from pipeline.adapters.object_store.s3.options import S3Credentials, S3Options
from pipeline.adapters.object_store.s3.parts import grant_parts, held_parts
from pipeline.adapters.object_store.s3.reader import S3Reader
from pipeline.core.errors import StoreError
from pipeline.core.model import ObjectTarget, SegmentRequest, StoredObject, StoredSegment
from pipeline.core.segments import StoreLimits
from pipeline.ports import SegmentSource


class S3ObjectStore(S3Reader):
    """`ObjectStore` and `ObjectReader`. Opened by `async with`; one per process."""

    def __init__(
        self,
        bucket: str,
        credentials: S3Credentials | None = None,
        *,
        name: str = "s3",
        limits: StoreLimits = S3_LIMITS,
        options: S3Options | None = None,
        observer: RequestObserver = unobserved,
    ) -> None:
        options = options or S3Options()
        super().__init__(name, bucket, S3Client(bucket, credentials, options, observer), options)
        self.limits = limits
        self._observer = observer
        self._session: aiohttp.ClientSession | None = None
        self._bucket_maker = BucketMaker(self._client, options.region)
        self._hashing = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="segment-md5")

    @property
    def name(self) -> str:
        return self._name

    @property
    def container(self) -> str:
        return self._bucket

    def within(self, container: str) -> S3Reader:
        return S3Reader(self._name, container, self._client.on(container), self._options)

    async def __aenter__(self) -> Self:
        await self._client.open()
        self._session = new_session(self._options)
        self._sender = RequestSender(self._session, self._options, self._observer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Idempotent."""
        await self._client.close()
        if self._session is not None:
            await self._session.close()
        self._hashing.shutdown(wait=False, cancel_futures=True)

    async def begin(self, target: ObjectTarget) -> str:
        """As the port says: opens a multipart upload, but for an upload of one segment, which needs none."""
        if target.plan.count == 1:
            await self._bucket_maker.ensure()
            return ""
        answer = await self._bucket_maker.ensured(
            lambda: self._client.call("create_multipart_upload", key=target.key, ContentType=target.content_type)
        )
        return str(answer["UploadId"])

    async def put_segment(self, target: ObjectTarget, source: SegmentSource) -> StoredSegment:
        """As the port says. An upload of one segment is stored under its own key at once, as a plain object."""
        if target.plan.count == 1:
            return await self._bucket_maker.ensured(lambda: self._put(target, source))
        with on_session():
            return await self._put(target, source)

    async def _put(self, target: ObjectTarget, source: SegmentSource) -> StoredSegment:
        body = SegmentPayload(source, self._hashing)
        headers: dict[str, str] = {}
        parameters: dict[str, Any] = {"Key": target.key}
        if target.plan.count == 1:
            operation = "put_object"
            parameters["ContentType"] = headers["Content-Type"] = target.content_type
        else:
            operation = "upload_part"
            parameters |= {"UploadId": target.session, "PartNumber": source.number}
        if self._options.verify == "content-md5":
            async for _ in body.blocks():
                pass
            digest = base64.b64encode(bytes.fromhex(body.md5_hex)).decode()
            parameters["ContentMD5"] = headers["Content-MD5"] = digest
        url = URL(await self._client.presign(operation, **parameters), encoded=True)
        what = f"{operation} {source.number} of {target.key}"
        response = await self._sender.send("PUT", url, what=what, headers=headers, body=body)
        async with answered(response, what, body):
            if response.status != 200:
                raise await answer_refusal(response, what, target.key)
            etag = response.headers.get("ETag", "").strip('"')
        check_etag(self._options, etag, body.md5_hex, what)
        return StoredSegment(source.number, source.size_bytes, etag)

    async def presign_segments(
        self, target: ObjectTarget, numbers: Sequence[int], *, seconds: int
    ) -> Sequence[SegmentRequest] | None:
        """As the port says: presigned part URLs."""
        return await grant_parts(self._client, target, numbers, seconds)

    async def held_segments(self, target: ObjectTarget) -> Sequence[StoredSegment]:
        """As the port says."""
        if target.plan.count > 1:
            return await held_parts(self._client, target)
        try:
            stored = await self.head(target.key)
        except StoreError as error:
            if error.code != "STORE_OBJECT_MISSING":
                raise
            return []
        return [StoredSegment(1, stored.size_bytes, stored.etag)]

    async def put_object(self, key: str, body: bytes, content_type: str) -> StoredObject:
        """As the port says. The digest goes along, so that the store itself refuses what was mangled on the way."""
        digest = hashlib.md5(body, usedforsecurity=False)
        content_md5 = base64.b64encode(digest.digest()).decode()
        answer = await self._bucket_maker.ensured(
            lambda: self._client.call(
                "put_object", key=key, Body=body, ContentType=content_type, ContentMD5=content_md5
            )
        )
        etag = str(answer.get("ETag", "")).strip('"')
        check_etag(self._options, etag, digest.hexdigest(), f"put_object {key}")
        return StoredObject(self._name, self._bucket, key, len(body), etag)

    async def seal(self, target: ObjectTarget, segments: Sequence[StoredSegment]) -> StoredObject:
        """As the port says. MANIFEST_REFUSED has `segments` in its detail: the numbers to be sent again."""
        check_segments(target, segments)
        if target.plan.count == 1:
            return await verify_plain(self, target, segments[0])
        stored = await complete_parts(self._client, self, target, segments, self._options)
        await self._abort_others(target)
        return stored

    async def abort(self, target: ObjectTarget) -> None:
        """As the port says: every session of the key, known or not, and the object.

        A part that is on its way while its session is aborted may bring the session back ("AbortMultipartUpload" of
        the API reference), so the listing is read until it shows nothing new.
        """
        aborted: set[str] = set()
        sessions = {target.session} - {""} | await self._sessions_of(target.key)
        while sessions - aborted:
            for session in sessions - aborted:
                await self.end_session(target.key, session)
            aborted |= sessions
            sessions = await self._sessions_of(target.key)
        await self._delete_object(target.key)

    async def check(self) -> str:
        """As the port says: make the bucket where it is missing, write, read and remove one small object."""
        await self._bucket_maker.ensure()
        key = "sluice-check"
        await self.put_object(key, b"sluice", "text/plain")
        same = b"".join([block async for block in self.read(key)]) == b"sluice"
        await self.delete(key)
        if not same:
            raise StoreError("STORE_REJECTED", reason=f"what was written to {key} came back changed")
        return f"S3 at {self._options.endpoint_url or self._options.region} can be written, bucket {self._bucket}"

    async def _abort_others(self, target: ObjectTarget) -> None:
        """A `begin` whose answer was lost has left a session that nobody knows: it goes when the object is there."""
        for session in await self._sessions_of(target.key) - {target.session}:
            await self.end_session(target.key, session)

    async def _sessions_of(self, key: str) -> set[str]:
        return {session async for name, session in self.open_sessions(key) if name == key}
