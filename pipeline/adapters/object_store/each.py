"""Many requests of one operation, such as the removal of many segments.

Guarantee: a request that fails does not keep the others from being sent. The first error is raised when all have ended.
Only when many in a row fail is the store taken for unavailable, and the rest is not sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from pipeline.adapters.object_store.guard import only_sluice_errors
from pipeline.core.errors import SluiceError

T = TypeVar("T")

_FAILURES_IN_A_ROW = 32


async def each_of(items: Iterable[T], work: Callable[[T], Awaitable[object]], at_once: int = 1) -> None:
    """Run `work` for every item, `at_once` at a time. Raises the first error, after the last item."""
    queue = iter(items)
    errors: list[SluiceError] = []
    in_a_row = 0

    async def worker() -> None:
        nonlocal in_a_row
        for item in queue:
            try:
                with only_sluice_errors("request"):
                    await work(item)
            except SluiceError as error:
                errors.append(error)
                in_a_row += 1
            else:
                in_a_row = 0
            if in_a_row >= _FAILURES_IN_A_ROW:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    if errors:
        raise errors[0]
