"""`stages.reading` on a real board, temp volume and store: how often a stage waits, and for what it asks meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import google_crc32c
import pytest

from pipeline.adapters.object_store.filesystem import FilesystemObjectStore
from pipeline.adapters.volume.temp_volume import DirectoryTempVolume
from pipeline.core.lifecycle import Status
from pipeline.core.model import Upload
from pipeline.core.stages import Stage, StageState
from pipeline.core.stored_objects import StoredSegment
from pipeline.core.transports import Transport
from pipeline.engine.contract import Done, Outcome, Parked, StageRun
from pipeline.ports import Store, Stores
from pipeline.stages import reading as reading_module
from pipeline.stages.reading import FileReads
from pipeline.uploads.bytes import FileBytes, SegmentsMissing
from pipeline.uploads.target import target_of
from tests.contract.object_store.uploads import MemorySource
from tests.contract.redis.scenes import SealedOnly
from tests.contract.redis.uploads import Play, cell_state, until
from tests.harness.new_uploads import new_upload
from tests.harness.redis_calls import reply

pytestmark = pytest.mark.contract

SEGMENT = 64 * 1024
COUNT = 20


class OneStore:
    """Implements `ports.Stores`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def named(self, name: str) -> Store:
        return self._store


class Cell:
    """A cell whose uploads have the same bytes."""

    def __init__(self, play: Play, directory: Path, store: FilesystemObjectStore) -> None:
        self.play, self.store = play, store
        self.volume = DirectoryTempVolume("local", directory / "temp")
        self.data = random.Random(1).randbytes(COUNT * SEGMENT - 7)

    async def upload(self, **more: Any) -> tuple[Upload, StageRun]:
        """An upload whose first segment has arrived, and the run of its probe."""
        upload = await self.play.admitted(size_bytes=len(self.data), segment_bytes=SEGMENT, **more)
        await self.volume.allocate(upload.upload_id, upload.size_bytes)
        verdict = await self.receive(upload, 1)
        job = await self.play.started(self.play.by_stage(verdict.jobs)[Stage.PROBE])
        return upload, StageRun(job, await self.play.board.get(upload.upload_id))

    async def receive(self, upload: Upload, number: int) -> Any:
        part = self.segment(upload, number)
        await self.volume.write(upload.upload_id, upload.plan.offset(number), [part], 0)
        return await self.play.receive(upload, number, google_crc32c.value(part))

    def segment(self, upload: Upload, number: int) -> bytes:
        start = upload.plan.offset(number)
        return self.data[start : start + upload.plan.length(number)]

    def reads(self, store: object = None) -> FileReads:
        stores = cast(Stores, OneStore(cast(Store, store or self.store)))
        feed = self.play.parts.signals
        return FileReads(cell_state(self.play, self.volume), self.play.stages, stores, feed, nullcontext)

    async def wanted(self, upload: Upload) -> set[int]:
        return set((await self.play.board.snapshot(upload.upload_id)).wanted)

    async def requests(self, upload: Upload) -> int:
        """How often the probe has announced segments."""
        key = self.play.parts.keys.upload(upload.upload_id)
        return int(await reply(self.play.parts.client.hget(key, "stage.probe.requests")) or 0)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No reading is parked because a busy machine was slow to deliver."""
    monkeypatch.setattr(reading_module, "LINGER_SECONDS", 60)


@pytest.fixture
async def cell(play: Play, tmp_path: Path) -> AsyncIterator[Cell]:
    async with FilesystemObjectStore(tmp_path / "store", fsync=False) as store:
        yield Cell(play, tmp_path, store)


async def test_what_a_reader_needs_at_the_end_of_a_file_is_requested_together(cell: Cell) -> None:
    """An index that begins in the last segment but two takes one wait."""
    upload, run = await cell.upload()

    async def read(source: FileBytes) -> Outcome:
        for number in range(18, 21):
            assert await source.read(upload.plan.offset(number), 10) == cell.segment(upload, number)[:10]
        return Done()

    reading = asyncio.create_task(cell.reads().reading(run, read))
    await until(lambda: _is(cell, upload, {18, 19, 20}))
    for number in (20, 19, 18):
        await cell.receive(upload, number)
    assert await reading == Done()
    assert await cell.requests(upload) == 1


async def test_only_what_is_needed_now_is_waited_for(cell: Cell) -> None:
    """A guess that is not sent does not hold up the reader."""
    upload, run = await cell.upload()

    async def read(source: FileBytes) -> Outcome:
        await source.read(upload.plan.offset(19), 10)
        return Done()

    reading = asyncio.create_task(cell.reads().reading(run, read))
    await until(lambda: _is(cell, upload, {19, 20}))
    await cell.receive(upload, 19)
    assert await reading == Done()
    assert await cell.wanted(upload) == {20}


async def test_a_frame_near_the_end_of_a_segment_requests_the_next_one_too(cell: Cell) -> None:
    upload, run = await cell.upload()
    end = upload.plan.offset(8)

    async def read(source: FileBytes) -> Outcome:
        assert await source.read(end - 100, 100) == cell.data[end - 100 : end]
        assert await source.read(end, 100) == cell.data[end : end + 100]
        return Done()

    reading = asyncio.create_task(cell.reads().reading(run, read))
    await until(lambda: _is(cell, upload, {7, 8}))
    await cell.receive(upload, 7)
    await cell.receive(upload, 8)
    assert await reading == Done()
    assert await cell.requests(upload) == 1


async def test_a_window_has_no_room_for_guesses(cell: Cell) -> None:
    upload, run = await cell.upload(window_bytes=8 * SEGMENT)

    async def read(source: FileBytes) -> Outcome:
        await source.read(upload.plan.offset(19), 10)
        return Done()

    reading = asyncio.create_task(cell.reads().reading(run, read))
    await until(lambda: _is(cell, upload, {19}))
    await cell.receive(upload, 19)
    assert await reading == Done()


async def test_what_the_thumbnail_will_need_is_requested_before_probe_ends(cell: Cell) -> None:
    """The reader has found the metadata and needs another segment for the frame."""
    upload, run = await cell.upload()

    async def read(source: FileBytes) -> Outcome:
        with pytest.raises(SegmentsMissing):
            await source.read(upload.plan.offset(5), 10)
        return Done({"kind": "video"})

    outcome = await cell.reads().reading(run, read)
    assert outcome == Done({"kind": "video"})
    assert await cell.wanted(upload) == {5}
    assert [job.stage for job in (await cell.play.stages.finish(run.job, {"kind": "video"})).jobs] == [Stage.THUMBNAIL]
    assert await cell.wanted(upload) == {5}, "the stage after it needs it"


async def test_a_reader_that_needs_nothing_more_requests_nothing(cell: Cell) -> None:
    upload, run = await cell.upload()

    async def read(source: FileBytes) -> Outcome:
        assert await source.read(0, 100) == cell.data[:100]
        return Done()

    assert await cell.reads().reading(run, read) == Done()
    assert (await cell.wanted(upload), await cell.requests(upload)) == (set(), 0)


# -- what the client has sent to the store itself


async def completed(cell: Cell) -> tuple[Upload, dict[Stage, Any], list[StoredSegment]]:
    """A direct upload that is complete, and its jobs."""
    new = new_upload(transport=Transport.DIRECT, size_bytes=len(cell.data), segment_bytes=SEGMENT)
    upload, _ = await cell.play.board.create(new)
    target = target_of(upload)
    stored = [
        await cell.store.put_segment(target, MemorySource(number, cell.segment(upload, number)))
        for number in range(1, COUNT + 1)
    ]
    await cell_state(cell.play, cell.volume).record.completed(upload.upload_id, stored)
    upload = await cell.play.board.get(upload.upload_id)
    assert upload.status is Status.PROCESSING
    return upload, cell.play.by_stage(upload.queued_jobs), stored


async def begun(cell: Cell, upload: Upload, job: Any) -> StageRun:
    return StageRun(await cell.play.started(job), await cell.play.board.get(upload.upload_id))


async def test_a_direct_upload_is_read_while_its_manifest_is_yet_to_be_written(cell: Cell) -> None:
    upload, jobs, _ = await completed(cell)
    assert set(jobs) == {Stage.SEAL, Stage.PROBE}

    async def read(source: FileBytes) -> Outcome:
        assert source.size_bytes == len(cell.data)
        for offset, length in ((0, 100), (SEGMENT - 5, 10), (3 * SEGMENT - 1, 2 * SEGMENT), (len(cell.data) - 9, 9)):
            assert await source.read(offset, length) == cell.data[offset : offset + length]
        assert source.unverified
        return Done()

    assert await cell.reads().reading(await begun(cell, upload, jobs[Stage.PROBE]), read) == Done()


async def test_a_segment_that_changes_after_the_report_is_left_to_seal(cell: Cell) -> None:
    """Its client may still write: bytes that the manifest does not name are never read."""
    upload, jobs, stored = await completed(cell)
    run = await begun(cell, upload, jobs[Stage.PROBE])

    async def read(source: FileBytes) -> Outcome:
        assert await source.read(4 * SEGMENT, 10) == cell.data[4 * SEGMENT : 4 * SEGMENT + 10]
        return Done()

    other = await cell.store.put_segment(target_of(upload), MemorySource(5, bytes(SEGMENT)))
    assert other.etag != stored[4].etag
    assert await cell.reads().reading(run, read) == Parked()
    status = (await cell.play.board.get(upload.upload_id)).stages[Stage.PROBE]
    assert (status.state, status.waits_for) == (StageState.IDLE, "sealed")
    assert await cell.store.put_segment(target_of(upload), MemorySource(5, cell.segment(upload, 5))) == stored[4]
    sealed = await cell.store.seal(target_of(upload), stored)
    woken = await cell.play.finished(jobs[Stage.SEAL], {"etag": sealed.etag})
    assert set(woken) == {Stage.PROBE}
    assert await cell.reads().reading(await begun(cell, upload, woken[Stage.PROBE]), read) == Done()


async def test_a_store_that_cannot_read_segments_is_read_after_seal(cell: Cell) -> None:
    upload, jobs, stored = await completed(cell)
    reads = cell.reads(SealedOnly(cell.store))

    async def read(source: FileBytes) -> Outcome:
        return Done()

    assert await reads.reading(await begun(cell, upload, jobs[Stage.PROBE]), read) == Parked()
    assert await cell.wanted(upload) == set()
    sealed = await cell.store.seal(target_of(upload), stored)
    woken = await cell.play.finished(jobs[Stage.SEAL], {"etag": sealed.etag})
    assert await reads.reading(await begun(cell, upload, woken[Stage.PROBE]), read) == Done()


async def _is(cell: Cell, upload: Upload, numbers: set[int]) -> bool:
    return await cell.wanted(upload) == numbers
