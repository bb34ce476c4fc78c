"""Seal: writes the manifest over an upload's segments. The manifest is the file: nothing is merged, now or on download.
A file of one segment is an object already. If stage `transfer` has stored it a moment ago, and compared its digest with
the one in the store's response, nothing is asked of the store; otherwise the object is looked at.

If the store does not have a segment as it acknowledged it, the segment is transferred again from the temp file or, if
its bytes were released, requested from the client again, and the seal waits for it.

Where the store keeps a CRC-32C of the whole object, it is compared with the one that is combined from the segments as
they arrived. If they differ, the upload fails with OBJECT_DIGEST_WRONG, and the object is kept for an operator.
"""

from __future__ import annotations

from pipeline.core.errors import StoreError
from pipeline.core.model import Upload
from pipeline.core.stages import Stage
from pipeline.core.stored_objects import StoredObject
from pipeline.core.transports import Transport
from pipeline.engine.contract import Blocked, Done, Outcome, StageRun
from pipeline.engine.drain import drained
from pipeline.ports import SegmentReads, Stores
from pipeline.stages.checksums import with_crc32c
from pipeline.stages.stored_object import stored_to_data
from pipeline.stages.whole import make_whole
from pipeline.uploads.cell import CellState
from pipeline.uploads.target import open_target

# A store that keeps losing acknowledged segments is not given further attempts.
_MAX_REFUSALS = 5


# Between the end of stage `transfer` and this run. What happens to the object later is as unlikely to be noticed by one
# look at it as what happens after this stage.
_MOMENT_MS = 10_000


class Seal:
    """The handler of stage `seal`. Its result is the sealed object."""

    def __init__(self, cell: CellState, stores: Stores) -> None:
        self._cell = cell
        self._stores = stores

    async def __call__(self, run: StageRun) -> Outcome:
        upload = run.upload
        stored = await self._cell.segments.stored(upload)
        if len(stored) != upload.plan.count:
            raise StoreError("MANIFEST_REFUSED", reason=f"{len(stored)} of {upload.plan.count} segments are stored")
        store = self._stores.named(upload.store)
        target = await open_target(upload, store, self._cell.record)
        if upload.parts and upload.plan.count == 1 and isinstance(store, SegmentReads):  # others copy it themselves
            return Done(stored_to_data(await drained(make_whole(store, target, stored[0]))))
        try:
            sealing = store.seal(target, stored, acknowledged=_just_transferred(run))
            return Done(stored_to_data(await self._compared(upload, await drained(sealing))))
        except StoreError as error:
            refused = error.detail.get("segments")
            on_volume = upload.transport is Transport.GATEWAY  # other transports have no temp file to transfer from
            if not refused or not on_volume or upload.stages[run.job.stage].own_attempt >= _MAX_REFUSALS:
                raise
            # Its client may have to send segments again: the lease may have lapsed while nothing was expected of it.
            await self._cell.ledger.renew(upload.upload_id)
            return Blocked(await self._cell.record.segments_gone(run.job, refused))

    async def _compared(self, upload: Upload, sealed: StoredObject) -> StoredObject:
        """The object, as it is. Raises StoreError OBJECT_DIGEST_WRONG."""
        if sealed.crc32c is not None:
            arrived = (await with_crc32c(self._cell.segments, upload, sealed)).crc32c
            if arrived is not None and arrived != sealed.crc32c:
                raise StoreError(
                    "OBJECT_DIGEST_WRONG", key=sealed.key, stored=f"{sealed.crc32c:08x}", arrived=f"{arrived:08x}"
                )
        return sealed


def _just_transferred(run: StageRun) -> bool:
    """This is the first attempt, and it follows stage `transfer` at once. Redis' clock has set both times."""
    stages = run.upload.stages
    own, transfer = stages[run.job.stage], stages.get(Stage.TRANSFER)
    if run.upload.transport is not Transport.GATEWAY or own.attempt > 1 or transfer is None:
        return False
    if own.since_ms is None or transfer.finished_at_ms is None:
        return False
    return own.since_ms - transfer.finished_at_ms <= _MOMENT_MS
