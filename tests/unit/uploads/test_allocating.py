"""Which reservations a task allocates while others of its process allocate some."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.ports import Allocation
from pipeline.uploads.allocating import Allocating

pytestmark = pytest.mark.unit

FOUND = [Allocation(f"u{number}", 1) for number in range(20)]


def names(claimed: object) -> list[str]:
    assert isinstance(claimed, list)
    return [one.upload_id for one in claimed]


def test_no_reservation_is_claimed_twice_at_a_time() -> None:
    allocating = Allocating()
    with allocating.claimed(FOUND[:2], None) as first, allocating.claimed(FOUND[:3], None) as second:
        assert (names(first), names(second)) == (["u0", "u1"], ["u2"])
    with allocating.claimed(FOUND[:3], None) as third:
        assert names(third) == ["u0", "u1", "u2"]


def test_a_request_takes_its_own_first_and_few_of_the_others() -> None:
    with Allocating().claimed(FOUND, "u15") as claimed:
        assert names(claimed) == ["u15", *(f"u{number}" for number in range(8))]


def test_a_run_takes_all() -> None:
    with Allocating().claimed(FOUND, None) as claimed:
        assert len(claimed) == 20


async def test_waiting_for_another_task_also_when_that_fails() -> None:
    allocating = Allocating()
    await allocating.wait("u0")
    fail = asyncio.Event()

    async def allocate() -> None:
        with allocating.claimed(FOUND[:1], None):
            await fail.wait()
            raise ValueError("disk")

    task = asyncio.create_task(allocate())
    waiting = asyncio.create_task(_is_free_after_waiting(allocating))
    fail.set()
    with pytest.raises(ValueError, match="disk"):
        await task
    assert await waiting, "it has waited"


async def _is_free_after_waiting(allocating: Allocating) -> bool:
    await allocating.wait("u0")
    with allocating.claimed(FOUND[:1], None) as claimed:
        return len(claimed) == 1
