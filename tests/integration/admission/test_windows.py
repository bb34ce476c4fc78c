"""Many large files through a small budget, at the ledger: no bytes are sent, every step is counted."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from uuid6 import uuid7

from pipeline.core.admission import DiskReading
from pipeline.core.segments import SegmentPlan, StoreLimits
from pipeline.core.windows import on_disk_bytes, plan_upload, reader_segments, room_bytes
from pipeline.telemetry import REGISTRY
from tests.integration.admission.cell import Cell, open_cell

pytestmark = pytest.mark.integration

MIB, GIB = 1024**2, 1024**3
SWIFT = StoreLimits(1_000, 1, 5 * GIB, 5_000 * GIB)
ENOUGH_BYTES = 1024 * GIB


@dataclass
class Client:
    """An upload as its client and transfer see it. The reader wants the first and the last segment."""

    upload_id: str
    plan: SegmentPlan
    window_bytes: int | None
    missing: set[int] = field(default_factory=set)
    on_disk: set[int] = field(default_factory=set)
    losses: int = 2

    @property
    def wanted(self) -> set[int]:
        return {1, self.plan.count}


class Sea:
    """All uploads of one ledger; each step is checked."""

    def __init__(self, cell: Cell, budget_bytes: int, seed: int, *, blocks: bool = False) -> None:
        """`blocks`: files have real lengths, and occupy whole blocks."""
        self.blocks = blocks
        self.ledger, self.redis, self.keys = cell.redis.ledger, cell.redis.client, cell.redis.keys
        self.budget_bytes = budget_bytes
        self.dice = random.Random(seed)
        self.highest_bytes = 0

    def room(self, client: Client, number: int) -> int:
        return room_bytes(client.plan, number) if self.blocks else client.plan.length(number)

    async def check(self) -> None:
        snapshot = await self.ledger.snapshot()
        assert 0 <= snapshot.backed_bytes <= snapshot.reserved_bytes <= self.budget_bytes
        self.highest_bytes = max(self.highest_bytes, snapshot.reserved_bytes)

    async def run(self, *, request: Client | None = None) -> None:
        epoch = await self.ledger.epoch()
        assert epoch is not None
        backed_bytes = (await self.ledger.snapshot()).backed_bytes
        disk = DiskReading(ENOUGH_BYTES - backed_bytes, 0, epoch)
        if request is not None:
            size = on_disk_bytes(request.plan.size_bytes) if self.blocks else request.plan.size_bytes
            outcome = await self.ledger.request(request.upload_id, size, disk, request.window_bytes)
        else:
            outcome = await self.ledger.run(disk)
        assert outcome is not None
        for one in outcome.to_allocate:
            await self.ledger.confirm(one.upload_id, 0 if one.file_bytes else one.size_bytes)
        await self.check()

    async def take(self, client: Client, number: int) -> bool:
        readers = reader_segments(client.window_bytes, client.plan.segment_bytes) if client.window_bytes else 0
        taken = await self.ledger.take(
            client.upload_id,
            number,
            self.room(client, number),
            segment_bytes=client.plan.segment_bytes,
            reader_segments=readers,
        )
        await self.check()
        return taken

    async def give(self, client: Client, number: int, *, stored: bool) -> None:
        await self.ledger.give(client.upload_id, {number: self.room(client, number)}, stored=stored)
        await self.check()

    async def finish_reading(self, client: Client) -> None:
        await self.write(client, {"stage.probe.state": "done", "stage.thumbnail.state": "done"})

    async def write(self, client: Client, fields: Mapping[str, str] | None = None) -> None:
        """What scripts write into an upload's record: the segments that its reader wants, or that it is done."""
        key = self.keys.upload(client.upload_id)
        async with self.redis.pipeline() as pipe:
            if fields:
                pipe.hset(key, mapping=dict(fields))
            else:
                pipe.sadd(f"{key}:reads", *client.wanted)
            await pipe.execute()

    async def step(self, client: Client, reading: set[str]) -> None:
        """A few segments arrive in any order, some bodies fail, the store acknowledges some and loses some."""
        for number in self.dice.sample(sorted(client.missing), min(4, len(client.missing))):
            if await self.take(client, number):
                await self.ledger.back(client.upload_id, number)
                if self.dice.random() < 0.05:
                    await self.give(client, number, stored=False)
                else:
                    client.missing.discard(number)
                    client.on_disk.add(number)
        if client.upload_id in reading and client.wanted.isdisjoint(client.missing):
            reading.discard(client.upload_id)
            await self.finish_reading(client)
        releasable = client.on_disk - (client.wanted if client.upload_id in reading else set())
        for number in self.dice.sample(sorted(releasable), min(4, len(releasable))):
            await self.give(client, number, stored=True)
            client.on_disk.discard(number)
        given = await self.ledger.given(client.upload_id)
        if given and client.losses and self.dice.random() < 0.1:
            client.losses -= 1
            client.missing |= set(self.dice.sample(sorted(given), min(3, len(given))))


