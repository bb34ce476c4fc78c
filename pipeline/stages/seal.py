"""Seal: writes the manifest over an upload's segments. The manifest is the file; nothing is merged, now or at download.

Segments that the store turns out not to have as it acknowledged them are put again from the temp file, which is still
there; the seal waits for them.
"""

from __future__ import annotations

from pipeline.core.errors import StoreError
from pipeline.core.journal import Gone
from pipeline.core.transports import Transport
from pipeline.engine.contract import Blocked, Done, Outcome, StageRun
from pipeline.engine.drain import landed
from pipeline.ports import SegmentBoard, Stores, UploadJournals
from pipeline.stages.stored_object import stored_to_data
from pipeline.uploads.target import open_target

# A store that keeps losing what it has acknowledged is not to be trusted with more tries.
_MAX_REFUSALS = 5


class Seal:
    """The handler of stage `seal`."""

    def __init__(self, segments: SegmentBoard, stores: Stores, journals: UploadJournals) -> None:
        self._segments = segments
        self._stores = stores
        self._journals = journals

    async def __call__(self, run: StageRun) -> Outcome:
        upload = run.upload
        stored = await self._segments.stored(upload)
        if len(stored) != upload.plan.count:
            raise StoreError("MANIFEST_REFUSED", reason=f"{len(stored)} of {upload.plan.count} segments are stored")
        store = self._stores.named(upload.store)
        target = await open_target(upload, store, self._segments, self._journals)
        try:
            return Done(stored_to_data(await landed(store.seal(target, stored))))
        except StoreError as error:
            refused = error.detail.get("segments")
            mine = run.upload.transport is Transport.GATEWAY  # what a client has sent itself, we have not to put again
            if not refused or not mine or run.upload.stages[run.job.stage].own_attempt >= _MAX_REFUSALS:
                raise
            await self._journals.note(upload.upload_id, *map(Gone, refused))
            return Blocked(await self._segments.requeue_segments(run.job, refused))
