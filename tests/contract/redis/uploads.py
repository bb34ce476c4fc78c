"""Brings an upload to the state that a test is about, through the ports only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Any, cast

from pipeline.adapters.redis.scripts import Scripts
from pipeline.adapters.redis.stage_board import RedisStageBoard
from pipeline.adapters.volume.journals import FileUploadJournals
from pipeline.adapters.volume.temp_volume import DirectoryTempVolume
from pipeline.bootstrap import RedisParts
from pipeline.core.lifecycle import Event
from pipeline.core.model import ClientDigest, StageJob, Upload
from pipeline.core.stages import Stage
from pipeline.core.stored_objects import StoredSegment
from pipeline.ports import SegmentVerdict
from pipeline.uploads.cell import CellState
from pipeline.uploads.record import UploadRecord
from pipeline.uploads.recovery import RecoveryWriters
from tests.harness.new_uploads import new_upload

SEGMENT_BYTES = 10
"""Of `new_upload`."""
VOLUME = "local"
DIGEST = ClientDigest("sha-256", bytes(32))


def crc_of(number: int) -> int:
    return 0x1000 + number


async def until(condition: Callable[[], Awaitable[bool]] | Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for a condition; the test fails if it does not hold in time."""
    async with asyncio.timeout(seconds):
        while True:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.005)


class Play:
    """Plays gateway and workers on the boards."""

    def __init__(self, parts: RedisParts) -> None:
        self.parts = parts
        self.board = parts.board
        self.segments = parts.segments
        self.stages = parts.stages

    def impatient(self, *, lease_ms: int = 6_000, requeue_ms: int = 10_000) -> RedisStageBoard:
        """A stage board with other times."""
        client, keys = self.parts.client, self.parts.keys
        return RedisStageBoard(client, Scripts(client, keys.prefix), keys, lease_ms, requeue_ms)

    async def admitted(self, segments: int = 3, **more: Any) -> Upload:
        """An admitted upload with this many segments, the last one half as long, and a digest of the whole file, so
        that every stage runs."""
        size_bytes = segments * SEGMENT_BYTES - SEGMENT_BYTES // 2
        upload, _ = await self.board.create(new_upload(**{"size_bytes": size_bytes, "digest": DIGEST} | more))
        await self.board.apply(upload.upload_id, Event.ADMIT)
        return await self.board.get(upload.upload_id)

    async def receive(self, upload: Upload, number: int, crc32c: int | None = None) -> SegmentVerdict:
        """A segment of a window is claimed first, unless that is refused."""
        crc32c = crc_of(number) if crc32c is None else crc32c
        token = f"request-{number}" if upload.window_bytes else None
        if token:
            await self.segments.claim(upload.upload_id, number, token, 60)
        return await self.segments.record_received(upload.upload_id, number, upload.plan.length(number), crc32c, token)

    async def receive_all(self, upload: Upload) -> dict[Stage, StageJob]:
        jobs: dict[Stage, StageJob] = {}
        for number in range(1, upload.plan.count + 1):
            verdict = await self.receive(upload, number)
            assert verdict.accepted
            jobs |= {job.stage: job for job in verdict.jobs}
        return jobs

    async def store(self, job: StageJob, upload: Upload, numbers: Collection[int]) -> None:
        for number in numbers:
            await self.segments.record_stored(job, StoredSegment(number, upload.plan.length(number), f"etag-{number}"))

    async def started(self, job: StageJob) -> StageJob:
        await self.stages.start(job, "worker")
        return job

    async def transferred(self, job: StageJob, upload: Upload) -> Mapping[Stage, StageJob]:
        """Run transfer to its end; returns the next jobs."""
        await self.started(job)
        await self.store(job, upload, range(1, upload.plan.count + 1))
        return self.by_stage((await self.stages.finish(job, None)).jobs)

    async def finished(self, job: StageJob, result: Mapping[str, Any] | None = None) -> Mapping[Stage, StageJob]:
        await self.started(job)
        return self.by_stage((await self.stages.finish(job, result)).jobs)

    async def before_persist(self, segments: int = 3) -> tuple[Upload, StageJob, StageJob]:
        """An upload whose seal and thumbnail are running; only persist is left."""
        upload = await self.admitted(segments)
        jobs = await self.receive_all(upload)
        seal = (await self.transferred(jobs[Stage.TRANSFER], upload))[Stage.SEAL]
        await self.finished(jobs[Stage.ASSEMBLE])
        thumbnail = (await self.finished(jobs[Stage.PROBE], {"kind": "video"}))[Stage.THUMBNAIL]
        return upload, await self.started(seal), await self.started(thumbnail)

    async def ready(self) -> Upload:
        upload, seal, thumbnail = await self.before_persist()
        await self.stages.finish(seal, {"etag": "e"})
        persist = self.by_stage((await self.stages.finish(thumbnail, None, skipped=True)).jobs)[Stage.PERSIST]
        await self.finished(persist)
        return await self.board.get(upload.upload_id)

    async def keys(self) -> set[str]:
        """Every key of this test's namespace."""
        found = cast("AsyncIterator[str]", self.parts.client.scan_iter(f"{self.parts.keys.namespace}:*", count=1000))
        return {key async for key in found}

    @staticmethod
    def by_stage(jobs: Collection[StageJob]) -> dict[Stage, StageJob]:
        named = {job.stage: job for job in jobs}
        assert len(named) == len(jobs), "a stage was queued twice"
        return named


async def transfer_job(play: Play) -> StageJob:
    upload = await play.admitted(2)
    return play.by_stage((await play.receive(upload, 1)).jobs)[Stage.TRANSFER]


def cell_state(play: Play, volume: DirectoryTempVolume) -> CellState:
    """The cell of `volume`, with its uploads in this test's namespace."""
    parts = play.parts
    journals = FileUploadJournals(volume.path("any").parent, durable=False)
    return CellState(
        uploads=parts.board,
        segments=parts.segments,
        journals=journals,
        record=UploadRecord(parts.board, parts.board, parts.segments, parts.appends, journals),
        ledger=parts.ledger,
        queue=parts.queue,
        volume=volume,
    )


def recovery_writers(play: Play, cell: CellState) -> RecoveryWriters:
    """What recovery of a cell that `cell_state` made writes to."""
    assert isinstance(cell.journals, FileUploadJournals)
    parts = play.parts
    return RecoveryWriters(parts.board, parts.segments, parts.appends, parts.board, cell.journals)
