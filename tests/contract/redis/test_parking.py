"""`ports.StageReads` on a real Redis: a stage announces segments, waits without a worker, and is never left waiting."""

from __future__ import annotations

import asyncio
import random

import pytest

from pipeline.core.errors import StageLost
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import StageJob, Upload
from pipeline.core.reading import MAX_REQUESTS
from pipeline.core.stages import Stage, StageState
from pipeline.core.stored_objects import ObjectVersion
from pipeline.core.transports import Transport
from pipeline.ports import HeldSegment
from tests.contract.redis.uploads import DIGEST, SEGMENT_BYTES, Play, crc_of
from tests.harness.new_uploads import new_upload
from tests.harness.redis_calls import reply

pytestmark = pytest.mark.contract


async def reading(play: Play, segments: int = 4, **more: object) -> tuple[Upload, StageJob]:
    """An upload whose first segment has arrived, and the running probe."""
    upload = await play.admitted(segments, **more)
    jobs = play.by_stage((await play.receive(upload, 1)).jobs)
    return upload, await play.started(jobs[Stage.PROBE])


async def status_of(play: Play, upload: Upload, stage: Stage = Stage.PROBE) -> tuple[StageState, str | None]:
    status = (await play.board.get(upload.upload_id)).stages[stage]
    return status.state, status.waits_for


async def wanted(play: Play, upload: Upload) -> set[int]:
    return set((await play.board.snapshot(upload.upload_id)).wanted)


async def events_of(play: Play, upload: Upload, kind: str) -> list[tuple[str, str]]:
    entries = await play.parts.client.xrange(play.parts.keys.events)
    return [
        (entry["name"], entry["value"])
        for _, entry in entries
        if (entry["upload_id"], entry["kind"]) == (upload.upload_id, kind)
    ]


async def test_a_stage_waits_for_the_segments_that_it_has_requested(play: Play) -> None:
    upload, probe = await reading(play, 5)
    assert await play.stages.want(probe, [4, 2, 1], None)
    assert await wanted(play, upload) == {2, 4}, "the first segment has arrived"
    assert await status_of(play, upload) == (StageState.RUNNING, None)
    assert await play.stages.park(probe, [4, 2, 1], None)
    assert await status_of(play, upload) == (StageState.IDLE, "segments")
    assert await events_of(play, upload, "wanted") == [("2", "probe"), ("4", "probe")], "announced once"
    with pytest.raises(StageLost):
        await play.stages.renew(probe)
    assert await play.parts.ended.idle(upload.upload_id), "no worker is held"
    assert list(await play.impatient(lease_ms=1).overdue(10)) == []

    assert (await play.receive(upload, 3)).jobs == (), "it does not wait for this one"
    assert (await play.receive(upload, 4)).jobs == (), "one that it waits for is still missing"
    assert await wanted(play, upload) == {2}
    (again,) = (await play.receive(upload, 2)).jobs
    assert again.stage is Stage.PROBE
    assert again.fencing_token > probe.fencing_token
    assert await wanted(play, upload) == set()
    assert await status_of(play, upload) == (StageState.QUEUED, None)


async def test_a_segment_that_arrives_before_the_stage_is_parked_does_not_park_it(play: Play) -> None:
    upload, probe = await reading(play)
    assert await play.stages.want(probe, [3], None)
    assert (await play.receive(upload, 3)).jobs == (), "the run is still there"
    assert not await play.stages.want(probe, [3], None)
    assert not await play.stages.park(probe, [3], None)
    await play.stages.renew(probe)