@pytest.mark.parametrize(
    ("files", "size_bytes", "budget_bytes", "share"),
    [
        (8, 512 * MIB + 1, GIB, 0.25),
        (1, 2 * GIB - 1, 256 * MIB, 0.25),
        (3, GIB + 4_095, 256 * MIB, 0.25),
        (4, 512 * MIB - 4_095, GIB, 1),
    ],
    ids=["eight of 512 MiB", "one of 2 GiB", "three of 1 GiB", "whole files"],
)
async def test_large_files_pass_through_a_small_budget(
    redis_url: str,
    redis_namespace: str,
    tmp_path: Path,
    files: int,
    size_bytes: int,
    budget_bytes: int,
    share: float,
) -> None:
    async with open_cell(redis_url, redis_namespace, tmp_path, lease_seconds=600, budget_bytes=budget_bytes) as cell:
        sea = Sea(cell, budget_bytes, seed=files, blocks=True)
        await sea.ledger.open("run")
        plan, window_bytes = plan_upload(
            size_bytes, SWIFT, preferred_bytes=10 * MIB, capacity_bytes=budget_bytes, share=share
        )
        clients = [Client(str(uuid7()), plan, window_bytes, set(range(1, plan.count + 1))) for _ in range(files)]
        reading = {client.upload_id for client in clients}
        for client in clients:
            await sea.write(client)
            await sea.run(request=client)
        idle_rounds = 0
        while clients:
            before = sum(len(client.missing) + len(client.on_disk) for client in clients)
            for client in list(clients):
                standing = await sea.ledger.standing(client.upload_id)
                if standing is not None and standing.queue_position == 0:
                    await sea.step(client, reading)
                if not client.missing and not client.on_disk:
                    assert len(await sea.ledger.given(client.upload_id)) == plan.count
                    assert (await sea.ledger.holders())[client.upload_id] == 0, "every block was given back"
                    await sea.ledger.release(client.upload_id)
                    clients.remove(client)
            await sea.run()
            idle_rounds = idle_rounds + 1 if before == sum(len(c.missing) + len(c.on_disk) for c in clients) else 0
            assert idle_rounds < 20, "uploads wait for each other"
        snapshot = await sea.ledger.snapshot()
        assert (snapshot.reserved_bytes, snapshot.backed_bytes, snapshot.reservations, snapshot.waiting) == (0,) * 4
        each = window_bytes or on_disk_bytes(size_bytes)
        assert sea.highest_bytes >= min(budget_bytes, files * each) - each


async def test_the_wake_signal_comes_with_the_room(redis_url: str, redis_namespace: str, tmp_path: Path) -> None:
    """Room that an upload gives back while another one waits wakes admission, which runs only once a second."""
    async with open_cell(redis_url, redis_namespace, tmp_path, lease_seconds=600, budget_bytes=100) as cell:
        sea = Sea(cell, 100, seed=1)
        await sea.ledger.open("run")
        first, second = (Client(str(uuid7()), SegmentPlan(100, 50), None) for _ in range(2))
        with cell.redis.signals.waiter("queue", f"{sea.keys.prefix}queue:admission:{cell.volume.name}") as woken:
            await sea.run(request=first)
            await sea.give(first, 1, stored=True)
            await sea.run(request=second)
            woken.clear()
            await sea.give(first, 2, stored=True)
            async with asyncio.timeout(10):
                await woken.wait()
            await sea.run()
            assert await sea.ledger.holders() == {first.upload_id: 0, second.upload_id: 100}


