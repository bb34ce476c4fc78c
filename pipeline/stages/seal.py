"""Seal: writes the manifest over an upload's segments. The manifest is the file; nothing is merged, now or at
download."""

from __future__ import annotations

from pipeline.core.errors import StoreError
from pipeline.ports import ObjectStore, SegmentBoard
from pipeline.stages.run import Done, Outcome, StageRun
from pipeline.stages.stored import stored_to_data
from pipeline.stages.transfer import open_target


class Seal:
    """The handler of stage `seal`."""

    def __init__(self, segments: SegmentBoard, store: ObjectStore) -> None:
        self._segments = segments
        self._store = store

    async def __call__(self, run: StageRun) -> Outcome:
        upload = run.upload
        stored = await self._segments.stored(upload)
        if len(stored) != upload.plan.count:
            raise StoreError("MANIFEST_REFUSED", reason=f"{len(stored)} of {upload.plan.count} segments are stored")
        target = await open_target(upload, self._store, self._segments)
        return Done(stored_to_data(await self._store.seal(target, stored)))
