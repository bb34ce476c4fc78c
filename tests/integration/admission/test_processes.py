"""Admission by several processes at once, with real leases, real files and killed processes."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.adapters.redis.reads import now_ms
from pipeline.core.admission import DiskReading
from pipeline.core.lifecycle import Event, Status
from pipeline.ports import Allocation
from tests.integration.admission.cell import BUDGET_BYTES, KIBIBYTE, Cell, open_cell
from tests.integration.admission.requester import LEASE_SECONDS

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).parents[3]


async def requester(
    redis_url: str, namespace: str, directory: Path, *, uploads: int, seed: int, holds: bool
) -> Process:
    arguments = {"redis_url": redis_url, "namespace": namespace, "directory": str(directory)}
    more = {"uploads": uploads, "seed": seed, "holds": holds}
    command = [sys.executable, "-m", "tests.integration.admission.requester", json.dumps(arguments | more)]
    return await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, cwd=REPOSITORY)


async def is_empty(cell: Cell) -> bool:
    books = await cell.redis.ledger.snapshot()
    held = (books.reserved_bytes, books.backed_bytes, books.reservations, books.waiting)
    alive = [status for status in (Status.WAITING, Status.ADMITTED) if await cell.redis.board.page(status, None, 1)]
    return not any(held) and not alive and not await cell.volume.list() and not await cell.redis.ended.due("local", 1)


async def bytes_on_disk(cell: Cell) -> int:
    """Bytes that were certainly there at one moment: of files that are in two successive lists."""
    first, second = await cell.volume.list(), await cell.volume.list()
    return sum(min(first[upload_id][0], second[upload_id][0]) for upload_id in first.keys() & second.keys())


async def test_processes_share_a_volume_and_some_of_them_die(
    redis_url: str, redis_namespace: str, tmp_path: Path
) -> None:
    """The disk never holds more than the budget, every upload ends, and a dead process's bytes are freed."""
    volume = tmp_path / "volume"
    samples = 0
    async with open_cell(redis_url, redis_namespace, volume, LEASE_SECONDS) as cell:
        well = [
            await requester(redis_url, redis_namespace, volume, uploads=15, seed=seed, holds=False) for seed in (1, 2)
        ]
        doomed = await requester(redis_url, redis_namespace, volume, uploads=8, seed=3, holds=True)
        assert doomed.stdout is not None
        ends = [asyncio.create_task(process.communicate()) for process in well]
        death = asyncio.create_task(doomed.stdout.readline())
        killed = False
        try:
            async with asyncio.timeout(300):
                while not (killed and all(end.done() for end in ends) and await is_empty(cell)):
                    await cell.cleanups.run()
                    await cell.upkeep.tick()
                    if killed:
                        await cell.upkeep.sweep()  # finds uploads whose process died before it requested room
                    books = await cell.redis.ledger.snapshot()
                    assert books.reserved_bytes <= BUDGET_BYTES
                    assert books.backed_bytes <= books.reserved_bytes
                    assert await bytes_on_disk(cell) <= BUDGET_BYTES
                    samples += 1
                    if death.done() and not killed:
                        assert death.result(), "it ended before it held any room"
                        doomed.kill()
                        killed = True
        finally:
            for process in (*well, doomed):
                if process.returncode is None:
                    process.kill()
            await doomed.communicate()
        for process, end in zip(well, ends, strict=True):
            printed, errors = await end
            assert process.returncode == 0, errors.decode()
            assert len(printed.splitlines()) == 15, "each of its uploads was admitted"
        lost = await cell.redis.board.page(Status.EXPIRED, None, 100)
        assert 1 <= len(lost) <= 8, "the dead process's uploads"
        assert samples > 20


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 -- what changes is in Redis
            await asyncio.sleep(0.01)


async def request_and_die(cell: Cell, upload_id: str, size_bytes: int) -> None:
    """A caller that dies before it uses the reply."""
    ledger = cell.redis.ledger
    await ledger.open("run")
    outcome = await ledger.request(upload_id, size_bytes, DiskReading(BUDGET_BYTES, 0, await ledger.epoch() or 0))
    assert outcome is not None
    assert outcome.to_allocate == (Allocation(upload_id, size_bytes),)


async def test_the_reservation_of_a_dead_caller_is_allocated_by_the_next_run(
    redis_url: str, redis_namespace: str, tmp_path: Path
) -> None:
    async with open_cell(redis_url, redis_namespace, tmp_path, lease_seconds=0.2) as cell:
        upload_id = await cell.register(KIBIBYTE)
        await request_and_die(cell, upload_id, KIBIBYTE)
        reserved = await cell.redis.ledger.standing(upload_id)
        assert reserved is not None
        assert reserved.lease_until_ms is not None
        deadline_ms = reserved.lease_until_ms

        async def lease_is_over() -> bool:
            return await now_ms(cell.redis.client) > deadline_ms

        await until(lease_is_over)
        await cell.upkeep.tick()
        assert (await cell.redis.board.get(upload_id)).status is Status.ADMITTED
        assert cell.volume.path(upload_id).stat().st_size == KIBIBYTE
        standing = await cell.redis.ledger.standing(upload_id)
        assert standing is not None
        assert standing.lease_until_ms is not None
        assert standing.lease_until_ms > deadline_ms, "the lease starts when the file exists"

        async def is_expired() -> bool:
            await cell.upkeep.tick()
            return (await cell.redis.board.get(upload_id)).status is Status.EXPIRED

        await until(is_expired)  # no process renews it
        await cell.cleanups.run()
        assert await is_empty(cell)


@contextmanager
def files_cannot_grow_beyond(count_bytes: int) -> Iterator[None]:
    """The kernel refuses to preallocate more than this: the volume fails although it reports free bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_an_upload_that_the_disk_cannot_back_keeps_its_place(
    redis_url: str, redis_namespace: str, tmp_path: Path
) -> None:
    large, small = 2_000 * KIBIBYTE, 500 * KIBIBYTE
    async with open_cell(redis_url, redis_namespace, tmp_path) as cell:
        first, second, third = [await cell.register(size) for size in (large, large, small)]
        with files_cannot_grow_beyond(1_000 * KIBIBYTE):
            for upload_id in (first, second, third):
                await cell.request(upload_id)
            for _ in range(20):
                await cell.admission.run()
            assert set(await cell.volume.list()) == {third}, "a file that could not be allocated is removed"
            assert await cell.redis.ledger.holders() == {third: small}
            for place, upload_id in enumerate((first, second), start=1):
                standing = await cell.redis.ledger.standing(upload_id)
                assert standing is not None
                assert standing.queue_position == place
        await cell.admission.run()
        assert set(await cell.redis.ledger.holders()) == {first, third}
        assert (await cell.redis.board.get(first)).status is Status.ADMITTED


@pytest.mark.parametrize("forgotten", [False, True], ids=["cleaned up", "record gone"])
async def test_a_request_after_the_end_reserves_nothing(
    redis_url: str, redis_namespace: str, tmp_path: Path, forgotten: bool
) -> None:
    """The record was read as `waiting` before it ended: a repeated POST beside a DELETE."""
    async with open_cell(redis_url, redis_namespace, tmp_path) as cell:
        upload_id = await cell.register(KIBIBYTE)
        waiting = await cell.redis.board.get(upload_id)
        await cell.redis.board.apply(upload_id, Event.CANCEL)
        await cell.cleanups.run()
        assert (await cell.redis.board.get(upload_id)).released_at_ms is not None
        if forgotten:
            await cell.redis.client.delete(cell.redis.keys.upload(upload_id))
        await cell.admission.request(waiting)
        assert await is_empty(cell)
