"""The object of a final upload: a multipart upload whose parts the store copies from the segments of partial uploads.

A segment of a partial upload is an object of its own, below `contents/UPLOAD/segments/`, because the parts of one
multipart upload cannot be moved to another. Every part except the last has at least 5 MiB ("Amazon S3 multipart upload
limits" of the user guide). A shorter segment, the last one of a partial upload, is read and sent again together with
those after it, as one part; so is everything where the store does not copy.

Guarantee: the object consists of the bytes that the store acknowledged. The ETag of every source is compared before the
copy, that of every part after it. Segments are removed only once the whole object exists. A run that was interrupted is
continued by the next one, whatever the first one had done; two at once make the same object.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from pipeline.adapters.object_store.each import each_of
from pipeline.adapters.object_store.http.bodies import text
from pipeline.adapters.object_store.http.ranges import require_version
from pipeline.adapters.object_store.integrity import require_etag, unquoted
from pipeline.adapters.object_store.names import segment_key
from pipeline.adapters.object_store.s3.client import S3Client
from pipeline.adapters.object_store.s3.complete import complete_parts, verify_etag
from pipeline.adapters.object_store.s3.errors import on_session
from pipeline.adapters.object_store.s3.options import S3Options
from pipeline.adapters.object_store.s3.parts import held_parts, multipart_etag, open_session
from pipeline.adapters.object_store.s3.reader import S3Reader
from pipeline.core.errors import StoreError, StoreUnavailable, StoreUnsupported
from pipeline.core.segments import StoreLimits
from pipeline.core.stored_objects import ObjectTarget, StoredObject, StoredSegment
from pipeline.hashing import update_all
from pipeline.ports import Hash, SegmentSource

Put = Callable[[ObjectTarget, SegmentSource], Awaitable[StoredSegment]]

# A copy takes no memory here; a part that is sent again takes a few blocks.
SEGMENTS_AT_ONCE = 8
_LOST = ("STORE_SESSION_LOST", "MANIFEST_REFUSED")
_SOURCE_CHANGED = ("STORE_OBJECT_MISSING", "OBJECT_CHANGED")
# The code of a response, and the status of one without a code.
_PRECONDITION_FAILED = ("PreconditionFailed", "412")


@dataclass(frozen=True, slots=True)
class JoinedPart:
    """Part `number` of the object: one segment, or several that are too short to be parts of their own."""

    number: int
    segments: tuple[StoredSegment, ...]

    @property
    def size_bytes(self) -> int:
        return sum(segment.size_bytes for segment in self.segments)

    @property
    def numbers(self) -> list[int]:
        return [segment.number for segment in self.segments]


def joined_parts(segments: Sequence[StoredSegment], limits: StoreLimits) -> list[JoinedPart]:
    """The parts that consist of these segments, in order. A segment that is long enough is a part of its own, unless
    shorter ones come before it. Raises StoreError STORE_REJECTED when these and the next segment are too long for one
    part."""
    parts: list[JoinedPart] = []
    waiting: list[StoredSegment] = []
    for segment in segments:
        waiting.append(segment)
        part = JoinedPart(len(parts) + 1, tuple(waiting))
        if part.size_bytes > limits.max_segment_bytes:
            raise StoreError(
                "STORE_REJECTED", reason=f"segments {part.numbers} have {part.size_bytes} bytes, too many for one part"
            )
        if part.size_bytes >= limits.min_segment_bytes or segment is segments[-1]:
            parts.append(part)
            waiting.clear()
    return parts


class S3Joiner:
    """Makes and removes what final uploads consist of. `put` sends a part, or the object of one segment."""

    def __init__(self, client: S3Client, reader: S3Reader, bucket: str, options: S3Options, put: Put) -> None:
        self._client = client
        self._reader = reader
        self._bucket = bucket
        self._options = options
        self._put = put

    async def seal(self, target: ObjectTarget, segments: Sequence[StoredSegment], limits: StoreLimits) -> StoredObject:
        """The object of these segments, which are removed. Idempotent. Raises StoreError MANIFEST_REFUSED with the
        numbers of segments that are missing or changed, others; StoreUnavailable."""
        parts = joined_parts(segments, limits)
        sealed = await self._sealed_before(target, parts)
        if sealed is None:
            sealed = await self._sealed(target, parts)
        await self.remove_segments(target)
        return replace(sealed, segments=tuple(segments))

    async def remove_segments(self, target: ObjectTarget) -> None:
        """Remove the segments that the target's plan names. Idempotent."""
        await each_of((segment_key(place) for place in target.places), self._reader.delete, SEGMENTS_AT_ONCE)

    async def _sealed(self, target: ObjectTarget, parts: Sequence[JoinedPart]) -> StoredObject:
        """Where the session is lost, a new one is opened, which ends with this call."""
        try:
            return await self._joined(target, parts)
        except StoreError as error:
            if error.code not in _LOST:
                raise
        # Another run may have sealed the object, and removed the segments.
        sealed = await self._sealed_before(target, parts)
        if sealed is not None:
            return sealed
        session = await open_session(self._client, target) if target.plan.count > 1 else ""
        try:
            return await self._joined(replace(target, session=session), parts)
        finally:
            if session:
                with suppress(StoreError):  # it does not exist once it is completed
                    await self._reader.end_session(target.key, session)

    async def _sealed_before(self, target: ObjectTarget, parts: Sequence[JoinedPart]) -> StoredObject | None:
        """The object, if an earlier run has made it."""
        try:
            stored = await self._reader.head(target.key)
        except StoreError as error:
            if error.code != "STORE_OBJECT_MISSING":
                raise
            return None
        if stored.size_bytes != target.plan.size_bytes:
            return None
        if self._options.verify != "etag" or stored.etag == await self._expected(target, parts, stored.etag):
            return stored
        return None

    async def _expected(self, target: ObjectTarget, parts: Sequence[JoinedPart], found: str) -> str:
        """The ETag of the object. The digests of parts that were sent again are computed once more; where the segments
        of such a part are gone, the object was verified before they were removed, and `found` only has to have as many
        parts."""
        if target.plan.count == 1:
            return parts[0].segments[0].etag
        etags: list[StoredSegment] = []
        for part in parts:
            if len(part.segments) == 1:
                etags.append(replace(part.segments[0], number=part.number))
                continue
            digest = hashlib.md5(usedforsecurity=False)
            try:
                async for block in _SentAgain(self._reader, target, part, compares=True).chunks():
                    digest.update(block)
            except StoreError as error:
                if error.code != "MANIFEST_REFUSED":
                    raise
                return found if found.endswith(f"-{len(parts)}") else ""
            etags.append(StoredSegment(part.number, part.size_bytes, digest.hexdigest()))
        return multipart_etag(etags)

    async def _joined(self, target: ObjectTarget, parts: Sequence[JoinedPart]) -> StoredObject:
        """Raises STORE_SESSION_LOST, and as `seal`."""
        made = {} if target.plan.count == 1 else await self._made(target, parts)
        missing = [part for part in parts if part.number not in made]
        await each_of(missing, partial(self._make, target, made), SEGMENTS_AT_ONCE)
        if target.plan.count == 1:
            return await self._reader.head(target.key)
        ordered = [made[part.number] for part in parts]
        try:
            return await complete_parts(self._client, self._reader, target, ordered, self._options)
        except StoreError as error:
            if error.code != "MANIFEST_REFUSED":
                raise
            refused = [number for part in parts if part.number in error.detail["segments"] for number in part.numbers]
            raise StoreError("MANIFEST_REFUSED", reason=error.detail["reason"], segments=refused) from error

    async def _made(self, target: ObjectTarget, parts: Sequence[JoinedPart]) -> dict[int, StoredSegment]:
        """The parts that an earlier run has copied, by number; none where they are not listed with their ETags (Swift's
        S3 API). Raises STORE_SESSION_LOST."""
        try:
            held = {part.number: part for part in await held_parts(self._client, target)}
        except (StoreUnsupported, StoreUnavailable):
            return {}
        return {
            part.number: held[part.number]
            for part in parts
            if len(part.segments) == 1
            and part.number in held
            and (held[part.number].size_bytes, held[part.number].etag) == (part.size_bytes, part.segments[0].etag)
        }

    async def _make(self, target: ObjectTarget, made: dict[int, StoredSegment], part: JoinedPart) -> None:
        """Make one part, or the object of one segment, and note it in `made`."""
        if len(part.segments) == 1:
            with suppress(StoreUnsupported):
                made[part.number] = await self._copy(target, part)
                return
        source = _SentAgain(self._reader, target, part, compares=self._options.verify == "etag")
        with on_session():
            made[part.number] = await self._put(target, source)

    async def _copy(self, target: ObjectTarget, part: JoinedPart) -> StoredSegment:
        (segment,) = part.segments
        source = segment_key(target.place(segment.number))
        operation, result, parameters = _copy_operation(target, part.number)
        what = f"{operation} {source}"
        with _source_errors(part):
            response: Any = await self._client.call(
                operation,
                key=target.key,
                seconds=self._options.complete_seconds,
                CopySource={"Bucket": self._bucket, "Key": source},
                CopySourceIfMatch=segment.etag,
                **parameters,
            )
        etag = text(unquoted((response.get(result) or {}).get("ETag")), what, "ETag")
        if etag != segment.etag:  # Ceph 16 copies a part whatever the ETag of its source is
            with _source_errors(part):
                require_version(segment.etag, (await self._reader.head(source)).etag, source)
        verify_etag(self._options, what, etag, segment.etag)
        return StoredSegment(part.number, part.size_bytes, etag)


