"""Retrying a store request within one run of a stage, before the stage's own retry with its longer delays.

`core.retry` decides; this module waits. It is the one place that does so for store requests.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pipeline.core.errors import StoreUnavailable
from pipeline.core.retry import GiveUp, RetryPolicy, decide

T = TypeVar("T")


class StoreRetries:
    """Counts consecutive failures of one piece of work. Once `stop` is set, the next failure is final."""

    def __init__(self, policy: RetryPolicy, stop: asyncio.Event | None = None) -> None:
        self._policy = policy
        self._stop = stop
        self._failures = 0

    def progressed(self) -> None:
        """The next failure counts as the first one."""
        self._failures = 0

    async def wait_after(self, error: StoreUnavailable) -> None:
        """Return when the work may be tried again; raises `error` when it may not."""
        self._failures += 1
        decision = decide(error, self._failures, self._policy, random.random())
        if isinstance(decision, GiveUp) or (self._stop is not None and self._stop.is_set()):
            raise error
        await asyncio.sleep(decision.seconds)


async def retry_store(call: Callable[[], Awaitable[T]], policy: RetryPolicy, stop: asyncio.Event | None = None) -> T:
    """The result of `call`, which is repeated after StoreUnavailable as `policy` allows. Raises what `call` raises."""
    retries = StoreRetries(policy, stop)
    while True:
        try:
            return await call()
        except StoreUnavailable as error:
            await retries.wait_after(error)
