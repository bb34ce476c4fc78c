"""Intake: uploads are requested, looked at and cancelled here.

Guarantee: what could never succeed is refused at creation, before anything is kept; a repeated request with the same
Idempotency-Key is the same upload, also when the first answer was lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from uuid6 import uuid7

from pipeline.core.digests import parse_content_digest
from pipeline.core.errors import RequestError, TempVolumeError, UploadEnded
from pipeline.core.journal import Ended
from pipeline.core.lifecycle import ENDED, Event, Status
from pipeline.core.model import NewUpload, Upload
from pipeline.core.segments import StoreLimits, plan_segments, to_ranges
from pipeline.core.transports import TRANSPORTS, Transport
from pipeline.ports import ReservationLedger, SegmentBoard, UploadBoard, UploadJournals
from pipeline.telemetry import UPLOADS_ENDED, Log, logger
from pipeline.uploads.admission import Admission
from pipeline.uploads.lookup import find_upload, why_not_found
from schemas.uploads import CreateUpload


@dataclass(frozen=True, slots=True)
class IntakeRules:
    """Where new uploads go, and what they may ask for. Bytes, milliseconds."""

    store: str
    limits: Callable[[], Awaitable[StoreLimits]]
    volume: str
    budget_bytes: int
    segment_bytes: int
    waiting_ms: int
    direct_ms: int


@dataclass(frozen=True, slots=True)
class UploadDetail:
    """An upload with what is known beside it: `queue_position` counts from 1 while it waits; `missing` are inclusive
    ranges of segment numbers; `expires_at_ms` is None once nothing is asked of the client any more."""

    upload: Upload
    queue_position: int | None
    missing: list[tuple[int, int]]
    expires_at_ms: int | None


class Intake:
    """What the gateway offers for uploads as a whole."""

    def __init__(
        self,
        board: UploadBoard,
        segments: SegmentBoard,
        ledger: ReservationLedger,
        admission: Admission,
        journals: UploadJournals,
        rules: IntakeRules,
    ) -> None:
        self._board = board
        self._segments = segments
        self._ledger = ledger
        self._admission = admission
        self._journals = journals
        self._rules = rules

    async def create(self, request: CreateUpload, idempotency_key: str | None) -> tuple[UploadDetail, bool]:
        """Register an upload and admit it if there is room; False when `idempotency_key` was known.

        Raises RequestError FILE_TOO_LARGE_FOR_VOLUME, FILE_TOO_LARGE_FOR_STORE, IDEMPOTENCY_KEY_REUSED,
        DIGEST_NOT_SUPPORTED.
        """
        return await self.register(await self.planned(request, idempotency_key))

    async def planned(self, request: CreateUpload, idempotency_key: str | None) -> NewUpload:
        """What is asked for, found possible. Raises RequestError as `create`."""
        rules = self._rules
        if request.size > rules.budget_bytes:
            raise too_large(request.size, rules.budget_bytes, rules.budget_bytes)
        plan = plan_segments(request.size, await rules.limits(), rules.segment_bytes)
        return NewUpload(
            upload_id=str(uuid7()),
            filename=request.filename,
            size_bytes=request.size,
            segment_bytes=plan.segment_bytes,
            content_type=request.content_type,
            volume=rules.volume,
            store=rules.store,
            digest=parse_content_digest(request.digest)[0] if request.digest else None,
            metadata=request.metadata,
            idempotency_key=idempotency_key,
            fingerprint=hashlib.sha256(request.model_dump_json().encode()).hexdigest(),
            transport=Transport(request.transport),
        )

    async def register(self, new: NewUpload) -> tuple[UploadDetail, bool]:
        """Register an upload that was found possible, and admit it if there is room; False when it was known. Raises
        RequestError FILE_TOO_LARGE_FOR_VOLUME, IDEMPOTENCY_KEY_REUSED; DependencyUnavailable VOLUME_RECOVERING."""
        # An Idempotency-Key that is lost for the moment must not become a second upload.
        await self._admission.require_open()
        capacity_bytes = await self._admission.capacity_bytes()
        if capacity_bytes is not None and new.size_bytes > capacity_bytes:
            # It would stand at the head of the queue, and hold everybody up, until it expires.
            raise too_large(new.size_bytes, self._rules.budget_bytes, capacity_bytes)
        upload, created = await self._board.create(new)
        if upload.status not in ENDED:
            await self._begin_journal(new, upload)
        upload = await self._admitted(upload)
        if created:
            logger(upload_id=upload.upload_id).info(
                Log.UPLOAD_CREATED,
                size_bytes=upload.size_bytes,
                segments=upload.plan.count,
                status=str(upload.status),
                transport=str(upload.transport),
            )
        return await self._describe(upload), created

    async def _begin_journal(self, new: NewUpload, upload: Upload) -> None:
        """Before its client hears of it. Where the disk has no room for that the upload waits as any other; its journal
        is begun at the latest when it is admitted."""
        known_as = replace(NewUpload.of(upload), idempotency_key=new.idempotency_key, fingerprint=new.fingerprint)
        try:
            await self._journals.begin(known_as)
        except TempVolumeError as error:
            logger(upload_id=upload.upload_id).warning(Log.JOURNAL_FAILED, code=error.code, reason=error.message)

    async def ask_for_room(self, upload_id: str) -> UploadDetail:
        """An upload that has come to `waiting` joins the queue. Idempotent. Raises RequestError UPLOAD_NOT_FOUND."""
        return await self._describe(await self._admitted(await self._find(upload_id)))

    async def _find(self, upload_id: str) -> Upload:
        return await find_upload(self._board, self._journals, upload_id)

    async def _admitted(self, upload: Upload) -> Upload:
        if upload.status is not Status.WAITING:
            return upload
        await self._admission.request(upload.upload_id, upload.size_bytes)
        return await self._board.get(upload.upload_id)

    async def detail(self, upload_id: str) -> UploadDetail:
        """Raises RequestError UPLOAD_NOT_FOUND."""
        return await self._describe(await self._find(upload_id))

    async def page(self, status: Status | None, before: tuple[int, str] | None, limit: int) -> Sequence[UploadDetail]:
        """Uploads, newest first."""
        return [await self._describe(upload) for upload in await self._board.page(status, before, limit)]

    async def cancel(self, upload_id: str) -> UploadDetail:
        """End an upload; all of it is removed soon after. Harmless when it is cancelled already.

        Raises RequestError UPLOAD_NOT_FOUND, UploadEnded UPLOAD_ENDED.
        """
        reason = RequestError("UPLOAD_CANCELLED")
        why = (reason.code, reason.message)
        try:
            status, changed = await self._board.apply(upload_id, Event.CANCEL, why)
        except RequestError as error:
            raise await why_not_found(self._journals, upload_id, error) from None
        if status is not Status.CANCELLED:
            raise UploadEnded("UPLOAD_ENDED", upload_id=upload_id, status=str(status))
        await self._journals.end(upload_id, Ended(status, why))
        if changed:
            UPLOADS_ENDED.labels(status, reason.code).inc()
            logger(upload_id=upload_id).info(Log.UPLOAD_ENDED, status=str(status))
        return await self.detail(upload_id)

    async def _describe(self, upload: Upload) -> UploadDetail:
        position: int | None = None
        expires: int | None = None
        missing: list[tuple[int, int]] = []
        if upload.status is Status.GRANTED:
            expires = (upload.granted_at_ms or upload.created_at_ms) + self._rules.direct_ms
            missing = [(1, upload.plan.count)]
        elif upload.status in (Status.WAITING, Status.ADMITTED, Status.RECEIVING):
            standing = await self._ledger.standing(upload.upload_id)
            if upload.status is Status.WAITING:
                position = standing.queue_position if standing else None
                expires = upload.status_since_ms + self._rules.waiting_ms
            else:
                expires = standing.lease_until_ms if standing else None
            received = await self._segments.received(upload.upload_id) if upload.segments_received else {}
            if not TRANSPORTS[upload.transport].in_store:
                missing = to_ranges(number for number in range(1, upload.plan.count + 1) if number not in received)
        return UploadDetail(upload, position, missing, expires)


def too_large(size_bytes: int, budget_bytes: int, capacity_bytes: int) -> RequestError:
    """The error for what no amount of waiting would let in; `capacity_bytes`: what would be."""
    return RequestError(
        "FILE_TOO_LARGE_FOR_VOLUME", size_bytes=size_bytes, budget_bytes=budget_bytes, capacity_bytes=capacity_bytes
    )
