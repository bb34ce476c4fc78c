"""`ports.SegmentReader` and `SegmentWriter` on a real Redis: each segment counts once, in any order of calls."""

from __future__ import annotations

import asyncio
import random

import pytest

from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import ENDED, Event, Status
from pipeline.core.model import StageJob, Upload
from pipeline.core.stages import Stage, StageState
from pipeline.core.stored_objects import StoredSegment
from tests.contract.redis.uploads import Play, crc_of
from tests.harness.new_uploads import new_upload

pytestmark = pytest.mark.contract


async def test_the_first_segment_starts_transfer_and_probe_and_the_last_one_assemble(play: Play) -> None:
    upload = await play.admitted(3)
    verdict = await play.receive(upload, 2)
    assert (verdict.status, verdict.accepted) == (Status.RECEIVING, True)
    assert {job.stage for job in verdict.jobs} == {Stage.TRANSFER, Stage.PROBE}
    assert (await play.receive(upload, 3)).jobs == ()
    verdict = await play.receive(upload, 1)
    assert (verdict.status, verdict.accepted) == (Status.PROCESSING, True)
    assert [job.stage for job in verdict.jobs] == [Stage.ASSEMBLE]
    found = await play.board.get(upload.upload_id)
    assert (found.bytes_received, found.segments_received) == (25, 3)
    assert await play.segments.received(upload.upload_id) == {number: crc_of(number) for number in (1, 2, 3)}
    assert await play.segments.received(upload.upload_id, [2, 9]) == {2: crc_of(2)}
    assert await play.segments.received(upload.upload_id, []) == {}


async def test_a_single_segment_is_the_first_and_the_last(play: Play) -> None:
    upload = await play.admitted(1)
    verdict = await play.receive(upload, 1)
    assert verdict.status is Status.PROCESSING
    assert {job.stage for job in verdict.jobs} == {Stage.TRANSFER, Stage.PROBE, Stage.ASSEMBLE}


async def test_without_a_digest_nothing_assembles(play: Play) -> None:
    upload = await play.admitted(1, digest=None)
    assert upload.stages[Stage.ASSEMBLE].state is StageState.SKIPPED
    assert {job.stage for job in (await play.receive(upload, 1)).jobs} == {Stage.TRANSFER, Stage.PROBE}


async def test_a_received_segment_does_not_change(play: Play) -> None:
    upload = await play.admitted(2)
    await play.receive(upload, 1)
    verdict = await play.receive(upload, 1, crc32c=0xFFFFFFFF)
    assert (verdict.accepted, verdict.jobs) == (False, ())
    assert await play.segments.received(upload.upload_id) == {1: crc_of(1)}
    assert (await play.board.get(upload.upload_id)).bytes_received == 10


async def test_a_segment_from_many_senders_is_counted_once(play: Play) -> None:
    """Every segment is sent five times, in random order, concurrently."""
    for seed in range(5):
        upload = await play.admitted(20)
        numbers = list(range(1, 21)) * 5
        random.Random(seed).shuffle(numbers)
        verdicts = await asyncio.gather(*(play.receive(upload, number) for number in numbers))
        assert sum(verdict.accepted for verdict in verdicts) == 20
        jobs = play.by_stage([job for verdict in verdicts for job in verdict.jobs])
        assert set(jobs) == {Stage.TRANSFER, Stage.PROBE, Stage.ASSEMBLE}
        found = await play.board.get(upload.upload_id)
        assert (found.status, found.bytes_received, found.segments_received) == (Status.PROCESSING, 195, 20)


@pytest.mark.parametrize("event", [None, Event.CANCEL, Event.FAIL, Event.EXPIRE])
async def test_a_waiting_or_ended_upload_accepts_no_segment(play: Play, event: Event | None) -> None:
    upload, _ = await play.board.create(new_upload())
    if event:
        await play.board.apply(upload.upload_id, event)
    verdict = await play.receive(upload, 1)
    assert not verdict.accepted
    assert (verdict.status in ENDED) == (event is not None)
    assert await play.segments.received(upload.upload_id) == {}


