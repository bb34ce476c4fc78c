"""Which bodies renew the lease of their upload."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from pipeline.core.errors import DependencyUnavailable
from pipeline.uploads.progress import renewing

pytestmark = pytest.mark.unit

KIB = 1024


async def blocks(sizes: Iterable[int]) -> AsyncIterator[bytes]:
    for size in sizes:
        yield bytes(size)


class Lease:
    def __init__(self, error: Exception | None = None) -> None:
        self.renewed, self.error = 0, error

    async def renew(self) -> None:
        self.renewed += 1
        if self.error:
            raise self.error


@pytest.mark.parametrize(
    ("segment_bytes", "sizes", "renewals"),
    [
        (10_240 * KIB, [64 * KIB] * 16, 4),
        (10_240 * KIB, [64 * KIB] * 3, 0),
        (10_240 * KIB, [KIB] * 255, 0),
        (10_240 * KIB, [KIB] * 256, 1),
        (80 * KIB, [KIB] * 80, 8),  # a short segment, sent slowly, has steps of its own
        (7, [1] * 7, 7),
        (1, [], 0),  # it never sends
    ],
)
async def test_each_step_of_progress_renews_it(segment_bytes: int, sizes: list[int], renewals: int) -> None:
    lease = Lease()
    received = [block async for block in renewing(blocks(sizes), segment_bytes, lease.renew, pause_seconds=0)]
    assert [len(block) for block in received] == sizes
    assert lease.renewed == renewals


async def test_a_fast_body_renews_it_now_and_then() -> None:
    lease = Lease()
    async for _ in renewing(blocks([64 * KIB] * 1_000), 64_000 * KIB, lease.renew):
        pass
    assert lease.renewed == 0, "it took less than five seconds"


async def test_a_stalled_body_does_not_renew_it() -> None:
    lease, stalled = Lease(), asyncio.Event()

    async def stalls() -> AsyncIterator[bytes]:
        yield bytes(512 * KIB)
        stalled.set()
        await asyncio.Event().wait()

    async def read() -> None:
        async for _ in renewing(stalls(), 10_240 * KIB, lease.renew, pause_seconds=0):
            pass

    reading = asyncio.create_task(read())
    await stalled.wait()
    await asyncio.wait({reading}, timeout=0.05)
    reading.cancel()
    assert lease.renewed == 1


async def test_a_body_continues_while_redis_is_unavailable() -> None:
    lease = Lease(DependencyUnavailable("REDIS_UNAVAILABLE", reason="it is down"))
    found = [block async for block in renewing(blocks([256 * KIB] * 3), 10_240 * KIB, lease.renew, pause_seconds=0)]
    assert (len(found), lease.renewed) == (3, 3)
