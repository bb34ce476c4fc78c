"""Room for a segment: taken before its body is read, and given back if the body fails.

Guarantee: a request writes a segment only while it has a claim on it, which ends with the request's deadline. A request
that fails gives the room back, unless the segment has arrived by another request or another one is writing it. The
admission worker gives back what a dead gateway had taken, when its claim has ended; a segment whose claim has ended is
not recorded. So no byte on the disk is without room for long, and no room is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from uuid import uuid4

from pipeline.core.errors import RequestError, SluiceError, TempVolumeError
from pipeline.core.lifecycle import ENDED
from pipeline.core.model import Upload
from pipeline.core.windows import reader_segments, room_bytes
from pipeline.logs import Log, logger
from pipeline.ports import EventFeed
from pipeline.tasks import end_tasks
from pipeline.uploads.cell import CellState
from pipeline.uploads.lookup import ended_error
from pipeline.uploads.release import EarlyRelease

_RETRY_AFTER_SECONDS = 1
# A request waits this long for room, unread, before it is refused: a window that empties at the store's speed then
# never waits for its client to come back.
_WAIT_SECONDS = 2.0
# Signals may be lost: the ledger is asked at least this often.
_POLL_SECONDS = 0.25
# Requests of one upload that wait in this process. More are refused at once, so a client cannot make them pile up.
_MOST_WAITING = 16
# What a request may need beside the time for its body: to wait for room, and to record the segment.
_MARGIN_SECONDS = 60.0


class SegmentRoom:
    """Takes and gives back room for the segments of uploads with a window, and of those that have released some. A
    body takes at most `deadline_seconds`."""

    def __init__(self, cell: CellState, feed: EventFeed, release: EarlyRelease, deadline_seconds: float) -> None:
        self._cell = cell
        self._feed = feed
        self._release = release
        self._claim_seconds = deadline_seconds + _MARGIN_SECONDS
        self._lines: dict[str, list[asyncio.Event]] = {}

    async def take(self, upload: Upload, number: int, token: str) -> int | None:
        """Take room for a segment and allocate it; the crc32c if the segment has arrived already. Waits a moment for
        room. If this raises, or returns a crc32c, nothing is taken; otherwise a request that fails calls `abandon`.

        Raises RequestError SEGMENT_WINDOW_FULL; UploadEnded; TempVolumeError; DependencyUnavailable; and for a file
        whose length is not known RequestError FILE_TOO_LARGE_FOR_OWNER; LimitReached OWNER_LIMIT, DAILY_LIMIT."""
        taken = busy = False
        try:
            async with AsyncExitStack() as exits:
                attempts = self._attempts(upload.upload_id)
                async for _ in await exits.enter_async_context(aclosing(attempts)):
                    claim = await self._cell.record.claim_segment(upload, number, token, self._claim_seconds)
                    busy = claim.busy
                    if claim.crc32c is not None:
                        return claim.crc32c
                    if claim.status in ENDED:
                        raise ended_error(await self._cell.uploads.get(upload.upload_id))
                    if claim.claimed:
                        taken = True  # also if the response is lost
                        taken = await self._take(upload, number)
                    if taken:
                        await self._allocate(upload, number)
                        await self._cell.ledger.back(upload.upload_id, number)
                        return None
            if busy:  # otherwise requests that never finish could hold the window for ever
                await self._cell.ledger.renew(upload.upload_id)
            raise window_full(number)
        except BaseException:
            await asyncio.shield(self.abandon(upload, number, token, taken=taken))
            raise

    async def _attempts(self, upload_id: str) -> AsyncGenerator[None, None]:
        """Yields at once. Then the request stands in line for the window, if the line is not too long: the first one
        tries whenever the upload changes, the others now and then, since a segment that has become wanted has room of
        its own. Ends when the request has waited long enough."""
        yield
        line = self._lines.setdefault(upload_id, [])
        if len(line) >= _MOST_WAITING:
            return
        is_first = asyncio.Event()
        line.append(is_first)
        line[0].set()
        try:
            async with self._feed.watch(upload_id) as changes:
                async for _ in self._turns(is_first, changes):
                    yield
        finally:
            line.remove(is_first)
            if line:
                line[0].set()
            else:
                self._lines.pop(upload_id, None)

    async def _turns(self, is_first: asyncio.Event, changes: AsyncIterator[None]) -> AsyncGenerator[None, None]:
        """Yields whenever a request that stands in line is to try again."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _WAIT_SECONDS
        changed, first = asyncio.ensure_future(anext(changes)), asyncio.ensure_future(is_first.wait())
        try:
            yield  # it may have changed before it was watched
            while (left := end - loop.time()) > 0:
                await asyncio.wait({changed if first.done() else first}, timeout=min(left, _POLL_SECONDS))
                if changed.done():
                    changed.result()
                    changed = asyncio.ensure_future(anext(changes))
                yield
        finally:
            await end_tasks(changed, first)

    async def _take(self, upload: Upload, number: int) -> bool:
        # A whole upload has no part for its reader: whatever is missing is needed.
        segments = reader_segments(upload.window_bytes, upload.segment_bytes) if upload.window_bytes else 0
        return await self._cell.ledger.take(
            upload.upload_id,
            number,
            room_bytes(upload.plan, number),
            segment_bytes=upload.segment_bytes,
            reader_segments=segments,
        )

    async def _allocate(self, upload: Upload, number: int) -> None:
        try:
            await self.allocate(upload, number)
        except TempVolumeError as error:
            if error.code != "TEMP_FILE_MISSING":
                raise
            await self.recreate(upload, number)

    async def allocate(self, upload: Upload, number: int) -> None:
        """Set the bytes of a segment aside. Raises TempVolumeError."""
        plan = upload.plan
        await self._cell.volume.allocate_range(upload.upload_id, plan.offset(number), plan.length(number))

    async def recreate(self, upload: Upload, number: int) -> None:
        """The temp file of an upload in flight is gone: its volume was emptied. Begin it again, with room for this
        segment. Raises UploadEnded, TempVolumeError."""
        current = await self._cell.uploads.get(upload.upload_id)
        if current.status in ENDED:
            raise ended_error(current)
        if current.takes_room:
            await self._cell.volume.allocate_sparse(upload.upload_id, upload.plan.size_bytes)
            await self.allocate(upload, number)
        else:
            await self._cell.volume.allocate(upload.upload_id, upload.size_bytes)
        await self._cell.record.begin_journal(current)

    async def abandon(self, upload: Upload, number: int, token: str | None, *, taken: bool) -> None:
        """A request has failed to write a segment, for which it may have `taken` room: remove its bytes and give the
        room back, unless the segment is another request's. A failure is logged only: the admission worker repeats
        it."""
        try:
            left = await self._cell.record.abandon_segment(upload.upload_id, number, token, taken=taken)
            if left.give:
                stored = upload.window_bytes is None
                await self._release.give_back(upload.upload_id, upload.plan, [number], stored=stored)
            elif left.punch:
                await self._release.punch(upload.upload_id, upload.plan, [number])
        except SluiceError as error:
            log = logger(upload_id=upload.upload_id)
            log.warning(Log.RELEASE_DEFERRED, number=number, code=error.code, reason=error.message)


def new_token() -> str:
    """A name for one request's claim."""
    return uuid4().hex


def window_full(number: int) -> RequestError:
    """The error for a segment that finds no room."""
    return RequestError("SEGMENT_WINDOW_FULL", number=number, retry_after_seconds=_RETRY_AFTER_SECONDS)
