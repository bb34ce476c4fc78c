"""Downloads: a grant to read from the store itself where there is one, else the bytes, block by block.

Guarantee of `blocks`: exactly the bytes that were asked for, in order, or an error; a store that breaks off or falls
silent is asked again from the byte where it stopped, a few times, so that a hiccup of the store is not one of the
client's. One block is held at a time: who does not take it is what holds the store back. The reader that is left early
gives its connection to the store back at once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from pipeline.core.errors import StoreUnavailable
from pipeline.core.model import SegmentSpan, StoredSegment
from pipeline.core.retry import GiveUp, RetryPolicy, decide
from pipeline.ports import ContentRepository, PresignedDownloads, Stores
from schemas.content import Content, ContentObject

_RETRIES = RetryPolicy(max_attempts=4, base_seconds=0.2, cap_seconds=2.0)

# What a browser may show in place: it cannot run there. An SVG or a web page could, in the name of whoever serves it.
_SHOWN_KINDS = ("video/", "audio/", "image/")


@dataclass(frozen=True, slots=True)
class DownloadRules:
    """`grant_seconds`: how long a grant lasts unless asked otherwise; `stall_seconds`: a store that sends nothing for
    so long is asked again."""

    grant_seconds: int
    stall_seconds: float


class Downloads:
    """Ways out of the stores."""

    def __init__(self, contents: ContentRepository, stores: Stores, rules: DownloadRules) -> None:
        self._contents = contents
        self._stores = stores
        self.rules = rules

    async def grant(self, stored: ContentObject, filename: str, *, seconds: int, inline: bool) -> str | None:
        """A URL of the object in its own store, or None. Raises StoreError."""
        grants = self._grants(stored)
        if grants is None:
            return None
        return await grants.presign_download(
            stored.key, segment_count=stored.segment_count, seconds=seconds, filename=filename, inline=inline
        )

    async def grant_segment(self, stored: ContentObject, span: SegmentSpan, *, seconds: int) -> str | None:
        """A URL of one segment in its own store, or None. Raises StoreError."""
        grants = self._grants(stored)
        return None if grants is None else await grants.presign_segment_download(stored.key, span, seconds=seconds)

    async def segments(self, content: Content) -> list[tuple[StoredSegment, SegmentSpan]]:
        """The manifest, in order, with where each segment lies. A plain object is one segment. Raises
        CONTENT_NOT_FOUND, DependencyUnavailable."""
        stored = content.object
        found = list(await self._contents.segments(content.id)) or [StoredSegment(1, stored.size_bytes, stored.etag)]
        spans: list[tuple[StoredSegment, SegmentSpan]] = []
        first = 0
        for segment in found:
            last = first + segment.size_bytes - 1
            spans.append((segment, SegmentSpan(content.id, segment.number, len(found), first, last)))
            first = last + 1
        return spans

    async def blocks(self, stored: ContentObject, first: int, last: int) -> AsyncIterator[bytes]:
        """Bytes `first` to `last` (inclusive), in blocks of at most 1 MiB. Raises StoreError, StoreUnavailable."""
        store = self._stores.named(stored.store).within(stored.container)
        position, failures = first, 0
        while position <= last:
            end = None if last == stored.size_bytes - 1 else last
            reading = cast(AsyncGenerator[bytes, None], store.read(stored.key, position, end))
            try:
                async with aclosing(reading):
                    while position <= last:
                        block = (await self._next(reading, stored.key))[: last + 1 - position]
                        position, failures = position + len(block), 0
                        yield block
                        del block  # or two of them are held while the next one is read
            except StoreUnavailable as error:
                failures += 1
                decision = decide(error, failures, _RETRIES, random.random())
                if isinstance(decision, GiveUp):
                    raise
                await asyncio.sleep(decision.seconds)

    async def _next(self, reading: AsyncGenerator[bytes, None], key: str) -> bytes:
        try:
            async with asyncio.timeout(self.rules.stall_seconds):
                return await anext(reading)
        except StopAsyncIteration:
            raise StoreUnavailable(reason=f"{key} ended before its last byte") from None
        except TimeoutError:
            raise StoreUnavailable(reason=f"nothing came of {key} for {self.rules.stall_seconds} s") from None

    def _grants(self, stored: ContentObject) -> PresignedDownloads | None:
        """Grants reach the store's own container; what was imported from another one goes through the gateway."""
        store = self._stores.named(stored.store)
        own = stored.container == store.container
        return store if own and isinstance(store, PresignedDownloads) else None


def may_be_shown(content_type: str) -> bool:
    """Whether a browser may be told to show it in place."""
    return content_type.lower().startswith(_SHOWN_KINDS) and "svg" not in content_type.lower()