def _copy_operation(target: ObjectTarget, number: int) -> tuple[str, str, dict[str, Any]]:
    """botocore's operation that copies a segment, the field of its response that has the ETag, and its parameters."""
    if target.plan.count == 1:
        return "copy_object", "CopyObjectResult", {"ContentType": target.content_type, "MetadataDirective": "REPLACE"}
    return "upload_part_copy", "CopyPartResult", {"UploadId": target.session, "PartNumber": number}


@contextmanager
def _source_errors(part: JoinedPart) -> Iterator[None]:
    """Raises StoreError MANIFEST_REFUSED for segments that are missing or changed. Ceph 16 says the same of a session
    that is lost."""
    try:
        yield
    except StoreError as error:
        changed = error.code in _SOURCE_CHANGED or error.detail.get("store_code") in _PRECONDITION_FAILED
        if not changed:
            raise
        reason = str(error.detail.get("reason", error.message))
        raise StoreError("MANIFEST_REFUSED", reason=reason, segments=part.numbers) from error


@dataclass(frozen=True, slots=True)
class _SentAgain:
    """Segments as the source of one part. Implements SegmentSource. `compares`: their ETags are digests of their bytes,
    which are compared before the last block."""

    reader: S3Reader
    target: ObjectTarget
    part: JoinedPart
    compares: bool
    crc32c: int | None = None
    md5_hex: str = ""

    @property
    def number(self) -> int:
        return self.part.number

    @property
    def size_bytes(self) -> int:
        return self.part.size_bytes

    async def chunks(self, *hashes: Hash) -> AsyncIterator[bytes]:
        """Raises StoreError MANIFEST_REFUSED, others; StoreUnavailable."""
        for segment in self.part.segments:
            key = segment_key(self.target.place(segment.number))
            digest, count = hashlib.md5(usedforsecurity=False), 0
            with _source_errors(self.part):
                reading = cast(AsyncGenerator[bytes, None], self.reader.read(key, etag=segment.etag))
                async with aclosing(reading) as blocks:
                    async for block in blocks:
                        await update_all((digest, *hashes), block)
                        count += len(block)
                        if count == segment.size_bytes and self.compares:
                            require_etag(f"reading {key}", digest.hexdigest(), segment.etag)
                        yield block
            if count != segment.size_bytes:
                raise StoreUnavailable(reason=f"{key} has {count} bytes, expected {segment.size_bytes}")
