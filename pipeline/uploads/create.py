"""Creating and cancelling uploads.

Guarantee: what can never succeed is refused at creation, before anything is kept. A repeated request with the same
Idempotency-Key is the same upload, also when the first response was lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from uuid6 import uuid7

from pipeline.core.access import Caller
from pipeline.core.cells import in_cell
from pipeline.core.digests import parse_content_digest
from pipeline.core.errors import DependencyUnavailable, RequestError, TempVolumeError, UploadEnded
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import Deferred, NewUpload, Upload
from pipeline.core.segments import plan_segments
from pipeline.core.transports import TRANSPORTS, Transport
from pipeline.logs import Log, logger
from pipeline.ports import Stores
from pipeline.tracing import current_traceparent, note_upload
from pipeline.uploads.admission import Admission
from pipeline.uploads.cell import CellState
from pipeline.uploads.declared_type import require_media_type
from pipeline.uploads.deferred import most_bytes
from pipeline.uploads.joined import journal_final
from pipeline.uploads.lookup import UploadDetail, UploadLookup, find_upload, naming_a_loss
from pipeline.uploads.permits import require_permitted, scoped_key
from schemas.uploads import CreateUpload


@dataclass(frozen=True, slots=True)
class CreationRules:
    """Where new uploads go, and what they may ask for. Bytes."""

    store: str
    volume: str
    cell: int
    segment_bytes: int
    deferred_bytes: int
    """The largest file whose length is not known when its upload is created."""


class UploadCreation:
    """Registers uploads, asks for their admission, and cancels them."""

    def __init__(
        self, cell: CellState, lookup: UploadLookup, admission: Admission, stores: Stores, rules: CreationRules
    ) -> None:
        self._cell = cell
        self._lookup = lookup
        self._admission = admission
        self._stores = stores
        self._rules = rules

    async def create(
        self, request: CreateUpload, idempotency_key: str | None, caller: Caller, *, deferred: bool = False
    ) -> tuple[UploadDetail, bool]:
        """Register an upload and admit it if there is room; False if `idempotency_key` was known. Raises as `plan` and
        `register`."""
        return await self.register(await self.plan(request, idempotency_key, caller, deferred=deferred))

    async def plan(
        self,
        request: CreateUpload,
        idempotency_key: str | None,
        caller: Caller,
        joins: tuple[Transport, str] | None = None,
        *,
        deferred: bool = False,
    ) -> NewUpload:
        """Cut the file into segments that its store can hold, and plan its window on the temp volume. `joins`: of a
        partial or a final upload, its transport, and the Upload-Concat that created it. `deferred`: its length is not
        known yet, and the size in `request` counts for nothing. Raises AccessError PERMIT_EXCEEDED; RequestError
        CONTENT_TYPE_NOT_MEDIA, SEGMENTS_TOO_LARGE_FOR_VOLUME, FILE_TOO_LARGE_FOR_STORE, DIGEST_NOT_SUPPORTED;
        TempVolumeError TEMP_VOLUME_FAILED."""
        rules = self._rules
        require_media_type(request.content_type)
        if caller.permit is not None:
            require_permitted(request, caller.permit)
        transport, concat = joins or (Transport(request.transport), "")
        described = request.model_dump_json() + (f" {transport} {concat}" if joins else "")
        limits = await self._stores.named(rules.store).limits()
        draft = NewUpload(
            upload_id=str(in_cell(uuid7(), rules.cell)),
            filename=request.filename,
            size_bytes=request.size,
            segment_bytes=rules.segment_bytes,
            content_type=request.content_type,
            volume=rules.volume,
            store=rules.store,
            digest=parse_content_digest(request.digest)[0] if request.digest else None,
            metadata=request.metadata,
            idempotency_key=scoped_key(idempotency_key, caller),
            fingerprint=hashlib.sha256(described.encode()).hexdigest(),
            transport=transport,
            owner=caller.owner,
            scope=caller.scope,
            permit=caller.permit,
            concat=concat if transport is Transport.FINAL else "",
            traceparent=current_traceparent(),
        )
        if deferred:
            draft = replace(
                draft,
                size_bytes=0,
                deferred=Deferred.LENGTH,
                most_bytes=most_bytes(rules.deferred_bytes, limits, caller.permit),
                fingerprint=f"deferred {draft.fingerprint}",
            )
        if not TRANSPORTS[transport].in_store:
            return await self._admission.plan(draft, limits, rules.segment_bytes)
        plan = plan_segments(request.size, limits, rules.segment_bytes)  # no byte of it comes to the temp volume
        return replace(draft, segment_bytes=plan.segment_bytes)

    async def register(self, new: NewUpload) -> tuple[UploadDetail, bool]:
        """Register a planned upload and admit it if there is room; False if it was known. Raises RequestError
        IDEMPOTENCY_KEY_REUSED; DependencyUnavailable VOLUME_RECOVERING, UPLOAD_RECOVERING; TempVolumeError
        TEMP_VOLUME_FULL if it is not to be admitted and the volume has no room for its journal. Of a final upload also
        RequestError UPLOAD_NOT_FOUND, PARTIAL_UPLOADS_NOT_STORED, PARTIAL_UPLOAD_USED; TempVolumeError if its journal
        cannot be written."""
        # While Redis is being recovered, a known Idempotency-Key may be missing and would create a second upload.
        await self._admission.require_open()
        if TRANSPORTS[new.transport].in_store:
            await self._admission.require_journal_room(new)
        upload, created = await self._cell.record.create(new)
        note_upload(upload.upload_id)
        if upload.parts:
            await journal_final(self._cell, upload)
        else:
            await self._begin_journal(upload)
        with lost_after_creation():
            await self._begin(upload)
            detail = await self._lookup.detail(upload.upload_id)
        if created:
            logger(upload_id=upload.upload_id).info(
                Log.UPLOAD_CREATED,
                size_bytes=upload.size_bytes,
                segments=upload.plan.count,
                status=str(detail.upload.status),
                transport=str(upload.transport),
            )
        return detail, created

    async def begin(self, upload_id: str) -> UploadDetail:
        """Enqueue what follows its creation or completion: its first stages, or its admission. Idempotent. Raises as
        `UploadLookup.detail`."""
        await self._begin(await find_upload(self._cell.uploads, self._cell.journals, upload_id))
        return await self._lookup.detail(upload_id)

    async def cancel(self, upload_id: str) -> UploadDetail:
        """End an upload; all of it is removed soon after. Idempotent.

        Raises RequestError UPLOAD_NOT_FOUND; UploadEnded UPLOAD_ENDED; DependencyUnavailable UPLOAD_RECOVERING.
        """
        async with naming_a_loss(self._cell.journals, upload_id):
            status = await self._cell.record.cancel(upload_id)
        if status is not Status.CANCELLED:
            raise UploadEnded("UPLOAD_ENDED", upload_id=upload_id, status=str(status))
        return await self._lookup.detail(upload_id)

    async def _begin_journal(self, upload: Upload) -> None:
        """Begin the journal of an upload that is not to be admitted. If the disk fails, it continues without one."""
        if upload.status in ENDED or not TRANSPORTS[upload.transport].in_store:
            return
        try:
            await self._cell.record.begin_journal(upload)
        except TempVolumeError as error:
            logger(upload_id=upload.upload_id).warning(Log.JOURNAL_FAILED, code=error.code, reason=error.message)

    async def _begin(self, upload: Upload) -> None:
        if upload.status is Status.WAITING:
            await self._admission.request(upload)
        elif TRANSPORTS[upload.transport].in_store:
            with suppress(DependencyUnavailable):  # the stages are queued: their jobs come back as overdue stages
                for job in upload.queued_jobs:
                    await self._cell.queue.enqueue(job)


@contextmanager
def lost_after_creation() -> Iterator[None]:
    """An upload that was created a moment ago and has no record any more was lost by Redis: the client repeats its
    request. Raises DependencyUnavailable REDIS_UNAVAILABLE in place of RequestError UPLOAD_NOT_FOUND."""
    try:
        yield
    except RequestError as error:
        if error.code != "UPLOAD_NOT_FOUND":
            raise
        raise DependencyUnavailable("REDIS_UNAVAILABLE", reason="it has lost the upload just created") from error
