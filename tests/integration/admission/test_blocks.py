"""Reserved bytes and bytes on the disk, at every step of uploads whose files and segments are not whole blocks, on real
filesystems: what the disk has allocated is never more than what is reserved, journals included."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.bootstrap import redis_parts, volume_parts
from pipeline.bootstrap.volume import VolumeParts
from pipeline.core.admission import DiskReading
from pipeline.core.journal import Journal
from pipeline.core.journal_size import journal_bytes
from pipeline.core.lifecycle import Status
from pipeline.core.model import NewUpload, Upload
from pipeline.core.segments import SegmentPlan, StoreLimits
from pipeline.core.windows import BLOCK_BYTES, on_disk_bytes, plan_upload, room_bytes
from pipeline.settings import Settings
from pipeline.uploads.adoption import Adoption
from tests.harness.blocks import occupied
from tests.harness.disks import filesystem
from tests.harness.new_uploads import new_upload
from tests.harness.redis_calls import reply

pytestmark = pytest.mark.integration

LIMITS = StoreLimits(1_000, 1, 2**30, 2**40)
BUDGET_BYTES = 40 * BLOCK_BYTES
SIZES = [1, 4_096, 4_097, 20_849]


@pytest.fixture(params=["ext4", "xfs"], scope="module")
def disk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with filesystem(request.param, tmp_path_factory.mktemp("disk")) as point:
        yield point


@dataclass
class Books:
    """An upload, its reservation and its temp file."""

    parts: VolumeParts
    upload: Upload
    budget_bytes: int

    @property
    def plan(self) -> SegmentPlan:
        return self.upload.plan

    async def reserved_bytes(self) -> int:
        """What is reserved, after a check that it is whole blocks, and that the disk holds no more."""
        cell = self.parts.cell
        reserved = (await cell.ledger.holders())[self.upload.upload_id]
        assert reserved % BLOCK_BYTES == 0
        assert occupied(cell.volume.path(self.upload.upload_id)).data_bytes <= reserved
        await cell.volume.verify(self.upload.upload_id, self.upload.size_bytes)
        snapshot = await cell.ledger.snapshot()
        assert 0 <= snapshot.backed_bytes <= snapshot.reserved_bytes <= self.budget_bytes
        assert self.journal_on_disk_bytes == self.journal_bytes == snapshot.reserved_bytes - reserved
        return reserved

    @property
    def journal_bytes(self) -> int:
        return journal_bytes(NewUpload.of(self.upload))

    @property
    def journal_on_disk_bytes(self) -> int:
        path = self.parts.cell.volume.path(self.upload.upload_id).with_suffix(".journal")
        return path.stat().st_blocks * 512

    async def write(self, number: int) -> None:
        offset, length = self.plan.offset(number), self.plan.length(number)
        await self.parts.cell.volume.write(self.upload.upload_id, offset, [b"x" * length], 0)

    async def take(self, number: int) -> bool:
        """As a request does before it reads a body; then the body arrives."""
        cell, upload_id, segment = self.parts.cell, self.upload.upload_id, self.plan.segment_bytes
        size_bytes = room_bytes(self.plan, number)
        if not await cell.ledger.take(upload_id, number, size_bytes, segment_bytes=segment, reader_segments=0):
            return False
        await cell.volume.allocate_range(upload_id, self.plan.offset(number), self.plan.length(number))
        await cell.ledger.back(upload_id, number)
        await self.write(number)
        return True

    async def give(self, *numbers: int) -> None:
        await self.parts.release.give_back(self.upload.upload_id, self.plan, numbers, stored=True)

    async def adopt(self, journal: Journal) -> None:
        """Redis has lost the reservation."""
        await self.parts.cell.ledger.release(self.upload.upload_id)
        assert await Adoption(self.parts.cell, self.parts.release).adopt(journal)

    async def end(self) -> None:
        cell = self.parts.cell
        await cell.volume.remove(self.upload.upload_id)
        await cell.ledger.release(self.upload.upload_id)
        snapshot = await cell.ledger.snapshot()
        assert (snapshot.reserved_bytes, snapshot.backed_bytes, snapshot.reservations) == (0, 0, 0)
        assert await cell.volume.list() == {}


@asynccontextmanager
async def admitted(
    redis_url: str, namespace: str, disk: Path, plan: SegmentPlan, window_bytes: int | None, budget_bytes: int
) -> AsyncIterator[Books]:
    """An upload that has been admitted. `budget_bytes`: beside its journal."""
    facts = {"size_bytes": plan.size_bytes, "segment_bytes": plan.segment_bytes, "window_bytes": window_bytes}
    new = new_upload(store="none", **facts)
    budget_bytes += journal_bytes(new)
    settings = Settings(
        redis_url=SecretStr(redis_url),
        redis_namespace=namespace,
        temp_dir=disk / namespace.replace(":", "-"),
        temp_budget_bytes=budget_bytes,
        temp_headroom_bytes=0,
    )
    async with redis_parts(settings) as redis:
        parts = volume_parts(settings, redis)
        created, _ = await redis.board.create(new)
        await parts.admission.request(created)
        upload = await redis.board.get(new.upload_id)
        assert upload.status is Status.ADMITTED
        # Its readers are done: segments that are stored may leave the disk.
        states = {"stage.probe.state": "done", "stage.thumbnail.state": "done"}
        await reply(redis.client.hset(redis.keys.upload(new.upload_id), mapping=states))
        yield Books(parts, upload, budget_bytes)


def shuffled(plan: SegmentPlan) -> list[int]:
    return random.Random(plan.size_bytes).sample(range(1, plan.count + 1), plan.count)


@pytest.mark.parametrize("segment_bytes", [1_000, 4_096, 10_000])
@pytest.mark.parametrize("size_bytes", SIZES)
async def test_a_whole_file(
    redis_url: str, redis_namespace: str, disk: Path, size_bytes: int, segment_bytes: int
) -> None:
    """It arrives, its segments leave the disk one by one, Redis loses the reservation in between, and a lost segment is
    sent again."""
    plan = SegmentPlan(size_bytes, segment_bytes)
    occupied_bytes = on_disk_bytes(size_bytes)
    # A budget of so many bytes is enough: an upload never waits for a block that does not come.
    async with admitted(redis_url, redis_namespace, disk, plan, None, occupied_bytes) as books:
        assert await books.reserved_bytes() == occupied_bytes
        for number in shuffled(plan):
            await books.write(number)
        left, given = occupied_bytes, list[int]()
        for number in reversed(shuffled(plan)):
            await books.give(number)
            left, given = left - room_bytes(plan, number), [*given, number]
            assert await books.reserved_bytes() == left
            received = dict.fromkeys(range(1, plan.count + 1), 1)
            stored = dict.fromkeys(given, "etag")
            new = NewUpload.of(books.upload)
            await books.adopt(Journal(new, received, stored, set(given)))
            assert await books.reserved_bytes() == left, "recovery reserves what was reserved"
        for number in given[:2]:
            assert await books.take(number)
            left += room_bytes(plan, number)
            assert await books.reserved_bytes() == left
        await books.end()


@pytest.mark.parametrize("size_bytes", [40 * BLOCK_BYTES + edge for edge in (-1, 0, 1)])
@pytest.mark.parametrize("segment_blocks", [1, 3])
async def test_a_window(redis_url: str, redis_namespace: str, disk: Path, size_bytes: int, segment_blocks: int) -> None:
    """It passes over the file from its end to its beginning, and shrinks to what remains of it."""
    plan, window_bytes = SegmentPlan(size_bytes, segment_blocks * BLOCK_BYTES), 4 * segment_blocks * BLOCK_BYTES
    async with admitted(redis_url, redis_namespace, disk, plan, window_bytes, window_bytes) as books:
        left, held = on_disk_bytes(size_bytes), list[int]()
        assert await books.reserved_bytes() == window_bytes
        for number in range(plan.count, 0, -1):
            assert await books.take(number)
            held.append(number)
            assert await books.reserved_bytes() == min(window_bytes, left)
            if len(held) == 4:
                received = dict.fromkeys(range(number, plan.count + 1), 1)
                released = set(range(held[0] + 1, plan.count + 1))
                stored = dict.fromkeys(released, "etag")
                await books.adopt(Journal(NewUpload.of(books.upload), received, stored, released))
                assert await books.reserved_bytes() == min(window_bytes, left), "recovery reserves what was reserved"
                left -= room_bytes(plan, held[0])
                await books.give(held.pop(0))
        while held:
            left -= room_bytes(plan, held[0])
            await books.give(held.pop(0))
            assert await books.reserved_bytes() == min(window_bytes, left)
        assert (left, occupied(books.parts.cell.volume.path(books.upload.upload_id)).data_bytes) == (0, 0)
        await books.end()


@pytest.mark.parametrize("windowed", [True, False])
@pytest.mark.parametrize("first", [1, 6])
async def test_a_reservation_that_an_older_release_has_made_in_bytes(
    redis_url: str, redis_namespace: str, disk: Path, first: int, windowed: bool
) -> None:
    """It is finished by this release, and leaves nothing."""
    plan = SegmentPlan(10 * BLOCK_BYTES + 77, 2 * BLOCK_BYTES)
    window_bytes = 3 * plan.segment_bytes if windowed else None
    async with admitted(redis_url, redis_namespace, disk, plan, window_bytes, BUDGET_BYTES) as books:
        upload_id, ledger, volume = books.upload.upload_id, books.parts.cell.ledger, books.parts.cell.volume
        await ledger.release(upload_id)
        epoch = await ledger.epoch() or 0
        reading = DiskReading(2**40, 0, epoch)
        beside = books.journal_bytes
        outcome = await ledger.request(upload_id, plan.size_bytes, reading, window_bytes, journal_bytes=beside)
        assert outcome is not None
        assert [one.upload_id for one in outcome.to_allocate] == [upload_id]
        await books.parts.admission.run()  # a process of this release allocates it
        await volume.verify(upload_id, plan.size_bytes)
        for number in (first, *(number for number in range(1, plan.count + 1) if number != first)):
            if windowed:
                assert await books.take(number), "the last one occupies more than its bytes"
            else:
                await books.write(number)
            await books.give(number)
        assert await ledger.holders() == {upload_id: 0}
        assert occupied(volume.path(upload_id)).data_bytes == 0
        await books.end()


@pytest.mark.parametrize("size_bytes", [4_095, 20_849])
async def test_a_file_that_an_older_release_has_made_too_long(
    redis_url: str, redis_namespace: str, disk: Path, size_bytes: int
) -> None:
    """A process of an older release takes what is reserved for the length of the file; it gets its own."""
    plan = SegmentPlan(size_bytes, 4_096)
    async with admitted(redis_url, redis_namespace, disk, plan, None, BUDGET_BYTES) as books:
        volume, upload_id = books.parts.cell.volume, books.upload.upload_id
        await volume.allocate(upload_id, on_disk_bytes(size_bytes))
        await volume.write(upload_id, 0, [b"x" * size_bytes], 0)
        assert await volume.allocate(upload_id, size_bytes) <= on_disk_bytes(size_bytes)
        assert await books.reserved_bytes() == on_disk_bytes(size_bytes)
        assert volume.path(upload_id).read_bytes() == b"x" * size_bytes
        await books.end()


def test_plans_at_the_edge_of_the_budget_reserve_no_more_than_it() -> None:
    for budget_bytes in range(BUDGET_BYTES - 5, BUDGET_BYTES + 6):
        for size_bytes in range(BUDGET_BYTES - 5, BUDGET_BYTES + 6):
            plan, window_bytes = plan_upload(
                size_bytes, LIMITS, preferred_bytes=9_999, capacity_bytes=budget_bytes, share=1
            )
            assert (window_bytes or on_disk_bytes(plan.size_bytes)) <= budget_bytes