async def test_the_ages_of_taken_segments(redis_url: str, redis_namespace: str, tmp_path: Path) -> None:
    async with open_cell(redis_url, redis_namespace, tmp_path, lease_seconds=600, budget_bytes=100) as cell:
        sea = Sea(cell, 100, seed=1)
        await sea.ledger.open("run")
        client = Client(str(uuid7()), SegmentPlan(1000, 10), 50)
        assert not await sea.take(client, 1)
        await sea.run(request=client)
        assert await sea.take(client, 1)
        assert not await sea.ledger.given(client.upload_id)
        ages = await sea.ledger.taken(client.upload_id)
        assert list(ages) == [1]
        assert 0 <= ages[1] < 60
        await sea.give(client, 1, stored=True)
        assert await sea.ledger.taken(client.upload_id) == {}
        assert set(await sea.ledger.given(client.upload_id)) == {1}
        await sea.ledger.release(client.upload_id)
        left = [key async for key in sea.redis.scan_iter(f"{sea.keys.volume(cell.volume.name)}*")]
        assert left == [sea.keys.volume(cell.volume.name)]


async def test_a_smaller_budget_after_a_restart_breaks_nothing(
    redis_url: str, redis_namespace: str, tmp_path: Path
) -> None:
    """Uploads in flight keep their windows; one that waits and is larger than the new budget goes alone."""
    running, waiting, small = (Client(str(uuid7()), SegmentPlan(1000, 10), 80) for _ in range(3))
    small.window_bytes = 20
    async with open_cell(redis_url, redis_namespace, tmp_path, lease_seconds=600, budget_bytes=100) as cell:
        sea = Sea(cell, 100, seed=1)
        await sea.ledger.open("run")
        await sea.write(running, {"stage.probe.state": "done", "stage.thumbnail.state": "done"})
        for client in (running, waiting):
            await sea.run(request=client)
        for number in range(1, 9):
            assert await sea.take(running, number)
            await sea.ledger.back(running.upload_id, number)
    async with open_cell(redis_url, redis_namespace, tmp_path, lease_seconds=600, budget_bytes=50) as cell:
        sea = Sea(cell, 80, seed=1)
        await sea.run(request=small)
        assert await sea.ledger.holders() == {running.upload_id: 80}
        for number in range(1, 101):
            if number > 8:
                assert await sea.take(running, number)
                await sea.ledger.back(running.upload_id, number)
            await sea.give(running, number, stored=True)
        await sea.run()
        assert await sea.ledger.holders() == {running.upload_id: 0, waiting.upload_id: 80}
        assert await sea.take(waiting, 1)
        for client in (running, waiting):
            await sea.ledger.release(client.upload_id)
        await sea.run()
        assert await sea.ledger.holders() == {small.upload_id: 20}


async def test_the_gauges_count_windows(redis_url: str, redis_namespace: str, tmp_path: Path) -> None:
    async with open_cell(redis_url, redis_namespace, tmp_path, lease_seconds=600, budget_bytes=100) as cell:
        sea = Sea(cell, 100, seed=1)
        await sea.ledger.open("run")
        giant, whole = Client(str(uuid7()), SegmentPlan(1000, 10), 50), Client(str(uuid7()), SegmentPlan(30, 10), None)
        for client in (giant, whole, Client(str(uuid7()), SegmentPlan(1000, 10), 40)):
            await sea.run(request=client)
        assert await sea.take(giant, 1)
        await sea.ledger.back(giant.upload_id, 1)
        await sea.give(whole, 2, stored=True)
        await cell.redis.gauges.collect()
        shown = {
            name: REGISTRY.get_sample_value(f"sluice_volume_{name}", {"volume": cell.volume.name})
            for name in ("budget_bytes", "reserved_bytes", "reservations", "waiting")
        }
        assert shown == {"budget_bytes": 100, "reserved_bytes": 50 + 20, "reservations": 2, "waiting": 1}
        snapshot = await sea.ledger.snapshot()
        assert (snapshot.reserved_bytes, snapshot.backed_bytes) == (70, 10 + 20)
