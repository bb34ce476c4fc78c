"""What SIGINT, SIGTERM and SIGHUP mean to `sluice up`, in each of its phases.

Guarantee: no moment is without an answer. While servers start, a signal raises KeyboardInterrupt; while it serves, it
ends the waiting; while it stops, a second one is ignored, because stopping ends by itself and in time.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """A context manager around the whole run; to be entered in the main thread."""

    def __init__(self) -> None:
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._came: asyncio.Event | None = None
        self._before: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def ignore(self) -> None:
        """From now on everything is being stopped."""
        self._stopping = True

    async def wait(self) -> None:
        """Returns when a signal comes."""
        self._loop, self._came = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self._came.wait()
        finally:
            self._loop = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            return
        if self._loop is not None and self._came is not None:
            self._loop.call_soon_threadsafe(self._came.set)
        else:
            raise KeyboardInterrupt
