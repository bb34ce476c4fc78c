"""Reads the blocks of a body, with one timer for all of it.

Guarantee: a read that has waited for `stall_seconds`, or that is interrupted, ends with TimeoutError, and with nothing
else. No other await of the task that reads is touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from pipeline.uploads.progress import Progress


class BodyReader:
    """The blocks of one body, read by the task that enters this context manager. `progress` learns of each block."""

    def __init__(self, body: AsyncIterator[bytes], stall_seconds: float, progress: Progress | None = None) -> None:
        self._body = body
        self._stall_seconds = stall_seconds
        self._progress = progress
        self._clock = asyncio.get_running_loop().time
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waits_since: float | None = None
        self._is_cut = False
        """The read that waits was cancelled here."""

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._look_in(self._stall_seconds)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def next(self) -> bytes | None:
        """The next block; None at the body's end. Raises TimeoutError, and what the body raises."""
        task = self._task
        if task is None:
            raise RuntimeError("a BodyReader must be entered with `with` first")
        cancels = task.cancelling()
        self._waits_since = self._clock()
        try:
            block = await anext(self._body, None)
        except asyncio.CancelledError as error:
            # As `asyncio.Timeout` does: if somebody else has cancelled the task too, that counts.
            if self._is_cut and task.uncancel() <= cancels:
                raise TimeoutError from error
            raise
        finally:
            self._waits_since = None
            self._is_cut = False
        if block is not None and self._progress is not None and self._progress.is_due(len(block)):
            await self._progress.renew()
        return block

    def interrupt(self) -> None:
        """End the read that waits, if there is one."""
        if self._task is not None and self._waits_since is not None and not self._is_cut:
            self._is_cut = True
            self._task.cancel()

    def _look_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """Interrupt a read that has waited too long, or look again when one may have."""
        now = self._clock()
        left = self._stall_seconds - (now - self._waits_since if self._waits_since is not None else 0.0)
        if left > 0:
            self._look_in(left)
        else:
            self.interrupt()
            self._look_in(self._stall_seconds)
