"""The room of every cell: of this one from Redis, of the others from /readyz at their public URLs, every two seconds.

Guarantee: a cell that does not respond, is not ready, or says that it is another one, takes no new upload. Between two
readings, the room of a cell shrinks by what this gateway has sent there, so that not all uploads go to one cell. The
task of each cell ends with the block. With one cell there is no task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

from pipeline.core.errors import SluiceError
from pipeline.core.placement import CellRoom
from pipeline.logs import Log, logger
from pipeline.ports import PlainClient, VolumeSnapshot
from pipeline.tasks import end_tasks
from pipeline.telemetry import CELL_READY, CELL_ROOM
from schemas.health import Ready
from schemas.http import Success

POLL_SECONDS: Final = 2.0
"""Between two readings of the room of another cell."""
_RESPONSE_SECONDS: Final = 4.0
FRESH_SECONDS: Final = 0.25
"""For how long the room of this cell is not read again."""
_LIMIT_BYTES: Final = 64 * 1024
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class ReadyCell:
    """A cell that serves requests. `takes`: it is not drained."""

    room: CellRoom
    takes: bool


class CellRooms:
    """The cells that are ready. Entered with `async with`."""

    def __init__(
        self,
        own: int,
        cells: Mapping[int, str],
        client: PlainClient,
        own_room: Callable[[], Awaitable[VolumeSnapshot | None]],
    ) -> None:
        """`own_room`: the counters of this cell's volume; None: it takes nothing, because Redis is unavailable."""
        self.own = own
        self.cells = cells
        self._client = client
        self._own_room = own_room
        self._others: dict[int, ReadyCell | None] = {}
        self._all_read = asyncio.Event()
        self._own_read: tuple[float, ReadyCell | None] = (float("-inf"), None)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        for cell, url in self.cells.items():
            if cell != self.own:
                self._tasks.append(asyncio.create_task(self._poll(cell, url), name=f"room of cell {cell}"))
        if not self._tasks:
            self._all_read.set()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await end_tasks(*self._tasks)

    async def ready(self) -> Mapping[int, ReadyCell]:
        """The cells that are ready, this one too. After the start, waits until each has responded or has not."""
        await self._all_read.wait()
        found = {cell: other for cell, other in self._others.items() if other is not None}
        own = await self._own()
        return found if own is None else {**found, self.own: own}

    def sent(self, cell: int, size_bytes: int) -> None:
        """Note that an upload of `size_bytes` is being created in another cell."""
        other = self._others.get(cell)
        if other is not None:
            room = replace(other.room, available_bytes=max(0, other.room.available_bytes - size_bytes))
            self._others[cell] = replace(other, room=room)

    async def _own(self) -> ReadyCell | None:
        now = asyncio.get_running_loop().time()
        read_at, own = self._own_read
        if now - read_at >= FRESH_SECONDS:
            snapshot = await self._own_room()
            own = None
            if snapshot is not None:
                own = ReadyCell(CellRoom(snapshot.available_bytes, snapshot.waiting), not snapshot.draining)
            self._own_read = (now, own)
        return own

    async def _poll(self, cell: int, url: str) -> None:
        while True:
            try:
                async with asyncio.timeout(_RESPONSE_SECONDS):
                    found, reason = await self._read(cell, url), ""
            except (SluiceError, ValueError, TimeoutError) as error:
                found, reason = None, str(error) or "no response"
            self._note(cell, found, reason)
            await asyncio.sleep(POLL_SECONDS)

    async def _read(self, cell: int, url: str) -> ReadyCell:
        """Raises ValueError for a response that is not one of a ready gateway of this cell; SluiceError."""
        response = await self._client.request("GET", f"{url}/readyz", headers={}, max_bytes=_LIMIT_BYTES)
        if response.status != _OK:
            raise ValueError(f"it responds with the status {response.status}")
        ready = Success[Ready].model_validate_json(response.body).data
        if ready.cell not in (None, cell):
            raise ValueError(f"its URL leads to cell {ready.cell}")
        if ready.room is None:
            raise ValueError("it does not know its room")
        return ReadyCell(CellRoom(ready.room.available, ready.room.waiting), not ready.room.draining)

    def _note(self, cell: int, found: ReadyCell | None, reason: str) -> None:
        before = self._others.get(cell)
        if found is not None and before is None:
            logger(cell=cell).info(Log.CELL_READY)
        elif found is None and (before is not None or cell not in self._others):
            logger(cell=cell).warning(Log.CELL_NOT_READY, reason=reason)
        self._others[cell] = found
        CELL_READY.labels(str(cell)).set(found is not None)
        CELL_ROOM.labels(str(cell)).set(found.room.free_bytes if found is not None and found.takes else 0)
        if len(self._others) == len(self._tasks):
            self._all_read.set()
