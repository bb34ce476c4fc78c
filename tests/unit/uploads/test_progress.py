"""Which bodies renew the lease of their upload."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pipeline.core.errors import DependencyUnavailable
from pipeline.uploads.progress import Progress

pytestmark = pytest.mark.unit

KIB = 1024


class Lease:
    def __init__(self, error: Exception | None = None) -> None:
        self.renewed, self.error = 0, error

    async def renew(self) -> None:
        self.renewed += 1
        if self.error:
            raise self.error


async def arrive(progress: Progress, sizes: Iterable[int]) -> None:
    for size in sizes:
        if progress.is_due(size):
            await progress.renew()


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
    await arrive(Progress(segment_bytes, lease.renew, pause_seconds=0), sizes)
    assert lease.renewed == renewals


async def test_a_fast_body_renews_it_now_and_then() -> None:
    lease = Lease()
    await arrive(Progress(64_000 * KIB, lease.renew), [64 * KIB] * 1_000)
    assert lease.renewed == 0, "it took less than five seconds"


async def test_a_body_continues_while_redis_is_unavailable() -> None:
    lease = Lease(DependencyUnavailable("REDIS_UNAVAILABLE", reason="it is down"))
    await arrive(Progress(10_240 * KIB, lease.renew, pause_seconds=0), [256 * KIB] * 3)
    assert lease.renewed == 3
