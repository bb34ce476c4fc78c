"""The limit on the bytes that segment bodies hold in memory, over all connections of a process.

Guarantee: at most `limit_bytes` are held, except by a single request that is larger. A body may hold bytes while it
waits for its client only while less than three sixteenths of the limit are used; above that every body writes its bytes
at once. Slow clients therefore never hold more than that, and the rest is released as fast as the disk writes.

Above a quarter of the limit, bodies take turns: one that has written its bytes waits, in order of arrival, before
it asks its client for more. So while many bodies arrive, a few of them move at any moment, by large blocks, and what
the others send waits in the kernel. A client that sends nothing in its turn delays the next one by `_TURN_SECONDS` at
most.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from pipeline.telemetry import BUFFERED_BYTES

# What a body is expected to bring when its turn comes, and for how long that is expected: its client may have nothing.
_TURN_BYTES: Final = 256 * 1024
_TURN_SECONDS: Final = 0.02


class ReceiveBuffer:
    """Counts bytes held. Requests are granted in order of arrival."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self.arrived_bytes = 0
        """All bytes that were ever held."""
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()
        BUFFERED_BYTES.set_function(lambda: self._used_bytes)
        self._turns: deque[asyncio.Future[None]] = deque()
        self._expected = 0
        """Bodies whose turn has come, and of which nothing has arrived yet."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def used_bytes(self) -> int:
        return self._used_bytes

    @property
    def is_pressed(self) -> bool:
        """Whether a body must write the bytes that it holds before it waits for more."""
        return self._used_bytes * 16 >= self._limit_bytes * 3

    def is_crowded(self, more_bytes: int) -> bool:
        """Whether as little as possible must be read, if `more_bytes` were read that are not held yet."""
        return (self._used_bytes + more_bytes) * 16 >= self._limit_bytes * 5

    @property
    def _is_busy(self) -> bool:
        """Whether a body must wait for its turn."""
        return (self._used_bytes + self._expected * _TURN_BYTES) * 4 >= self._limit_bytes

    def try_acquire(self, count_bytes: int) -> bool:
        """Hold `count_bytes` more, if that may be done without waiting."""
        if self._queue or not self._fits(count_bytes):
            return False
        self._add(count_bytes)
        self._expected = max(0, self._expected - 1)
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
        self._give_turns()

    async def turn(self) -> None:
        """Wait until a body may ask its client for more."""
        if not self._turns and not self._is_busy:
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        self._give_turns()
        await turn

    def _give_turns(self) -> None:
        given = False
        while self._turns and not self._is_busy:
            turn = self._turns.popleft()
            if not turn.done():  # its request has ended
                turn.set_result(None)
                self._expected += 1
                given = True
        if given and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TURN_SECONDS, self._expect_no_more)

    def _expect_no_more(self) -> None:
        self._timer = None
        self._expected = 0
        self._give_turns()

    def _fits(self, count_bytes: int) -> bool:
        return self._used_bytes == 0 or self._used_bytes + count_bytes <= self._limit_bytes

    def _add(self, count_bytes: int) -> None:
        self._used_bytes += count_bytes
        self.arrived_bytes += max(0, count_bytes)

    def _serve(self) -> None:
        while self._queue and self._fits(self._queue[0][0]):
            count_bytes, turn = self._queue.popleft()
            if not turn.done():
                self._add(count_bytes)
                turn.set_result(None)
