"""The turn to append to an upload: one request at a time, of all gateways, and the newest one wins.

Guarantee: a request that has its turn is the only one that records bytes. An older request is signalled to end, and has
`_GRACE_SECONDS` to record the bytes that it holds; then it may not record anything. So a connection that died, or the
gateway that served it, delays the next request by that time at most, and leaves no lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from pipeline.core.errors import DependencyUnavailable, RequestError, SluiceError
from pipeline.core.tail import Tail
from pipeline.logs import Log, logger
from pipeline.ports import AppendBegun, AppendReader, EventFeed
from pipeline.tasks import end_tasks
from pipeline.uploads.body_reader import BodyReader
from pipeline.uploads.cell import CellState
from pipeline.uploads.changes import changes_of
from pipeline.uploads.room import new_token

_GRACE_SECONDS = 3.0
_POLL_SECONDS = 0.25
# Most appends are over by then, and are not looked after.
_WATCHED_AFTER_SECONDS = 0.5
_KINDS = ("append",)


@dataclass(slots=True)
class Turn:
    """One request's turn. `tail` is what it leaves: the tail that it found, until it records another one. `waited`: it
    has found no room. `superseded`: a newer request has asked for its turn. `reading`: reads the request's body."""

    upload_id: str
    token: str
    found: AppendBegun
    tail: Tail | None = None
    waited: bool = False
    superseded: bool = False
    reading: BodyReader | None = None

    def supersede(self) -> None:
        """End the read that waits for the body, if there is one."""
        self.superseded = True
        if self.reading is not None:
            self.reading.interrupt()

    def require(self) -> None:
        """Raises RequestError APPEND_SUPERSEDED."""
        if self.superseded:
            raise RequestError("APPEND_SUPERSEDED", retry_after_seconds=1)


class AppendTurns:
    """Turns of the uploads of one cell. Errors: DependencyUnavailable."""

    def __init__(self, cell: CellState, reader: AppendReader, feed: EventFeed) -> None:
        self._cell = cell
        self._record = cell.record
        self._reader = reader
        self._feed = feed

    @asynccontextmanager
    async def take(self, upload_id: str) -> AsyncIterator[Turn]:
        """Have the turn while the block runs. Afterwards its `tail` is recorded, if it is another one. Raises
        RequestError UPLOAD_NOT_FOUND, APPEND_SUPERSEDED."""
        token = new_token()
        try:
            found = await self._begin(upload_id, token)
        except BaseException:
            await self._end(upload_id, token)
            raise
        turn = Turn(upload_id, token, found, found.tail)
        if not found.takes:
            yield turn
            return
        watcher = asyncio.create_task(self._watch(turn))
        try:
            yield turn
        finally:
            await asyncio.shield(self._finish(turn, watcher))

    async def _begin(self, upload_id: str, token: str) -> AppendBegun:
        begun = await self._record.begin_append(upload_id, token, first=True, force=False)
        if isinstance(begun, AppendBegun):
            return begun
        loop = asyncio.get_running_loop()
        grace_end = loop.time() + _GRACE_SECONDS
        async with changes_of(self._feed, upload_id, _KINDS) as changed:
            while not isinstance(begun, AppendBegun):
                if begun.superseded:
                    raise RequestError("APPEND_SUPERSEDED", retry_after_seconds=1)
                await changed(_POLL_SECONDS)
                force = loop.time() >= grace_end
                begun = await self._record.begin_append(upload_id, token, first=False, force=force)
        return begun

    async def _watch(self, turn: Turn) -> None:
        """Supersede the turn when a newer request asks. While Redis is unavailable, nothing is found out: a newer
        request cannot ask either."""
        await asyncio.sleep(_WATCHED_AFTER_SECONDS)
        async with changes_of(self._feed, turn.upload_id, _KINDS) as changed:
            while not turn.superseded:
                with suppress(DependencyUnavailable):
                    if await self._reader.appender(turn.upload_id) not in (turn.token, None):
                        turn.supersede()
                        return
                await changed(_GRACE_SECONDS / 2)

    async def _finish(self, turn: Turn, watcher: asyncio.Task[None]) -> None:
        await end_tasks(watcher)
        if turn.tail is None or turn.tail == turn.found.tail:
            await self._end(turn.upload_id, turn.token, waited=turn.waited)
            return
        try:
            if not turn.tail.held:
                await self._cell.volume.flush(turn.upload_id)
            await asyncio.gather(
                self._record.tail_left(turn.upload_id, turn.token, turn.found.run, turn.tail),
                self._cell.ledger.note_progress(turn.upload_id),
            )
        except SluiceError as error:  # its bytes are sent again
            logger(upload_id=turn.upload_id).warning(Log.TAIL_LOST, code=error.code, reason=error.message)

    async def _end(self, upload_id: str, token: str, *, waited: bool = False) -> None:
        with suppress(SluiceError):  # the next request waits for the grace period
            await self._record.end_append(upload_id, token, waited=waited)