async def test_pending_segments_come_in_order_until_all_are_stored(play: Play) -> None:
    upload = await play.admitted(4)
    jobs = [job for number in (3, 1, 4) for job in (await play.receive(upload, number)).jobs]
    transfer = await play.started(play.by_stage(jobs)[Stage.TRANSFER])
    assert list((await play.segments.pending(transfer, 2)).crc32c.items()) == [(1, crc_of(1)), (3, crc_of(3))]
    await play.store(transfer, upload, [3, 3])
    waiting = await play.segments.pending(transfer, 10)
    assert (list(waiting.crc32c), waiting.complete) == ([1, 4], False)
    found = await play.board.get(upload.upload_id)
    assert (found.bytes_stored, found.segments_stored) == (10, 1)
    await play.receive(upload, 2)
    await play.store(transfer, upload, [4, 2, 1])
    waiting = await play.segments.pending(transfer, 10)
    assert (dict(waiting.crc32c), waiting.complete) == ({}, True)
    assert [segment.number for segment in await play.segments.stored(upload)] == [1, 2, 3, 4]
    assert (await play.segments.stored(upload))[3] == StoredSegment(4, 5, "etag-4")
    assert (await play.board.get(upload.upload_id)).bytes_stored == upload.size_bytes


async def test_the_latest_etag_of_a_segment_is_kept(play: Play) -> None:
    upload = await play.admitted(2)
    transfer = await play.started(play.by_stage((await play.receive(upload, 1)).jobs)[Stage.TRANSFER])
    for etag in ("first", "second"):
        await play.segments.record_stored(transfer, StoredSegment(1, 10, etag))
    assert await play.segments.stored(upload) == [StoredSegment(1, 10, "second")]


async def test_the_first_of_many_sessions_is_kept(play: Play) -> None:
    upload = await play.admitted()
    sessions = await asyncio.gather(
        *(play.segments.keep_session(upload.upload_id, f"session-{number}") for number in range(10))
    )
    assert len(set(sessions)) == 1
    assert (await play.board.get(upload.upload_id)).target_session == sessions[0]


async def test_a_session_of_an_upload_that_redis_has_lost_is_not_recorded(play: Play) -> None:
    with pytest.raises(RequestError) as refused:
        await play.segments.keep_session("lost", "session")
    assert refused.value.code == "UPLOAD_NOT_FOUND"
    assert await play.keys() == set()


# -- arrivals while transfer becomes idle


async def transfer_worker(play: Play, upload: Upload, queue: asyncio.Queue[StageJob], sealed: list[StageJob]) -> int:
    """Plays `stages.transfer` without a store; becomes idle whenever nothing is pending. Returns how often it was
    idle."""
    idled = 0
    while not sealed:
        job = await play.started(await queue.get())
        while True:
            waiting = await play.segments.pending(job, 3)
            if waiting.complete:
                sealed += (await play.stages.finish(job, None)).jobs
                return idled
            await play.store(job, upload, waiting.crc32c)
            if not waiting.crc32c and await play.stages.idle(job):
                idled += 1
                break
    return idled


async def test_no_segment_is_left_behind_when_transfer_becomes_idle(play: Play) -> None:
    """Becoming idle races with the next arrival hundreds of times; a lost segment would leave the upload waiting."""
    idled = 0

    async def one_upload(seed: int) -> None:
        nonlocal idled
        dice = random.Random(seed)
        upload = await play.admitted(40)
        queue: asyncio.Queue[StageJob] = asyncio.Queue()
        sealed: list[StageJob] = []

        async def sender(numbers: list[int]) -> None:
            for number in numbers:
                for job in (await play.receive(upload, number)).jobs:
                    if job.stage is Stage.TRANSFER:
                        queue.put_nowait(job)
                for _ in range(dice.randrange(16)):  # about as many round trips as the worker needs to become idle
                    await play.stages.results(upload.upload_id)

        numbers = list(range(1, 41))
        dice.shuffle(numbers)
        worker = asyncio.create_task(transfer_worker(play, upload, queue, sealed))
        await asyncio.gather(*(sender(numbers[start::2]) for start in range(2)))
        async with asyncio.timeout(60):
            idled += await worker
        assert [job.stage for job in sealed] == [Stage.SEAL]
        assert queue.empty(), "transfer was queued again without need"
        found = await play.board.get(upload.upload_id)
        assert found.segments_stored == 40

    for round_number in range(10):  # a busy machine changes how often they meet
        await asyncio.gather(*(one_upload(12 * round_number + number) for number in range(12)))
        if idled > 100:
            break
    assert idled > 100, f"the race was run {idled} times only"
