"""Renews an upload's lease while a body makes progress, so that an upload with a slow first segment does not expire.

Guarantee: the lease is renewed only by bytes that have arrived: after each 256 KiB, or each eighth of a shorter
segment, and at most once in five seconds. A body that stalls renews nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from pipeline.core.errors import DependencyUnavailable

_STEP_BYTES = 256 * 1024
_STEPS = 8
_PAUSE_SECONDS = 5.0


async def renewing(
    body: AsyncIterator[bytes],
    size_bytes: int,
    renew: Callable[[], Awaitable[None]],
    pause_seconds: float = _PAUSE_SECONDS,
) -> AsyncIterator[bytes]:
    """The blocks of the body of a segment of `size_bytes`. Calls `renew` as the body makes progress; if Redis is
    unavailable, the body continues."""
    loop = asyncio.get_running_loop()
    step_bytes = min(_STEP_BYTES, max(1, size_bytes // _STEPS))
    arrived, renewed_at = 0, loop.time()
    async for block in body:
        arrived += len(block)
        if arrived >= step_bytes and loop.time() - renewed_at >= pause_seconds:
            with suppress(DependencyUnavailable):
                await renew()
            arrived, renewed_at = 0, loop.time()
        yield block
