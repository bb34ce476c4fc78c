"""Adoption: the reservation of a temp file is made again from its journal when Redis has lost it.

Guarantee: what is reserved is what the disk holds. Bytes of segments that were released, and bytes that no received
segment of a window, nor its tail, accounts for, are removed first. Every step may be repeated.
"""

from __future__ import annotations

from pipeline.core.errors import TempVolumeError
from pipeline.core.journal import Journal
from pipeline.core.journal_size import journal_bytes
from pipeline.core.model import Upload
from pipeline.core.segments import to_ranges
from pipeline.core.windows import on_disk_bytes, room_bytes
from pipeline.uploads.cell import CellState
from pipeline.uploads.release import EarlyRelease


class Adoption:
    """Temp files of uploads on one temp volume. Errors: DependencyUnavailable, TempVolumeError."""

    def __init__(self, cell: CellState, release: EarlyRelease) -> None:
        self._cell = cell
        self._release = release

    async def exists(self, journal: Journal) -> bool:
        """Whether there is a temp file. One without which released segments would count as missing is begun again, and
        one whose length has become known is cut off at it."""
        upload_id, size_bytes = journal.new.upload_id, journal.plan.size_bytes
        if journal.planned:
            await self._cell.volume.shorten(upload_id, size_bytes)
        try:
            await self._cell.volume.verify(upload_id, size_bytes)
        except TempVolumeError as error:
            if error.code != "TEMP_FILE_MISSING":
                raise
            if not journal.released or journal.ended is not None:
                return False
            await self._cell.volume.allocate_sparse(upload_id, size_bytes)
        return True

    async def adopt(self, journal: Journal) -> bool:
        """Reserve the bytes of a temp file whose reservation is lost: all of it, or the segments that have arrived and
        were not released. False: it has a reservation, or there is no temp file."""
        new, plan = journal.new, journal.plan
        standing = await self._cell.ledger.standing(new.upload_id)
        if (standing is not None and standing.queue_position == 0) or not await self.exists(journal):
            return False
        given = {number: room_bytes(plan, number) for number in {*journal.released, *journal.expected}}
        if new.window_bytes is None and not given:
            backed_bytes = await self._cell.volume.allocate(new.upload_id, new.size_bytes)
            await self._cell.ledger.adopt(
                new.upload_id,
                on_disk_bytes(new.size_bytes),
                backed_bytes,
                owner=new.owner,
                journal_bytes=journal_bytes(new),
            )
            return True
        everything = set(range(1, plan.count + 1))
        tail = {journal.tail.number} if journal.tail else set()
        held = (set(journal.received) | tail if new.window_bytes else everything).difference(given)
        await self._release.punch(new.upload_id, plan, everything.difference(held))
        for first, last in to_ranges(held):
            size_bytes = plan.offset(last) + plan.length(last) - plan.offset(first)
            await self._cell.volume.allocate_range(new.upload_id, plan.offset(first), size_bytes)
        occupied = on_disk_bytes(plan.size_bytes)
        taken = {number: room_bytes(plan, number) for number in held} if new.window_bytes else None
        backed_bytes = sum(taken.values()) if taken is not None else occupied - sum(given.values())
        await self._cell.ledger.adopt(
            new.upload_id,
            occupied,
            backed_bytes,
            min(new.window_bytes, occupied) if new.window_bytes else None,  # no file needs more than it has
            owner=new.owner,
            journal_bytes=journal_bytes(new),
            taken=taken,
            given=given,
        )
        return True

    async def take(self, upload: Upload, number: int) -> bool:
        """Take the room of a segment whose bytes are on the disk. False: there is none, and its client sends it
        again."""
        taken = await self._cell.ledger.take(
            upload.upload_id,
            number,
            room_bytes(upload.plan, number),
            segment_bytes=upload.segment_bytes,
            reader_segments=0,  # no part of the window has to stay free for bytes that are there
        )
        if taken:
            await self._cell.ledger.back(upload.upload_id, number)
        return taken
