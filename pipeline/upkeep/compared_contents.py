"""Compares the rows of contents with their objects: is each there, with its size and its digest?

Guarantee: nothing is changed. A content that is deleted meanwhile is no finding: every fault is looked at again, and
its row is asked for last. An unavailable store or database ends the comparison with an error, and is no finding either.
One page of rows and a few blocks are in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import google_crc32c

from pipeline.core.digests import crc32c_digest, format_content_digest
from pipeline.core.errors import RequestError, StoreError, StoreUnavailable
from pipeline.core.retry import RetryPolicy
from pipeline.core.stored_objects import StoredObject
from pipeline.engine.retry import StoreRetries, retry_store
from pipeline.ports import ContentRepository, ObjectSource, Stores
from pipeline.ports.contents import ContentAudit, ContentPosition
from pipeline.tasks import end_tasks
from pipeline.upkeep.findings import Fault, Finding, Pace
from schemas.content import Content, ContentObject
from schemas.content_list import NEWEST_FIRST, ContentFilters

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAGE = 100
_AT_ONCE = 4
_RETRIES = RetryPolicy(max_attempts=4, base_seconds=0.3, cap_seconds=3.0)


@dataclass(frozen=True, slots=True)
class CompareRules:
    """`reads`: read every byte, instead of relying on what the store says. `bytes_per_second`: at most."""

    reads: bool
    bytes_per_second: int | None = None


class ComparedContents:
    """`on_checked` is called for each content, with its number of bytes."""

    def __init__(
        self,
        contents: ContentRepository,
        audit: ContentAudit,
        stores: Stores,
        rules: CompareRules,
        on_checked: Callable[[int], None] = lambda size_bytes: None,
    ) -> None:
        self._contents = contents
        self._audit = audit
        self._stores = stores
        self._reads = rules.reads
        self._pace = Pace(rules.bytes_per_second)
        self._on_checked = on_checked

    async def sample(self, count: int) -> AsyncIterator[Finding]:
        """The findings among `count` contents, chosen at random. Raises DependencyUnavailable, StoreError."""
        ids = await self._audit.sample(count)
        for start in range(0, len(ids), _PAGE):
            page = [await self._current(name) for name in ids[start : start + _PAGE]]
            for finding in await self._findings([content for content in page if content is not None]):
                yield finding

    async def every(self) -> AsyncIterator[Finding]:
        """The findings among all contents, newest first. Raises as `sample`."""
        after: ContentPosition | None = None
        while page := await self._contents.page(ContentFilters(), NEWEST_FIRST, after, _PAGE):
            for finding in await self._findings(page):
                yield finding
            after = ContentPosition((page[-1].created_at - _EPOCH) // timedelta(microseconds=1), page[-1].id)

    async def _findings(self, contents: Sequence[Content]) -> list[Finding]:
        slots = asyncio.Semaphore(_AT_ONCE)
        found: list[Finding] = []

        async def one(content: Content) -> None:
            async with slots:
                found.extend(await self._of(content))
                self._on_checked(content.object.size_bytes)

        tasks = [asyncio.create_task(one(content)) for content in contents]
        try:
            await asyncio.gather(*tasks)
        finally:
            await end_tasks(*tasks)
        return found

    async def _of(self, content: Content) -> list[Finding]:
        found: list[Finding] = []
        for stored, repr_digest in ((content.object, content.repr_digest), (content.thumbnail, None)):
            if stored is None:
                continue
            finding = await self._compare(content, stored, repr_digest)
            # Twice, since the object may have been removed between two requests; then it is asked for no more.
            if finding is not None and (await self._current(content.id)) is not None:
                finding = await self._compare(content, stored, repr_digest)
            if finding is not None and (await self._current(content.id)) is not None:
                found.append(finding)
        return found

    async def _compare(self, content: Content, stored: ContentObject, repr_digest: str | None) -> Finding | None:
        """Raises StoreError where the whole store is unavailable or refuses the credentials."""

        def finding(fault: Fault, reason: str) -> Finding:
            return Finding(fault, stored.store, content.id, stored.key, reason)

        try:
            source = self._stores.named(stored.store).within(stored.container)
            head = await retry_store(lambda: source.head(stored.key), _RETRIES)
        except StoreError as error:
            if error.code == "STORE_OBJECT_MISSING":
                return finding(Fault.MISSING, "the store does not have it")
            if _is_of_the_store(error):
                raise
            return finding(Fault.UNREADABLE, error.message)
        if head.size_bytes != stored.size_bytes:
            return finding(Fault.WRONG_SIZE, f"it has {head.size_bytes} bytes, the row {stored.size_bytes}")
        if head.etag != stored.etag:
            return finding(Fault.WRONG_DIGEST, f"its ETag is {head.etag}, that of the row {stored.etag}")
        if repr_digest is not None and head.crc32c is not None and _text(head.crc32c) != repr_digest:
            return finding(Fault.WRONG_DIGEST, f"the store says {_text(head.crc32c)}, the row {repr_digest}")
        if not self._reads:
            return None
        try:
            actual = await self._read(source, head)
        except StoreError as error:
            if _is_of_the_store(error):
                await source.head(stored.key)  # raises where the whole store is unavailable
            return finding(Fault.UNREADABLE, error.message)
        if repr_digest is not None and actual != repr_digest:
            return finding(Fault.WRONG_DIGEST, f"its bytes have {actual}, the row {repr_digest}")
        return None

    async def _read(self, source: ObjectSource, head: StoredObject) -> str:
        """The digest of all bytes. A read that ends early is continued. Raises StoreError."""
        position = crc32c = 0
        retries = StoreRetries(_RETRIES)
        while position < head.size_bytes:
            began = position
            try:
                reading = cast(AsyncGenerator[bytes, None], source.read(head.key, position, None, etag=head.etag))
                async with aclosing(reading) as blocks:
                    async for block in blocks:
                        crc32c = google_crc32c.extend(crc32c, block)
                        position += len(block)
                        retries.progressed()
                        await self._pace.spend(len(block))
                if position == began:
                    raise StoreUnavailable(reason=f"{head.key} ended before its last byte")
            except StoreUnavailable as error:
                await retries.wait_after(error)
        return _text(crc32c)

    async def _current(self, content_id: str) -> Content | None:
        try:
            return await self._contents.get(content_id, None)
        except RequestError:
            return None


def _is_of_the_store(error: StoreError) -> bool:
    """Whether an error says nothing about the object that was asked for."""
    return isinstance(error, StoreUnavailable) or error.code == "STORE_AUTH_FAILED"


def _text(crc32c: int) -> str:
    return format_content_digest(crc32c_digest(crc32c))
