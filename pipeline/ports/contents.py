"""Contents: their metadata, their pending deletions, and the cache in front of the store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pipeline.core.model import ContentRecord
from pipeline.core.stored_objects import ObjectVersion, StoredSegment

if TYPE_CHECKING:
    from schemas.content import Content
    from schemas.content_list import ContentFilters
    from schemas.deletions import PendingDeletion
    from schemas.receipts import ReceiptClaims, ReceiptKey


class DeletionRepository(Protocol):
    """Pending deletions. Errors: DependencyUnavailable."""

    async def begin(self, content_id: str, lease_seconds: float, owner: str | None) -> PendingDeletion:
        """Delete a content's row and record its pending deletion, claimed by the caller, in one step. Raises
        RequestError CONTENT_NOT_FOUND, also when called a second time, and for a content of another owner (None: any
        owner)."""

    async def claim(self, limit: int, lease_seconds: float) -> Sequence[PendingDeletion]:
        """Up to `limit` deletions that are due, each claimed by one caller until its lease ends."""

    async def finish(self, content_id: str) -> None:
        """Record that nothing is left of the content. Idempotent."""

    async def defer(self, content_id: str, error: tuple[str, str], after_seconds: float) -> None:
        """Record that an attempt failed with (code, message); the deletion is due again after `after_seconds`."""

    async def page(self, before: tuple[int, str] | None, limit: int) -> Sequence[PendingDeletion]:
        """Pending deletions, newest first, deleted before (deleted_at in microseconds since 1970, id)."""

    async def backlog(self) -> tuple[int, float]:
        """How many pending deletions there are, counted up to 100,000, and the age of the oldest in seconds, 0 if there
        is none."""

    async def purge(self, done_seconds: float) -> None:
        """Delete the records of deletions that were finished more than `done_seconds` ago."""


class CachePurge(Protocol):
    """A cache in front of the store."""

    async def purge(self, key: str) -> None:
        """Remove an object from the cache, also if the cache is fetching it now. Idempotent. Raises
        DependencyUnavailable CACHE_PURGE_FAILED."""


class ReceiptSigner(Protocol):
    """Private keys that sign receipts."""

    @property
    def keys(self) -> Sequence[ReceiptKey]:
        """Their public keys; the first one is of the key that signs."""

    def sign(self, claims: ReceiptClaims) -> str:
        """The claims as a signed token."""


@dataclass(frozen=True, slots=True)
class ContentPosition:
    """A content's place in a list: its creation in microseconds since 1970, its id, and its value of the field that the
    list is sorted by. The value is not used if that field is `created_at`."""

    created_us: int
    content_id: str
    value: int | float | str | None = None


class ContentRepository(Protocol):
    """Content metadata. Errors: DependencyUnavailable, CONTENT_NOT_FOUND (RequestError)."""

    async def save(self, record: ContentRecord) -> Content:
        """Write a content in one transaction. Idempotent: a second call returns the existing row. Raises
        RequestError CONTENT_EXISTS if another content has the same object."""

    async def get(self, content_id: str, owner: str | None) -> Content:
        """A content of this owner; None: of any owner."""

    async def of_object(self, store: str, version: ObjectVersion) -> Content | None:
        """The content of this version of an object, if there is one."""

    async def page(
        self, filters: ContentFilters, sort: str, after: ContentPosition | None, limit: int
    ) -> Sequence[Content]:
        """Up to `limit` contents that match all filters, in the order of `sort` (`schemas.content_list.Sort`), from the
        first one after `after`. Equal values are sorted by creation, then id, in the same direction. Contents without a
        value are last in both directions. Raises RequestError CURSOR_INVALID for a position that cannot exist."""

    async def segments(self, content_id: str) -> Sequence[StoredSegment]:
        """A content's segments in order; empty if there is no such content."""

    async def delete(self, content_id: str) -> None:
        """Remove a content's row. Idempotent."""


class ContentAudit(Protocol):
    """What a comparison of rows with objects asks. Errors: DependencyUnavailable."""

    async def sample(self, count: int) -> Sequence[str]:
        """The ids of up to `count` contents, chosen at random."""

    async def claimed(self, upload_ids: Collection[str]) -> Collection[str]:
        """Those of the ids, which are UUIDs, that are contents or pending deletions."""

    async def claimed_parts(self, upload_ids: Collection[str]) -> Collection[str]:
        """Those of the ids whose segments belong to a content that was joined from them, or to its pending deletion.
        Expensive: ask for many at once."""
