"""How `sluice up` handles SIGINT, SIGTERM and SIGHUP in each of its phases.

Guarantee: every phase handles them. While servers start, a signal raises KeyboardInterrupt. While Sluice serves, it
ends `wait`. While everything stops, further signals are ignored, because stopping takes a bounded time.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """A context manager around the whole run. Enter it in the main thread."""

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
        """Ignore further signals: everything is being stopped."""
        self._stopping = True

    async def wait(self) -> None:
        """Return when a signal arrives."""
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
