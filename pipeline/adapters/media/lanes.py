"""A lane: how many files are read at once.

Guarantee: at most `slots` holders use the CPU at a time, first come, first served. A holder that waits for bytes gives
its slot to another one meanwhile, and is served before those that have not begun.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pipeline.adapters.media.faults import tool_failed


class Lane:
    """Hands out `slots`. `name` is for logs and metrics."""

    def __init__(self, name: str, slots: int) -> None:
        self.name = name
        self._free = slots
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def slot(self, patience_seconds: float) -> AsyncIterator[Slot]:
        """Holds a slot while the block runs, except while it is paused. Raises MEDIA_TOOL_FAILED if none becomes free
        within `patience_seconds`."""
        try:
            async with asyncio.timeout(patience_seconds):
                await self.take(first=False)
        except TimeoutError as error:
            raise tool_failed(f"every slot for {self.name} files was in use for {patience_seconds:g} s") from error
        slot = Slot(self)
        try:
            yield slot
        finally:
            if slot.held:
                self.give()

    async def take(self, *, first: bool) -> None:
        """`first`: before all others that wait."""
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        (self._waiting.appendleft if first else self._waiting.append)(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()
            raise

    def give(self) -> None:
        """To the one who waits first, else it is free."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Slot:
    """One holder's slot."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self.held = True

    def pause(self) -> None:
        """Give it to others."""
        self.held = False
        self._lane.give()

    async def resume(self) -> None:
        await self._lane.take(first=True)
        self.held = True


class Deferred:
    """Counts the jobs that use no CPU for a while: their readings wait, or they wait for bytes to read. `listeners` are
    called whenever the number grows."""

    def __init__(self) -> None:
        self._count = 0
        self.listeners: list[Callable[[], None]] = []

    def count(self) -> int:
        return self._count

    @asynccontextmanager
    async def counted(self) -> AsyncIterator[None]:
        self._count += 1
        for listener in self.listeners:
            listener()
        try:
            yield
        finally:
            self._count -= 1
