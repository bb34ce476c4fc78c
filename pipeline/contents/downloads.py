"""Downloads: a presigned URL if the store is known to serve it correctly, otherwise the bytes, block by block.

Guarantee of `blocks`: exactly the requested bytes in order, or an error. A read that disconnects or stalls is resumed
at its position, up to three times without progress, so that a transient error of the store does not reach the client.
One block is held at a time: a slow client slows down the read from the store. Closing the iterator closes the store
connection at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from pipeline.core.capabilities import Capability
from pipeline.core.digests import crc32c_digest, format_content_digest, md5_of_etag
from pipeline.core.errors import StoreUnavailable
from pipeline.core.retry import RetryPolicy
from pipeline.core.stored_objects import Place, SegmentLink, SegmentSpan, StoredSegment, upload_of
from pipeline.engine.retry import StoreRetries
from pipeline.ports import ContentRepository, KnownStores, PresignedDownloads, Stores
from schemas.content import Content, ContentObject

_RETRIES = RetryPolicy(max_attempts=4, base_seconds=0.2, cap_seconds=2.0)

# Types that a browser may show inline because they cannot run scripts. An SVG or an HTML page could run scripts in the
# server's origin.
_SHOWN_KINDS = ("video/", "audio/", "image/")


@dataclass(frozen=True, slots=True)
class DownloadRules:
    """`grant_seconds`: the default validity of a presigned URL; `stall_seconds`: a read that receives nothing for this
    long is resumed; `md5_stores`: names of the stores whose ETags are MD5 digests of the bytes."""

    grant_seconds: int
    stall_seconds: float
    md5_stores: frozenset[str] = frozenset()


class Downloads:
    """Reads contents from their stores."""

    def __init__(self, contents: ContentRepository, stores: Stores, known: KnownStores, rules: DownloadRules) -> None:
        self._contents = contents
        self._stores = stores
        self._known = known
        self.rules = rules

    async def presign(
        self, stored: ContentObject, filename: str, content_type: str, *, seconds: int, inline: bool
    ) -> str | None:
        """A presigned URL of the object in its own store; None where that is not known to work. Raises StoreError."""
        joined = stored.segment_count > 1
        presigning = await self._presigning(
            stored, Capability.PRESIGNED_GET_JOINED if joined else Capability.PRESIGNED_GET
        )
        if presigning is None:
            return None
        return await presigning.presign_download(
            stored.key,
            segment_count=stored.segment_count,
            seconds=seconds,
            filename=filename,
            content_type=content_type,
            inline=inline,
        )

    async def presign_segment(self, stored: ContentObject, span: SegmentSpan, *, seconds: int) -> SegmentLink | None:
        """A presigned GET of one segment in its own store; None where that is not known to work. Raises StoreError."""
        presigning = await self._presigning(stored, Capability.PRESIGNED_GET_SEGMENT)
        return (
            None if presigning is None else await presigning.presign_segment_download(stored.key, span, seconds=seconds)
        )

    async def segments(self, content: Content) -> list[tuple[StoredSegment, SegmentSpan]]:
        """The manifest in order: each segment with its byte range. A plain object is one segment. Raises RequestError
        CONTENT_NOT_FOUND; DependencyUnavailable."""
        stored = content.object
        found = list(await self._contents.segments(content.id)) or [StoredSegment(1, stored.size_bytes, stored.etag)]
        spans: list[tuple[StoredSegment, SegmentSpan]] = []
        first = 0
        for segment in found:
            last = first + segment.size_bytes - 1
            place = segment.place or Place(content.id, segment.number)
            spans.append((segment, SegmentSpan(place.upload_id, place.number, len(found), first, last)))
            first = last + 1
        return spans

    def object_digest(self, content_id: str, stored: ContentObject) -> str | None:
        """The digest of the bytes of a content's object or thumbnail in the form of Content-Digest, if its ETag is one:
        not of a manifest, and not of an imported object, which may be a manifest."""
        return self._digest(content_id, stored, stored.etag) if stored.segment_count == 1 else None

    def segment_digest(self, content: Content, segment: StoredSegment) -> str | None:
        """The digest of a segment's bytes, as `object_digest`; where its ETag is none, its CRC-32C if that is known."""
        digest = self._digest(content.id, content.object, segment.etag)
        if digest is None and segment.crc32c is not None:
            return format_content_digest(crc32c_digest(segment.crc32c))
        return digest

    def _digest(self, content_id: str, stored: ContentObject, etag: str) -> str | None:
        if upload_of(stored.key) != content_id or stored.store not in self.rules.md5_stores:
            return None
        digest = md5_of_etag(etag)
        return None if digest is None else format_content_digest(digest)

    async def blocks(self, stored: ContentObject, first: int, last: int) -> AsyncIterator[bytes]:
        """Bytes `first` to `last` (inclusive), in blocks of at most 1 MiB. Raises StoreError, StoreUnavailable."""
        store = self._stores.named(stored.store).within(stored.container)
        position = first
        retries = StoreRetries(_RETRIES)
        while position <= last:
            end = None if last == stored.size_bytes - 1 else last
            reading = cast(AsyncGenerator[bytes, None], store.read(stored.key, position, end))
            try:
                async with aclosing(reading):
                    while position <= last:
                        block = (await self._next(reading, stored.key))[: last + 1 - position]
                        position += len(block)
                        retries.progressed()
                        yield block
                        del block  # otherwise two blocks would be held while the next one is read
            except StoreUnavailable as error:
                await retries.wait_after(error)

    async def _next(self, reading: AsyncGenerator[bytes, None], key: str) -> bytes:
        try:
            async with asyncio.timeout(self.rules.stall_seconds):
                return await anext(reading)
        except StopAsyncIteration:
            raise StoreUnavailable(reason=f"{key} ended before its last byte") from None
        except TimeoutError:
            raise StoreUnavailable(reason=f"no byte of {key} arrived for {self.rules.stall_seconds} s") from None

    async def _presigning(self, stored: ContentObject, capability: Capability) -> PresignedDownloads | None:
        """The store, if it can presign this object (only objects in its own container, so not imports from others) and
        `capability` is known to work."""
        store = self._stores.named(stored.store)
        if stored.container != store.container or not isinstance(store, PresignedDownloads):
            return None
        report = await self._known.report(stored.store)
        return store if report is not None and report.works(capability) else None


def may_be_shown(content_type: str) -> bool:
    """Whether a browser may show this content type inline."""
    return content_type.lower().startswith(_SHOWN_KINDS) and "svg" not in content_type.lower()
