"""S3 behind the `ObjectStore` port: segments as parts of a multipart upload, joined by CompleteMultipartUpload. The
segments of a partial upload are objects, which the multipart upload of its final upload copies (`s3.joined`).

Guarantee: that of the port. Every part is verified, by its ETag or by a digest that is sent along (`S3Options.verify`,
`s3.checksums`), and so is the object. The response to CompleteMultipartUpload may be lost or may take minutes: when the
session no longer exists, the object is read and its ETag compared with the expected one.

Two paths: small requests go through botocore; a segment goes through our own HTTP client to a presigned URL. botocore
signs the SHA-256 of a body over plain HTTP, so it would read each segment twice or hold it in memory, and its timeouts
do not notice a stalled PUT.

Rights needed: s3:PutObject, GetObject, DeleteObject, AbortMultipartUpload, ListMultipartUploadParts on the bucket's
objects; ListBucket, ListBucketMultipartUploads on the bucket; CreateBucket only where it is missing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Self

import aiohttp
from yarl import URL

from pipeline.adapters.object_store.closing import ClosedOnExit
from pipeline.adapters.object_store.each import each_of
from pipeline.adapters.object_store.http.observe import RequestObserver, unobserved
from pipeline.adapters.object_store.http.ranges import range_header
from pipeline.adapters.object_store.http.sender import RequestSender, new_session, reading
from pipeline.adapters.object_store.integrity import check_segments, plain_object, unquoted, verify_plain
from pipeline.adapters.object_store.limits import S3_LIMITS
from pipeline.adapters.object_store.names import segment_key, segment_prefix
from pipeline.adapters.object_store.payload import SegmentPayload
from pipeline.adapters.object_store.s3.bucket import BucketMaker
from pipeline.adapters.object_store.s3.checksums import CRC32C_HEADER, PartChecksums, crc32c_text
from pipeline.adapters.object_store.s3.client import S3Client
from pipeline.adapters.object_store.s3.complete import complete_parts, require_no_body, verify_etag
from pipeline.adapters.object_store.s3.errors import on_session, response_refusal
from pipeline.adapters.object_store.s3.joined import SEGMENTS_AT_ONCE, S3Joiner
from pipeline.adapters.object_store.s3.options import S3Credentials, S3Options
from pipeline.adapters.object_store.s3.parts import held_parts, open_session, presign_parts, put_operation
from pipeline.adapters.object_store.s3.reader import STORE_NAME, S3Reader
from pipeline.core.disposition import content_disposition
from pipeline.core.errors import StoreError
from pipeline.core.segments import StoreLimits
from pipeline.core.stored_objects import (
    ObjectTarget,
    SegmentLink,
    SegmentRequest,
    SegmentSpan,
    StoredObject,
    StoredSegment,
)
from pipeline.ports import SegmentSource


class S3ObjectStore(S3Reader, ClosedOnExit):
    """`ObjectStore` and `ObjectReader`, with presigned URLs. Opened by `async with`; one per process."""

    name = STORE_NAME

    def __init__(
        self,
        bucket: str,
        credentials: S3Credentials | None = None,
        *,
        options: S3Options | None = None,
        observer: RequestObserver = unobserved,
    ) -> None:
        options = options or S3Options()
        super().__init__(bucket, S3Client(bucket, credentials, options, observer), options)
        self._observer = observer
        self._session: aiohttp.ClientSession | None = None
        self._checksums = PartChecksums()
        self._bucket_maker = BucketMaker(self._client, options.region)
        self._joiner = S3Joiner(self._client, self, bucket, options, self._put)

    @property
    def container(self) -> str:
        return self._bucket

    def within(self, container: str) -> S3Reader:
        """See `Store.within`."""
        return S3Reader(container, self._client.on(container), self._options)

    async def __aenter__(self) -> Self:
        await self._client.open()
        self._session = new_session(self._options)
        self._sender = RequestSender(self._session, self._options, self._observer)
        return self

    async def aclose(self) -> None:
        """Idempotent."""
        await self._client.close()
        if self._session is not None:
            await self._session.close()

    async def limits(self) -> StoreLimits:
        """See `ObjectStore.limits`: the presets; S3 publishes none."""
        return S3_LIMITS

    async def begin(self, target: ObjectTarget) -> str:
        """See `ObjectStore.begin`: opens a multipart upload, except for an upload of one segment and for a partial one,
        which need none."""
        if target.plan.count == 1 or target.partial:
            await self._bucket_maker.ensure()
            return ""
        return await self._bucket_maker.ensured(partial(open_session, self._client, target))

    async def put_segment(self, target: ObjectTarget, source: SegmentSource) -> StoredSegment:
        """See `ObjectStore.put_segment`. An upload of one segment is stored under its own key, as a plain object."""
        if target.plan.count == 1 or target.partial:
            return await self._bucket_maker.ensured(lambda: self._put(target, source))
        with on_session():
            return await self._put(target, source)

    async def put_object(self, key: str, body: bytes, content_type: str) -> StoredObject:
        """See `ObjectStore.put_object`. The digest is sent along, so that the store refuses a body that was damaged on
        the way."""
        digest = hashlib.md5(body, usedforsecurity=False)
        content_md5 = base64.b64encode(digest.digest()).decode()
        response = await self._bucket_maker.ensured(
            lambda: self._client.call(
                "put_object", key=key, Body=body, ContentType=content_type, ContentMD5=content_md5
            )
        )
        etag = unquoted(response.get("ETag"))
        require_no_body(f"put_object {key}", response["ResponseMetadata"]["HTTPHeaders"])
        verify_etag(self._options, f"put_object {key}", etag, digest.hexdigest())
        return StoredObject(STORE_NAME, self._bucket, key, len(body), etag)

    async def seal(
        self, target: ObjectTarget, segments: Sequence[StoredSegment], *, acknowledged: bool = False
    ) -> StoredObject:
        """See `ObjectStore.seal`."""
        check_segments(target, segments)
        if target.parts:
            stored = await self._joiner.seal(target, segments, S3_LIMITS)
            await self._abort_others(target)
            return stored
        if target.plan.count == 1:
            if acknowledged:
                return plain_object(STORE_NAME, self._bucket, target, segments[0])
            return await verify_plain(self, target, segments[0])
        stored = await complete_parts(self._client, self, target, segments, self._options)
        await self._abort_others(target)
        return stored

    async def abort(self, target: ObjectTarget) -> None:
        """See `ObjectStore.abort`: ends every session of the key, known or not, and deletes the object and the
        segments that are objects.

        A part that is in flight while its session is aborted may restore the session ("AbortMultipartUpload" of the API
        reference), so the listing is read until it shows no new one.
        """
        await each_of((self._abort_sessions, self._abort_object, self._abort_segments), lambda step: step(target))

    async def check(self) -> str:
        """See `ObjectReader.check`."""
        await self._bucket_maker.look()
        return f"S3 at {self._options.endpoint_url or self._options.region}, bucket {self._bucket}"

    async def presign_segments(
        self, target: ObjectTarget, numbers: Sequence[int], *, seconds: int
    ) -> Sequence[SegmentRequest] | None:
        """See `PresignedUploads.presign_segments`."""
        return await presign_parts(self._client, target, numbers, seconds)

    async def held_segments(self, target: ObjectTarget) -> Sequence[StoredSegment]:
        """See `PresignedUploads.held_segments`."""
        if target.plan.count > 1:
            return await held_parts(self._client, target)
        try:
            stored = await self.head(target.key)
        except StoreError as error:
            if error.code != "STORE_OBJECT_MISSING":
                raise
            return []
        return [StoredSegment(1, stored.size_bytes, stored.etag)]

    async def make_whole(self, target: ObjectTarget, segment: StoredSegment) -> StoredSegment:
        """See `PresignedUploads.make_whole`: completes the multipart upload of one part."""
        stored = await complete_parts(self._client, self, target, [segment], self._options)
        await self._abort_others(target)
        return StoredSegment(1, stored.size_bytes, stored.etag)

    async def presign_download(
        self, key: str, *, segment_count: int, seconds: int, filename: str, content_type: str, inline: bool
    ) -> str | None:
        """See `PresignedDownloads.presign_download`."""
        disposition = content_disposition(filename, inline=inline)
        headers = {"ResponseContentDisposition": disposition, "ResponseContentType": content_type}
        return await self._client.presign_for_client("get_object", seconds=seconds, Key=key, **headers)

    async def presign_segment_download(self, key: str, span: SegmentSpan, *, seconds: int) -> SegmentLink | None:
        """See `PresignedDownloads.presign_segment_download`: a GET of the object, with a Range that is not signed.

        A GET with `partNumber` would need no header, but Ceph before Squid and others ignore it and send the whole
        object with status 200.
        """
        url = await self._client.presign_for_client("get_object", seconds=seconds, Key=key)
        return SegmentLink(url, range_header(span.first_byte, span.last_byte) if span.count > 1 else {})

    async def _put(self, target: ObjectTarget, source: SegmentSource) -> StoredSegment:
        """Send a segment with the cheapest digest that the store compares: the MD5 of its client, or a CRC-32C."""
        is_part = target.plan.count > 1 and not target.partial
        if is_part and not source.md5_hex and source.crc32c is not None:
            try:
                if await self._checksums.compared(partial(self._put_wrong_part, target, source.number)):
                    return await self._put_once(target, source, source.crc32c)
            except StoreError as error:
                if error.code != "STORE_REJECTED":
                    raise
                self._checksums.withdraw()
        return await self._put_once(target, source, None)

    async def _put_once(self, target: ObjectTarget, source: SegmentSource, crc32c: int | None) -> StoredSegment:
        md5_hex = source.md5_hex
        computes_md5 = not md5_hex and (crc32c is None or not self._checksums.trusted)
        body = SegmentPayload(source, computes_md5=computes_md5)
        operation, parameters, headers = put_operation(target, source.number)
        if crc32c is not None:
            parameters["ChecksumCRC32C"] = headers[CRC32C_HEADER] = crc32c_text(crc32c)
        elif self._options.verify == "content-md5" and not md5_hex:
            async for _ in body.blocks():
                pass
            md5_hex = body.md5_hex
        if md5_hex:
            digest = base64.b64encode(bytes.fromhex(md5_hex)).decode()
            parameters["ContentMD5"] = headers["Content-MD5"] = digest
        what = f"{operation} {source.number} of {target.key}"
        etag = await self._send(operation, parameters, headers, body, what, target.key)
        verify_etag(self._options, what, etag, body.md5_hex or etag)
        if crc32c is not None:
            self._checksums.confirm()
        return StoredSegment(source.number, source.size_bytes, etag)

    async def _put_wrong_part(self, target: ObjectTarget, number: int) -> None:
        """Send one byte with the CRC-32C of none, where a part will follow."""
        operation, parameters, headers = put_operation(target, number)
        parameters["ChecksumCRC32C"] = headers[CRC32C_HEADER] = crc32c_text(0)
        what = f"{operation} {number} of {target.key}, with a wrong checksum"
        await self._send(operation, parameters, headers, b"\0", what, target.key)

    async def _send(
        self,
        operation: str,
        parameters: dict[str, Any],
        headers: dict[str, str],
        body: bytes | SegmentPayload,
        what: str,
        key: str,
    ) -> str:
        """PUT by a presigned URL; the ETag of the response."""
        url = URL(await self._client.presign(operation, **parameters), encoded=True)
        response = await self._sender.send("PUT", url, what=what, headers=headers, body=body)
        async with reading(response, what, body):
            if response.status != 200:
                raise await response_refusal(response, what, key)
            require_no_body(what, response.headers)
            return unquoted(response.headers.get("ETag"))

    async def _abort_object(self, target: ObjectTarget) -> None:
        await self._delete_object(target.key)

    async def _abort_segments(self, target: ObjectTarget) -> None:
        """Those of partial uploads, and of the final upload that has taken them over. A listing may lag behind what was
        stored, and a run that was believed dead may have stored more than we know of."""
        uploads = (target.upload_id,) if target.partial else target.parts
        if not uploads:
            return
        keys = {segment_key(place) for place in target.places}
        for upload_id in uploads:
            keys |= {item["Key"] async for item in self._objects(segment_prefix(upload_id))}
        await each_of(sorted(keys), self._delete_object, SEGMENTS_AT_ONCE)

    async def _abort_sessions(self, target: ObjectTarget) -> None:
        aborted: set[str] = set()
        sessions = {target.session} - {""} | await self._sessions_of(target.key)
        while sessions - aborted:
            new = sorted(sessions - aborted)
            await each_of(new, partial(self.end_session, target.key))
            aborted |= sessions
            sessions = await self._sessions_of(target.key)

    async def _abort_others(self, target: ObjectTarget) -> None:
        """End the sessions whose `begin` succeeded but whose response was lost; they are unused once the object exists.
        An error does not undo what is sealed: `upkeep.orphaned_objects` finds sessions that are left."""
        with suppress(StoreError):
            for session in await self._sessions_of(target.key) - {target.session}:
                await self.end_session(target.key, session)

    async def _sessions_of(self, key: str) -> set[str]:
        return {session async for name, session in self.open_sessions(key) if name == key}
