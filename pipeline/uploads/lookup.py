"""Looking up uploads: their state, what is still missing, and why an upload cannot be found.

Guarantee: an upload that Redis has lost but the temp volume has not is never reported as unknown.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.errors import DependencyUnavailable, RequestError, SluiceError, UploadEnded
from pipeline.core.lifecycle import Status
from pipeline.core.model import Upload
from pipeline.core.segments import to_ranges
from pipeline.core.transports import TRANSPORTS
from pipeline.ports import JournalReader, UploadReader, UploadSnapshot

# Of one request: Redis takes about a millisecond for each thousand.
SEARCH_EXAMINED = 5_000
_ID_LENGTH = 36
_TAKING_SEGMENTS = (Status.WAITING, Status.ADMITTED, Status.RECEIVING)


@dataclass(frozen=True, slots=True)
class UploadDetail:
    """An upload as clients see it. `queue_position` counts from 1 while it waits; `missing` and `wanted` are inclusive
    ranges of segment numbers: what has not arrived, and what of it the reader needs next; `expires_at_ms` is None once
    nothing is expected of the client, and never later than `deadline_ms`, by which every byte must have arrived. Of a
    deferred plan or length nothing is known to be missing. `media`: a `schemas.media.MediaMetadata` as
    JSON-serialisable data, once it is known, and never in a list."""

    upload: Upload
    queue_position: int | None
    missing: list[tuple[int, int]]
    expires_at_ms: int | None
    wanted: list[tuple[int, int]] = field(default_factory=list)
    media: Mapping[str, Any] | None = None
    deadline_ms: int | None = None


@dataclass(frozen=True, slots=True)
class FoundDetails:
    """As `ports.FoundUploads`."""

    uploads: Sequence[UploadDetail]
    examined: int
    rest: tuple[int, str] | None


@dataclass(frozen=True, slots=True)
class ExpiryRules:
    """After how many milliseconds an upload expires: `waiting_ms` in the queue; `direct_ms` in `granted` without new
    grants; `held_ms` as a partial upload without a final one."""

    waiting_ms: int
    direct_ms: int
    held_ms: int


class UploadLookup:
    """Uploads of one cell, for clients."""

    def __init__(self, uploads: UploadReader, journals: JournalReader, rules: ExpiryRules) -> None:
        self._uploads = uploads
        self._journals = journals
        self._rules = rules

    async def detail(self, upload_id: str) -> UploadDetail:
        """Raises RequestError UPLOAD_NOT_FOUND; DependencyUnavailable UPLOAD_RECOVERING."""
        async with naming_a_loss(self._journals, upload_id):
            return self._detail(await self._uploads.snapshot(upload_id))

    async def page(
        self, owner: str | None, status: Status | None, before: tuple[int, str] | None, limit: int
    ) -> Sequence[UploadDetail]:
        """Up to `limit` uploads of this owner, or of all, newest first, created before (created_at_ms, id)."""
        return [self._detail(snapshot) for snapshot in await self._uploads.page(status, before, limit, owner=owner)]

    async def search(
        self, text: str, owner: str | None, status: Status | None, before: tuple[int, str] | None, limit: int
    ) -> FoundDetails:
        """Up to `limit` uploads whose id begins with `text` or whose file name contains it, newest first, of at most
        about `SEARCH_EXAMINED`. A whole id is looked up."""
        if before is None and len(text) == _ID_LENGTH:
            with suppress(RequestError):
                snapshot = await self._uploads.snapshot(text)
                if owner in (None, snapshot.upload.owner) and status in (None, snapshot.upload.status):
                    return FoundDetails([self._detail(snapshot)], 1, None)
        found = await self._uploads.search(text, status, before, limit, SEARCH_EXAMINED, owner=owner)
        return FoundDetails([self._detail(snapshot) for snapshot in found.uploads], found.examined, found.rest)

    def _detail(self, snapshot: UploadSnapshot) -> UploadDetail:
        upload, standing = snapshot.upload, snapshot.standing
        position: int | None = None
        expires: int | None = None
        missing: list[tuple[int, int]] = []
        if upload.status is Status.GRANTED:
            expires = (upload.granted_at_ms or upload.created_at_ms) + self._rules.direct_ms
            missing = [] if upload.deferred else [(1, upload.plan.count)]
        elif upload.status in _TAKING_SEGMENTS:
            if upload.status is Status.WAITING:
                position = standing.queue_position if standing else None
                expires = upload.status_since_ms + self._rules.waiting_ms
            else:
                expires = standing.lease_until_ms if standing else None
            if not TRANSPORTS[upload.transport].in_store:
                everything = range(1, upload.plan.count + 1) if upload.deferred is None else ()
                missing = to_ranges(set(everything).difference(snapshot.received))
        elif upload.status is Status.HELD:
            expires = upload.status_since_ms + self._rules.held_ms
        deadline = snapshot.deadline_ms
        if expires is not None and deadline is not None:
            expires = min(expires, deadline)
        return UploadDetail(upload, position, missing, expires, to_ranges(snapshot.wanted), snapshot.media, deadline)


async def find_upload(uploads: UploadReader, journals: JournalReader, upload_id: str) -> Upload:
    """Raises RequestError UPLOAD_NOT_FOUND; DependencyUnavailable UPLOAD_RECOVERING if Redis has lost the upload and
    its journal exists."""
    async with naming_a_loss(journals, upload_id):
        return await uploads.get(upload_id)


async def why_not_found(journals: JournalReader, upload_id: str, error: SluiceError) -> SluiceError:
    """`error`, or UPLOAD_RECOVERING in place of UPLOAD_NOT_FOUND if the upload has a journal."""
    if error.code == "UPLOAD_NOT_FOUND" and await journals.read(upload_id) is not None:
        return DependencyUnavailable("UPLOAD_RECOVERING", upload_id=upload_id)
    return error


@asynccontextmanager
async def naming_a_loss(journals: JournalReader, upload_id: str) -> AsyncIterator[None]:
    """Raises UPLOAD_RECOVERING in place of UPLOAD_NOT_FOUND if the upload has a journal."""
    try:
        yield
    except SluiceError as error:
        raise await why_not_found(journals, upload_id, error) from None


def ended_error(upload: Upload) -> UploadEnded:
    """The error for a request that adds to an ended upload. It names what the upload ended with."""
    return UploadEnded(
        "UPLOAD_ENDED",
        upload_id=upload.upload_id,
        status=str(upload.status),
        error_code=upload.error_code,
        error_message=upload.error_message,
    )
