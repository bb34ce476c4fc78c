"""Direct uploads: the client sends segments to the store itself, by grants, and says when it has.

Guarantee: a grant reaches one segment of one upload for a limited time, and nothing is handed out for an upload that is
over. What the client says is not believed: the store is asked what it holds, and only a plan that is whole, each
segment of its length, is sealed. Nothing of the temp volume is held before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from pipeline.core.errors import RequestError, StoreError
from pipeline.core.journal import Completed, Stored
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import NewUpload, ObjectTarget, SegmentRequest, Upload, object_key
from pipeline.core.segments import SegmentPlan, to_ranges
from pipeline.core.transports import TRANSPORTS, Transport
from pipeline.ports import DelegatedTokens, PresignedUploads, SegmentBoard, Store, Stores, UploadBoard, UploadJournals
from pipeline.telemetry import Log, logger
from pipeline.uploads.create import Intake, UploadDetail
from pipeline.uploads.lookup import ended_error, find_upload
from pipeline.uploads.target import open_target
from schemas.uploads import CreateUpload

BATCH = 100
"""Grants in one answer: some 50 KB."""

# Clocks differ, and a request that begins in a grant's last moment ends after it.
_MARGIN_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Grants:
    """Rights to send segments, valid for so many seconds; `more` are ranges for which to ask again. `token` and
    `storage_url` where a token was lent."""

    seconds: int
    segments: Sequence[SegmentRequest] = field(repr=False)
    more: Sequence[tuple[int, int]] = ()
    token: str | None = field(default=None, repr=False)
    storage_url: str | None = None


class DirectUploads:
    """What the gateway offers to clients that send to the store itself."""

    def __init__(
        self,
        intake: Intake,
        board: UploadBoard,
        segments: SegmentBoard,
        stores: Stores,
        journals: UploadJournals,
        grant_seconds: int,
    ) -> None:
        self._intake = intake
        self._board = board
        self._segments = segments
        self._stores = stores
        self._journals = journals
        self._grant_seconds = grant_seconds

    async def create(
        self, request: CreateUpload, idempotency_key: str | None
    ) -> tuple[UploadDetail, Grants | None, bool]:
        """Register an upload and grant its first segments (None: it was known, and is past that).

        Raises RequestError TRANSPORT_NOT_OFFERED and as `Intake.create`; StoreError.
        """
        new = await self._intake.planned(request, idempotency_key)
        await self._offered(new)
        detail, created = await self._intake.register(new)
        grants = None
        if detail.upload.status is Status.GRANTED:
            grants = await self._grant(detail.upload, [(1, detail.upload.plan.count)])
            detail = await self._intake.detail(detail.upload.upload_id)
        return detail, grants, created

    async def grants(self, upload_id: str, wanted: Sequence[tuple[int, int]]) -> Grants:
        """Grants for these ranges of segments, as many as one answer holds.

        Raises RequestError UPLOAD_NOT_FOUND, TRANSPORT_DIFFERS, UPLOAD_COMPLETE, SEGMENT_OUT_OF_RANGE;
        UploadEnded UPLOAD_ENDED; StoreError.
        """
        upload = await self._direct(upload_id)
        if upload.status is not Status.GRANTED:
            raise RequestError("UPLOAD_COMPLETE", status=str(upload.status))
        for number in chain.from_iterable(wanted):
            upload.plan.length(number)
        return await self._grant(upload, wanted)

    async def complete(self, upload_id: str) -> UploadDetail:
        """The client has sent everything: ask the store, and go on if it has. Idempotent.

        Raises RequestError SEGMENTS_MISSING, UPLOAD_NOT_FOUND, TRANSPORT_DIFFERS; UploadEnded UPLOAD_ENDED; StoreError.
        """
        upload = await self._direct(upload_id)
        if upload.status is Status.GRANTED:
            store = self._stores.named(upload.store)
            target = await open_target(upload, store, self._segments, self._journals)
            plan = upload.plan
            granting = self._granting(store, str(upload.transport))
            try:
                held = {item.number: item for item in await granting.held_segments(target)}
            except StoreError as error:
                if error.code != "STORE_SESSION_LOST":
                    raise
                await self._segments.forget_session(upload_id, target.session)  # the next grants are of another
                held = {}
            bad = [
                number
                for number in range(1, plan.count + 1)
                if number not in held or held[number].size_bytes != plan.length(number)
            ]
            if bad:
                wrong = [
                    {"number": number, "size": held[number].size_bytes, "expected": plan.length(number)}
                    for number in bad
                    if number in held
                ]
                raise RequestError("SEGMENTS_MISSING", missing=to_ranges(bad)[:BATCH], wrong=wrong[:BATCH])
            segments = [held[number] for number in range(1, plan.count + 1)]
            noted = [Stored(segment.number, segment.etag) for segment in segments]
            await self._journals.note(upload_id, *noted, Completed())
            await self._board.complete(upload_id, segments)
        return await self._intake.ask_for_room(upload_id)

    async def _direct(self, upload_id: str) -> Upload:
        upload = await find_upload(self._board, self._journals, upload_id)
        if TRANSPORTS[upload.transport].begins is not Status.GRANTED:
            raise RequestError("TRANSPORT_DIFFERS", transport=str(upload.transport))
        if upload.status in ENDED and upload.status is not Status.READY:
            raise ended_error(upload)
        return upload

    async def _grant(self, upload: Upload, wanted: Iterable[tuple[int, int]]) -> Grants:
        store = self._stores.named(upload.store)
        target = await open_target(upload, store, self._segments, self._journals)
        ranges = list(wanted)
        numbers = list(islice(_numbers(ranges), BATCH))
        grants = await self._make(store, upload.transport, target, numbers)
        # Noted before it is handed out, so that cleaning up knows how long the client may write.
        status = await self._board.record_grant(upload.upload_id, grants.seconds + _MARGIN_SECONDS)
        if status is not Status.GRANTED:
            if status not in ENDED or status is Status.READY:
                raise RequestError("UPLOAD_COMPLETE", status=str(status))
            await store.abort(target)  # it was cleaned up meanwhile, perhaps before this session was opened
            raise ended_error(await self._board.get(upload.upload_id))
        if grants.token is not None:
            log = logger(upload_id=upload.upload_id)
            log.info(Log.TOKEN_DELEGATED, seconds=grants.seconds, storage_url=grants.storage_url)
        return replace(grants, more=_rest(ranges, len(numbers)))

    async def _make(self, store: Store, transport: Transport, target: ObjectTarget, numbers: Sequence[int]) -> Grants:
        """Raises RequestError TRANSPORT_NOT_OFFERED."""
        if transport is Transport.TOKEN:
            lent = await store.delegate_token(target, numbers) if isinstance(store, DelegatedTokens) else None
            if lent is None:
                reason = "no user is set whose tokens may be lent (SLUICE_SWIFT_LENT_*)"
                raise RequestError("TRANSPORT_NOT_OFFERED", transport=str(transport), reason=reason)
            return Grants(lent.seconds, lent.segments, (), lent.token, lent.storage_url)
        granted = await self._granting(store, str(transport)).presign_segments(
            target, numbers, seconds=self._grant_seconds
        )
        if granted is None:
            reason = f"the store '{store.name}' is not set up to give grants (Swift: SLUICE_SWIFT_TEMPURL_KEY)"
            raise RequestError("TRANSPORT_NOT_OFFERED", transport=str(transport), reason=reason)
        return Grants(self._grant_seconds, granted)

    async def _offered(self, new: NewUpload) -> None:
        """Raises RequestError TRANSPORT_NOT_OFFERED, before anything is registered."""
        store = self._stores.named(new.store)
        target = ObjectTarget(
            new.upload_id, object_key(new.upload_id), new.content_type, SegmentPlan(new.size_bytes, new.segment_bytes)
        )
        await self._make(store, new.transport, target, ())

    def _granting(self, store: Store, transport: str) -> PresignedUploads:
        if not isinstance(store, PresignedUploads):
            reason = f"the store '{store.name}' cannot be reached by clients"
            raise RequestError("TRANSPORT_NOT_OFFERED", transport=transport, reason=reason)
        return store


def _numbers(ranges: Iterable[tuple[int, int]]) -> Iterable[int]:
    return chain.from_iterable(range(first, last + 1) for first, last in ranges)


def _rest(ranges: Iterable[tuple[int, int]], taken: int) -> list[tuple[int, int]]:
    """What is left of `ranges` behind their first `taken` numbers."""
    rest: list[tuple[int, int]] = []
    for first, last in ranges:
        count = max(0, last - first + 1)
        if count > taken:
            rest.append((first + taken, last))
        taken = max(0, taken - count)
    return rest
