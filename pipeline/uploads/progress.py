"""Renews an upload's lease while a body makes progress, so that an upload with a slow first segment does not expire.

Guarantee: the lease is renewed only by bytes that have arrived: after each 256 KiB, or each eighth of a shorter
segment, and at most once in five seconds. A body that stalls renews nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from pipeline.core.errors import DependencyUnavailable

_STEP_BYTES = 256 * 1024
_STEPS = 8
_PAUSE_SECONDS = 5.0


class Progress:
    """The progress of the body of a segment of `size_bytes`. `renew` renews the lease."""

    def __init__(
        self, size_bytes: int, renew: Callable[[], Awaitable[None]], pause_seconds: float = _PAUSE_SECONDS
    ) -> None:
        self._step_bytes = min(_STEP_BYTES, max(1, size_bytes // _STEPS))
        self._renew = renew
        self._pause_seconds = pause_seconds
        self._clock = asyncio.get_running_loop().time
        self._arrived_bytes = 0
        self._renewed_at = self._clock()

    def is_due(self, count_bytes: int) -> bool:
        """`count_bytes` more have arrived: whether to renew the lease now."""
        self._arrived_bytes += count_bytes
        if self._arrived_bytes < self._step_bytes:
            return False
        return self._clock() - self._renewed_at >= self._pause_seconds

    async def renew(self) -> None:
        """Renew the lease. While Redis is unavailable, the body continues."""
        with suppress(DependencyUnavailable):
            await self._renew()
        self._arrived_bytes, self._renewed_at = 0, self._clock()
