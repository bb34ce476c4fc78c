"""Concatenation: partial uploads, and the final upload that joins them to one file. No byte of them is sent again.

Guarantee: the segments of a partial upload belong to one upload at any time: to itself, or to the final upload that
took them over in the step that created it. So nothing that a final upload consists of is removed before it, and its
end, or the deletion of its content, removes all of it.

A partial upload is stored as its bytes arrive and gives its room on the temp volume back. When the store has all of it,
it is `held` until a final upload names it or it expires. Its client may name it as soon as its last byte has arrived:
the request is held until the store has that, too. The order in which a final upload names them is that of the bytes.

The segments of a partial upload are objects of their own in every store. A manifest names them where they are (Swift,
the filesystem); on S3, the store copies them to the object, and they are removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from pipeline.core.access import Caller
from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import Part, Upload, plan_of
from pipeline.core.transports import Transport
from pipeline.ports import EventFeed, Stores
from pipeline.uploads.cell import CellState
from pipeline.uploads.changes import changes_of
from pipeline.uploads.create import CreationRules, UploadCreation
from pipeline.uploads.lookup import UploadDetail, ended_error, find_upload
from pipeline.uploads.ownership import Ownership
from schemas.uploads import CreateUpload

_POLL_SECONDS = 1.0
_RETRY_AFTER_SECONDS = 1


class Concatenation:
    """Creates partial and final uploads of one cell. A final upload waits for its parts for up to `hold_seconds`."""

    def __init__(
        self,
        cell: CellState,
        creation: UploadCreation,
        ownership: Ownership,
        stores: Stores,
        rules: CreationRules,
        feed: EventFeed,
        hold_seconds: float,
    ) -> None:
        self._cell = cell
        self._creation = creation
        self._ownership = ownership
        self._stores = stores
        self._rules = rules
        self._feed = feed
        self._hold_seconds = hold_seconds

    async def create_partial(
        self, request: CreateUpload, idempotency_key: str | None, caller: Caller, *, deferred: bool = False
    ) -> tuple[UploadDetail, bool]:
        """Register a partial upload and admit it if there is room; False if `idempotency_key` was known. `deferred`: as
        in `UploadCreation.plan`. Raises as `UploadCreation.create`."""
        joins = (Transport.PARTIAL, "partial")
        new = await self._creation.plan(request, idempotency_key, caller, joins, deferred=deferred)
        return await self._creation.register(new)

    async def parts(self, upload_ids: Sequence[str], caller: Caller) -> Sequence[Upload]:
        """The partial uploads of these ids, once the store has all of each. They are this caller's, and none occurs
        twice. One that was joined before is returned too: `create_final` knows whether to the same file.

        Raises RequestError UPLOAD_NOT_FOUND, UPLOAD_NOT_PARTIAL, PARTIAL_UPLOAD_INCOMPLETE, PARTIAL_UPLOADS_NOT_STORED;
        UploadEnded; DependencyUnavailable UPLOAD_RECOVERING."""
        for upload_id in upload_ids:
            await self._ownership.require(upload_id, caller.owner)
            if caller.permit is not None:
                await self._ownership.require_permit(upload_id, caller.permit.permit_id)
        for upload_id in upload_ids:  # what can never succeed is refused before anything is waited for
            _require_joinable(await self._find(upload_id))
        end = asyncio.get_running_loop().time() + self._hold_seconds
        return [await self._stored(upload_id, end) for upload_id in upload_ids]

    async def create_final(
        self,
        request: CreateUpload,
        parts: Sequence[Upload],
        concat: str,
        idempotency_key: str | None,
        caller: Caller,
    ) -> tuple[UploadDetail, bool]:
        """Register the upload that consists of `parts`, whose size `request` has; False if it exists already, because
        `idempotency_key` or these parts are known. `concat`: the header field that names them.

        Raises RequestError TOO_MANY_SEGMENTS, CONCATENATION_NOT_SUPPORTED, PARTIAL_UPLOAD_USED,
        PARTIAL_UPLOADS_NOT_STORED, UPLOAD_NOT_FOUND, and as `UploadCreation.create`."""
        joined = tuple(Part(part.upload_id, part.size_bytes, part.segment_bytes) for part in parts)
        plan = plan_of(request.size, 1, joined)
        limit = (await self._stores.named(self._rules.store).limits()).max_segments
        if plan.count > limit:
            raise RequestError("TOO_MANY_SEGMENTS", segment_count=plan.count, limit=limit)
        if any(part.store != self._rules.store for part in parts):  # the operator has changed it meanwhile
            raise RequestError("CONCATENATION_NOT_SUPPORTED")
        new = await self._creation.plan(request, idempotency_key, caller, (Transport.FINAL, concat))
        return await self._creation.register(replace(new, parts=joined, segment_bytes=plan.segment_bytes))

    async def _find(self, upload_id: str) -> Upload:
        return await find_upload(self._cell.uploads, self._cell.journals, upload_id)

    async def _stored(self, upload_id: str, end: float) -> Upload:
        """Wait until the store has all of a partial upload, until `end` of the loop's clock at the latest."""
        upload = await self._find(upload_id)
        if upload.status is not Status.PROCESSING:
            return _require_joinable(upload)
        async with changes_of(self._feed, upload_id) as changed:
            while True:
                upload = _require_joinable(await self._find(upload_id))
                if upload.status is not Status.PROCESSING:
                    return upload
                left = end - asyncio.get_running_loop().time()
                if left <= 0:
                    raise RequestError(
                        "PARTIAL_UPLOADS_NOT_STORED", upload_id=upload_id, retry_after_seconds=_RETRY_AFTER_SECONDS
                    )
                await changed(min(left, _POLL_SECONDS))


def _require_joinable(upload: Upload) -> Upload:
    """Raises unless every byte of this partial upload has arrived."""
    if upload.transport is not Transport.PARTIAL:
        raise RequestError("UPLOAD_NOT_PARTIAL", upload_id=upload.upload_id)
    if upload.status in ENDED and upload.status is not Status.JOINED:
        raise ended_error(upload)
    if upload.status not in (Status.PROCESSING, Status.HELD, Status.JOINED):
        raise RequestError(
            "PARTIAL_UPLOAD_INCOMPLETE",
            upload_id=upload.upload_id,
            bytes_received=upload.bytes_received + upload.tail_bytes,
            size_bytes=upload.size_bytes,
        )
    return upload