async def test_arrivals_race_with_parking(play: Play) -> None:
    """Whatever comes first: the run goes on, or the arrival queues the stage, exactly once."""

    async def one(seed: int) -> bool:
        dice = random.Random(seed)
        upload, probe = await reading(play)

        async def send() -> list[StageJob]:
            for _ in range(dice.randrange(4)):
                await play.stages.results(upload.upload_id)
            return list((await play.receive(upload, 3)).jobs)

        async def wait() -> bool:
            for _ in range(dice.randrange(4)):
                await play.stages.results(upload.upload_id)
            return await play.stages.park(probe, [3], None)

        jobs, parked = await asyncio.gather(send(), wait())
        assert [job.stage for job in jobs] == ([Stage.PROBE] if parked else [])
        return parked

    outcomes = await asyncio.gather(*(one(seed) for seed in range(100)))
    assert set(outcomes) == {True, False}, "both orders were seen"


async def test_a_stage_that_requests_too_often_waits_for_every_segment(play: Play) -> None:
    upload, probe = await reading(play, MAX_REQUESTS + 3)
    for number in range(2, MAX_REQUESTS + 2):
        assert await play.stages.want(probe, [number], None)
        await play.receive(upload, number)
    last = MAX_REQUESTS + 2
    assert not await play.stages.want(probe, [last], None), "it must not wait for it itself"
    assert await play.stages.park(probe, [last], None)
    assert await status_of(play, upload) == (StageState.IDLE, "received")
    assert await wanted(play, upload) == set()
    assert (await play.receive(upload, last)).jobs == ()
    jobs = play.by_stage((await play.receive(upload, last + 1)).jobs)
    assert set(jobs) == {Stage.PROBE, Stage.ASSEMBLE}


async def test_the_end_of_seal_wakes_what_waits_for_the_object(play: Play) -> None:
    """Also assemble, which reads a windowed upload from the store."""
    upload = await play.admitted(2, window_bytes=2 * SEGMENT_BYTES)
    jobs = await play.receive_all(upload)
    for stage in (Stage.PROBE, Stage.ASSEMBLE):
        await play.started(jobs[stage])
        assert await play.stages.park(jobs[stage], [], 1, sealed=True)
        assert await status_of(play, upload, stage) == (StageState.IDLE, "sealed")
    (seal,) = (await play.transferred(jobs[Stage.TRANSFER], upload)).values()
    woken = await play.finished(seal, {"etag": "e"})
    assert set(woken) == {Stage.PROBE, Stage.ASSEMBLE}
    assert not await play.stages.park(await play.started(woken[Stage.PROBE]), [], 1, sealed=True), "the object is there"


async def test_what_waits_for_segments_is_woken_when_there_are_no_more(play: Play) -> None:
    """A stage that another release let wait for a segment it had then received, for example."""
    upload, probe = await reading(play, 2)
    assert await play.stages.park(probe, [2], None)
    await reply(play.parts.client.srem(f"{play.parts.keys.upload(upload.upload_id)}:reads", 2))
    jobs = play.by_stage((await play.receive(upload, 2)).jobs)
    assert Stage.PROBE in jobs


async def test_a_lost_segment_is_wanted_again_and_the_reader_starts_over(play: Play) -> None:
    upload, probe = await reading(play)
    assert await play.stages.park(probe, [3], None)
    (again,) = (await play.receive(upload, 3)).jobs
    await play.started(again)
    assert await play.segments.invalidate(upload.upload_id, 3, crc_of(3))
    with pytest.raises(StageLost):
        await play.stages.finish(again, {"of": "wrong bytes"})
    assert await wanted(play, upload) == {3}
    assert await status_of(play, upload) == (StageState.PENDING, None)
    assert Stage.PROBE in play.by_stage((await play.receive(upload, 3, crc32c=7)).jobs)


@pytest.mark.parametrize("event", [Event.CANCEL, Event.EXPIRE, Event.FAIL])
async def test_a_waiting_stage_stops_with_its_upload(play: Play, event: Event) -> None:
    upload, probe = await reading(play)
    await play.stages.park(probe, [3], None)
    await play.board.apply(upload.upload_id, event)
    assert (await status_of(play, upload))[0] is StageState.STOPPED
    assert await play.parts.ended.idle(upload.upload_id)
    assert await wanted(play, upload) == set()
    await play.board.mark_cleaned(upload.upload_id)
    assert not [key for key in await play.keys() if key.endswith((":reads", ":pending"))]


