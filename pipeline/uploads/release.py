"""Early release: the bytes of stored segments leave the temp volume, and the reservation, while their upload runs.

Guarantee: bytes are removed only when the store has acknowledged them and nothing on this side reads them any more, and
room is given back only when its bytes are removed. A process may die between any two steps: the board keeps what it has
chosen until the last one, and the admission worker repeats them all. The steps:

    1. the board marks the segments: from now on they are read from the store
    2. the journal notes that: recovery does not look for their bytes
    3. their bytes are punched out of the temp file
    4. the ledger gives their room back
    5. the board confirms it: the room may be taken for one of these segments again

A windowed upload releases a segment as soon as it is stored, in the worker that stored it (`segment_stored`). The
admission worker (`run_due`) releases the segments of other uploads once their readers are done, and completes what
others have left: releases, and segments that a request took room for and did not finish.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pipeline.core.errors import RequestError, SluiceError
from pipeline.core.segments import SegmentPlan, to_ranges
from pipeline.core.windows import room_bytes
from pipeline.logs import Log, logger
from pipeline.sweeps import Sweep
from pipeline.telemetry import RELEASED_BYTES
from pipeline.uploads.cell import CellState

# Uploads, and segments of one upload, that one run of the admission worker handles.
_UPLOADS = 200
_SEGMENTS = 1_000


@dataclass(slots=True)
class _Batch:
    """Segments of one upload that wait for one release of all of them."""

    numbers: set[int] = field(default_factory=set)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class EarlyRelease:
    """Releases segments of uploads on one temp volume. Errors: DependencyUnavailable, TempVolumeError."""

    def __init__(self, cell: CellState) -> None:
        self._cell = cell
        self._batches: dict[str, _Batch] = {}

    async def segment_stored(self, upload_id: str, plan: SegmentPlan, number: int) -> None:
        """Release a segment that `UploadRecord.segment_stored` has marked and journaled. Segments that are stored
        meanwhile share one release. A failure is logged only: the admission worker repeats the release."""
        with self._batch(upload_id) as batch:
            batch.numbers.add(number)
            async with batch.turn:
                numbers, batch.numbers = batch.numbers, set()
                if not numbers:  # the release before this one included it
                    return
                try:
                    await self.give_back(upload_id, plan, numbers, stored=True)
                except SluiceError as error:
                    log = logger(upload_id=upload_id)
                    log.warning(Log.RELEASE_DEFERRED, code=error.code, reason=error.message)

    async def run_due(self) -> None:
        """Release what is due, on behalf of the admission worker; nothing on a filesystem that cannot remove ranges of
        a file. An upload that fails does not hold up the others."""
        volume = self._cell.volume.name
        if not await self._cell.volume.can_punch():
            return
        sweep = Sweep(Log.RELEASE_DEFERRED, volume=volume)
        for upload_id in await self._cell.segments.to_release(volume, _UPLOADS):
            with sweep.item(upload_id=upload_id):
                await self.run(upload_id)
        sweep.end()

    async def run(self, upload_id: str) -> None:
        """Release every segment of an upload that may be released now. Idempotent; may run in several processes."""
        order = await self._cell.record.choose_releases(upload_id, self._cell.volume.name, _SEGMENTS)
        if not order.released and not order.unfinished:
            return
        plan = (await self._cell.uploads.get(upload_id)).plan
        await self.give_back(upload_id, plan, order.released.keys(), stored=True)
        # A whole reservation consists of what is on the disk: what it loses must be taken again.
        await self.give_back(upload_id, plan, order.unfinished, stored=not order.windowed)

    async def give_back(self, upload_id: str, plan: SegmentPlan, numbers: Collection[int], *, stored: bool) -> None:
        """Remove the bytes of segments and give their room back. `stored`: they leave the reservation; otherwise the
        window keeps their room."""
        if not numbers:
            return
        await self.punch(upload_id, plan, numbers)
        sizes = {number: room_bytes(plan, number) for number in numbers}
        await self._cell.ledger.give(upload_id, sizes, stored=stored)
        await self._cell.record.segments_given(upload_id, numbers)
        if stored:
            RELEASED_BYTES.inc(sum(sizes.values()))

    async def punch(self, upload_id: str, plan: SegmentPlan, numbers: Collection[int]) -> None:
        """Remove the bytes of segments from the disk. Idempotent."""
        ranges = []
        for first, last in to_ranges(numbers):
            offset = plan.offset(first)
            ranges.append((offset, plan.offset(last) + plan.length(last) - offset))
        if ranges:
            await self._cell.volume.punch(upload_id, ranges)

    async def reconcile(self, upload_id: str) -> None:
        """Remove bytes that nothing accounts for: a request that was writing when its process, or Redis, was lost has
        left them. Does nothing for an upload that has no record. Idempotent."""
        record = self._cell.record
        try:
            plan = (await self._cell.uploads.get(upload_id)).plan
        except RequestError:
            return
        order = await record.unaccounted(upload_id)
        if order.unfinished:
            await self.punch(upload_id, plan, order.unfinished)
            taken = set(await self._cell.ledger.taken(upload_id)).intersection(order.unfinished)
            sizes = {number: room_bytes(plan, number) for number in taken}
            if sizes:
                await self._cell.ledger.give(upload_id, sizes, stored=not order.windowed)
            await record.segments_given(upload_id, taken, all_segments=True)

    @contextmanager
    def _batch(self, upload_id: str) -> Iterator[_Batch]:
        batch = self._batches.setdefault(upload_id, _Batch())
        batch.users += 1
        try:
            yield batch
        finally:
            batch.users -= 1
            if batch.users == 0:
                del self._batches[upload_id]
