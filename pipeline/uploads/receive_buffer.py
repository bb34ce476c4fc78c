"""The limit on the bytes that segment bodies hold in memory, over all connections of a process.

Guarantee: at most `limit_bytes` are held, except by a single request that is larger. A body may hold bytes while it
waits for its client only while less than half of the limit is used; above that every body writes its bytes at once.
Slow clients therefore never hold more than half of the limit, and the other half is released as fast as the disk
writes: no client waits for a slower one.
"""

from __future__ import annotations

import asyncio
from collections import deque

from pipeline.telemetry import BUFFERED_BYTES


class ReceiveBuffer:
    """Counts bytes held. Requests are granted in order of arrival."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()
        BUFFERED_BYTES.set_function(lambda: self._used_bytes)

    @property
    def used_bytes(self) -> int:
        return self._used_bytes

    @property
    def is_pressed(self) -> bool:
        """Whether a body must write the bytes that it holds before it waits for more."""
        return self._used_bytes * 2 >= self._limit_bytes

    def try_acquire(self, count_bytes: int) -> bool:
        """Hold `count_bytes` more, if that may be done without waiting."""
        if self._queue or not self._fits(count_bytes):
            return False
        self._add(count_bytes)
        return True

    async def acquire(self, count_bytes: int) -> None:
        """Wait until `count_bytes` more may be held. A request above the limit is granted once nothing else is held."""
        if self.try_acquire(count_bytes):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((count_bytes, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(count_bytes)
            else:
                self._queue = deque(item for item in self._queue if item[1] is not turn)
                self._serve()
            raise

    def release(self, count_bytes: int) -> None:
        """Release `count_bytes` and grant the requests that now fit."""
        self._add(-count_bytes)
        self._serve()

    def _fits(self, count_bytes: int) -> bool:
        return self._used_bytes == 0 or self._used_bytes + count_bytes <= self._limit_bytes

    def _add(self, count_bytes: int) -> None:
        self._used_bytes += count_bytes

    def _serve(self) -> None:
        while self._queue and self._fits(self._queue[0][0]):
            count_bytes, turn = self._queue.popleft()
            if not turn.done():
                self._add(count_bytes)
                turn.set_result(None)