# -- where the bytes of segments are


async def test_a_run_learns_where_segments_are(play: Play) -> None:
    upload, probe = await reading(play)
    assert await play.stages.hold(probe, [1, 2], None) == {1: HeldSegment(crc_of(1), on_volume=True, stored=False)}
    key = play.parts.keys.upload(upload.upload_id)
    await reply(play.parts.client.sadd(f"{key}:released", 1))
    await reply(play.parts.client.hset(key, "bytes_released", "10"))
    await reply(play.parts.client.hset(play.parts.keys.stored(upload.upload_id), "1", "e"))
    assert await play.stages.hold(probe, [1], None) == {1: HeldSegment(crc_of(1), on_volume=False, stored=True)}
    assert await wanted(play, upload) == set(), "a whole upload holds everything anyway"


async def test_a_reader_holds_some_segments_of_a_window(play: Play) -> None:
    upload = await play.admitted(6, window_bytes=4 * SEGMENT_BYTES)
    assert await wanted(play, upload) == {1}, "the reader begins with it"
    probe = await play.started(play.by_stage((await play.receive(upload, 1)).jobs)[Stage.PROBE])
    for number in (2, 3, 4):
        await play.receive(upload, number)
    held = await play.stages.hold(probe, [1, 2, 3, 4], 3)
    assert [held[number].on_volume for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert await play.stages.hold(probe, [1, 2, 3, 4], 3) == held
    # No room for a request either: the reader waits for the object and holds nothing.
    assert not await play.stages.want(probe, [5], 3)
    assert await play.stages.park(probe, [5], 3)
    assert await status_of(play, upload) == (StageState.IDLE, "sealed")
    assert not [key for key in await play.keys() if key.endswith(":reads")]
    assert await play.parts.client.zscore(f"{play.parts.keys.volume('local')}:releasing", upload.upload_id) is not None


async def test_a_reader_of_stored_segments_holds_none_that_has_arrived(play: Play) -> None:
    """Only those that it waits for count, and of more than it may wait for, the first ones come first."""
    upload = await play.admitted(9, window_bytes=4 * SEGMENT_BYTES)
    jobs = play.by_stage((await play.receive(upload, 1)).jobs)
    probe, transfer = await play.started(jobs[Stage.PROBE]), await play.started(jobs[Stage.TRANSFER])
    for number in (2, 3, 4):
        await play.receive(upload, number)
    held = await play.stages.hold(probe, [1, 2, 3, 4], 2, from_store=True)
    assert all(place.on_volume and not place.stored for place in held.values())
    assert not [key for key in await play.keys() if key.endswith(":reads")]
    await play.store(transfer, upload, [1])
    assert 1 in await play.segments.released(upload.upload_id), "what is stored leaves the window at once"

    assert await play.stages.want(probe, [5, 7, 8, 9], 2, from_store=True)
    assert await wanted(play, upload) == {5, 7}
    assert await play.stages.want(probe, [5, 7, 8, 9], 2, from_store=True), "it asks for the same again"
    assert await wanted(play, upload) == {5, 7}
    await play.receive(upload, 5)
    assert await play.stages.park(probe, [7, 8, 9], 2, from_store=True)
    assert await wanted(play, upload) == {7, 8}, "what has arrived makes room for the next request"
    assert await status_of(play, upload) == (StageState.IDLE, "segments")
    assert (await play.receive(upload, 7)).jobs == ()
    again = play.by_stage((await play.receive(upload, 8)).jobs)[Stage.PROBE]
    await play.started(again)
    assert not await play.stages.park(again, [8], 2, from_store=True)
    assert await play.stages.park(again, [9], 2, from_store=True)
    assert await wanted(play, upload) == {9}


async def test_what_the_reader_held_is_released_when_it_reads_from_the_store(play: Play) -> None:
    """It was stored before the reader looked at it."""
    upload = await play.admitted(6, window_bytes=4 * SEGMENT_BYTES)
    jobs = play.by_stage((await play.receive(upload, 1)).jobs)
    probe, transfer = await play.started(jobs[Stage.PROBE]), await play.started(jobs[Stage.TRANSFER])
    await play.store(transfer, upload, [1])
    assert not await play.segments.released(upload.upload_id), "the reader begins with it"
    await play.stages.hold(probe, [1], 2, from_store=True)
    assert upload.upload_id in await play.segments.to_release("local", 10)
    assert set((await play.segments.choose_releases(upload.upload_id, "local", 10)).released) == {1}


async def test_another_waiting_stage_does_not_release_what_the_reader_holds(play: Play) -> None:
    upload = await play.admitted(2, window_bytes=2 * SEGMENT_BYTES)
    jobs = await play.receive_all(upload)
    await play.stages.park(await play.started(jobs[Stage.ASSEMBLE]), [], 1, sealed=True)
    assert [key for key in await play.keys() if key.endswith(":reads")]


# -- what becomes of the metadata


async def test_metadata_is_shown_before_the_last_segment_and_kept_after_the_cleanup(play: Play) -> None:
    upload, probe = await reading(play)
    assert (await play.board.snapshot(upload.upload_id)).media is None
    await play.stages.finish(probe, {"kind": "video"}, also={Stage.THUMBNAIL: None})
    found = await play.board.snapshot(upload.upload_id)
    assert (found.upload.status, found.media) == (Status.RECEIVING, {"kind": "video"})
    [listed] = await play.board.page(None, None, 10)
    assert listed.media is None
    await play.board.apply(upload.upload_id, Event.CANCEL)
    await play.board.mark_cleaned(upload.upload_id)
    assert (await play.board.snapshot(upload.upload_id)).media == {"kind": "video"}


async def test_a_thumbnail_that_has_begun_is_left_alone(play: Play) -> None:
    upload, _, thumbnail = await play.before_persist()
    assert await play.segments.invalidate(upload.upload_id, 2, crc_of(2))
    jobs = play.by_stage((await play.receive(upload, 2)).jobs)
    following = await play.finished(jobs[Stage.PROBE], {"kind": "video"})
    again = await play.started(following[Stage.THUMBNAIL])
    assert again.fencing_token > thumbnail.fencing_token
    await play.stages.finish(again, {"key": "its own"})
    assert (await play.stages.results(upload.upload_id))[Stage.THUMBNAIL] == {"key": "its own"}


@pytest.mark.parametrize("transport", [Transport.GATEWAY, Transport.IMPORT])
async def test_the_end_of_the_reader_lets_the_temp_volume_release_bytes(play: Play, transport: Transport) -> None:
    source = ObjectVersion("raw", "a", "e") if transport is Transport.IMPORT else None
    upload, _ = await play.board.create(new_upload(transport=transport, source=source, digest=DIGEST))
    jobs = upload.queued_jobs
    if transport is Transport.GATEWAY:
        await play.board.admit(upload.upload_id)
        jobs = list((await play.receive_all(upload)).values())
    named = play.by_stage(jobs)
    releasing = f"{play.parts.keys.volume('local')}:releasing"
    await play.started(named[Stage.PROBE])
    await play.stages.finish(named[Stage.PROBE], {}, also={Stage.THUMBNAIL: None})
    assert await play.parts.client.zscore(releasing, upload.upload_id) is None, "the digest is yet to be compared"
    if Stage.ASSEMBLE in named:
        await play.finished(named[Stage.ASSEMBLE])
        assert await play.parts.client.zscore(releasing, upload.upload_id) is not None
