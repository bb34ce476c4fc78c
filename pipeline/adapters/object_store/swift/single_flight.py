"""One task that many callers wait for.

Guarantee: the work runs at most once at a time, however many callers join it; a cancelled caller does not cancel it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from pipeline.tasks import end_tasks

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs `work` in a separate task."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]], name: str) -> None:
        self._work = work
        self._name = name
        self._task: asyncio.Task[T] | None = None

    def start(self) -> asyncio.Task[T]:
        """The running task, started now if there is none. Its exception counts as retrieved."""
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name=self._name)
            self._task.add_done_callback(self._ended)
        return self._task

    async def join(self) -> T:
        """The result of the running task, started now if there is none. Raises what the work raises."""
        return await asyncio.shield(self.start())

    async def aclose(self) -> None:
        """Cancel a running task. Idempotent."""
        await end_tasks(self._task)

    def _ended(self, task: asyncio.Task[T]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()
