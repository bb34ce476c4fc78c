"""`ports.SegmentWriter` on a real Redis: segments that the store has lost, or whose bytes have changed, and what the
reader then needs."""

from __future__ import annotations

import pytest

from pipeline.core.lifecycle import Status
from pipeline.core.model import Upload
from pipeline.core.stages import Stage, StageState
from tests.contract.redis.uploads import Play, crc_of
from tests.contract.redis.windows import (
    READERS,
    choose,
    reads,
    receive,
    set_states,
    stored,
    time_passes,
    transfer_of,
    windowed,
)

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("released", [(1, 2, 3), (2,), ()])
async def test_a_refused_manifest_requests_released_segments_again(play: Play, released: tuple[int, ...]) -> None:
    upload = await windowed(play, segments=3)
    transfer = await transfer_of(play, upload, (1, 2, 3))
    await set_states(play, upload, "done" if len(released) == 3 else "running")
    if not released:
        await reads(play, upload, 2, 3)
    if released == (2,):
        await reads(play, upload, 3)
    for number in (1, 2, 3):
        assert await stored(play, upload, transfer, number) is (number in released)
    seal = await play.started(play.by_stage((await play.stages.finish(transfer, None)).jobs)[Stage.SEAL])
    jobs = play.by_stage(await play.segments.requeue_segments(seal, [1, 2, 3]))
    found = await play.board.get(upload.upload_id)
    assert set(await play.segments.received(upload.upload_id)) == {1, 2, 3}.difference(released)
    assert found.segments_received == 3 - len(released)
    assert (found.segments_stored, found.bytes_released or 0) == (0, 0)
    assert found.status is (Status.RECEIVING if released else Status.PROCESSING)
    assert set(jobs) == (set() if len(released) == 3 else {Stage.TRANSFER})
    assert found.stages[Stage.TRANSFER].state is (StageState.IDLE if len(released) == 3 else StageState.QUEUED)
    assert found.stages[Stage.SEAL].state is StageState.PENDING
    if len(released) == 3:
        assert all(found.stages[stage].state is StageState.DONE for stage in READERS), "what they found stays true"


async def lost_before_its_release_has_ended(play: Play) -> Upload:
    """An upload of two released segments, whose second one the store has lost."""
    upload = await windowed(play, segments=2, window=2)
    transfer = await transfer_of(play, upload, (1, 2))
    await set_states(play, upload, "done")
    for number in (1, 2):
        assert await stored(play, upload, transfer, number)
    seal = await play.started(play.by_stage((await play.stages.finish(transfer, None)).jobs)[Stage.SEAL])
    assert await play.segments.requeue_segments(seal, [2]) == ()
    return upload


async def lost(play: Play) -> Upload:
    """The same, when the release has ended."""
    upload = await lost_before_its_release_has_ended(play)
    await play.segments.record_given(upload.upload_id, [1, 2])
    return upload


async def test_a_segment_that_is_sent_again_must_have_the_same_bytes(play: Play) -> None:
    upload = await lost(play)
    assert (await play.segments.claim(upload.upload_id, 2, "a", 60)).claimed
    verdict = await play.segments.record_received(upload.upload_id, 2, 10, 7, "a")
    assert (verdict.accepted, verdict.refused) == (False, "differs")
    assert (await play.segments.abandon(upload.upload_id, 2, "a", taken=True)).give
    await play.segments.record_given(upload.upload_id, [2])
    jobs = play.by_stage(await receive(play, upload, 2))
    assert Stage.TRANSFER in jobs
    assert not set(jobs) & set(READERS)
    found = await play.board.get(upload.upload_id)
    assert (found.status, found.segments_received) == (Status.PROCESSING, 2)
    transfer = await play.started(jobs[Stage.TRANSFER])
    assert await stored(play, upload, transfer, 2), "it is released again"
    assert set(play.by_stage((await play.stages.finish(transfer, None)).jobs)) == {Stage.SEAL}


async def test_a_whole_upload_needs_room_for_a_segment_that_is_sent_again(play: Play) -> None:
    upload = await play.admitted(2)
    transfer = await play.started((await play.receive_all(upload))[Stage.TRANSFER])
    await set_states(play, upload, "done", [*READERS, Stage.ASSEMBLE])
    await play.store(transfer, upload, (1, 2))
    assert set((await choose(play, upload)).released) == {1, 2}
    seal = await play.started(play.by_stage((await play.stages.finish(transfer, None)).jobs)[Stage.SEAL])
    await play.segments.requeue_segments(seal, [1])
    await play.segments.record_given(upload.upload_id, [1, 2])
    assert (await play.board.get(upload.upload_id)).takes_room
    assert (await play.receive(upload, 1)).refused == "unclaimed"
    assert (await play.segments.claim(upload.upload_id, 1, "a", 60)).claimed
    assert (await play.segments.abandon(upload.upload_id, 1, "a", taken=True)).give, "its room had been taken"
    await play.segments.record_given(upload.upload_id, [1])
    await receive(play, upload, 1)
    assert (await play.board.get(upload.upload_id)).status is Status.PROCESSING


async def test_nobody_writes_a_lost_segment_before_its_release_has_ended(play: Play) -> None:
    """Otherwise the release would remove the new bytes."""
    upload = await lost_before_its_release_has_ended(play)
    assert not (await play.segments.claim(upload.upload_id, 2, "a", 60)).claimed
    await time_passes(play, upload)  # the worker that was to remove its bytes has died
    order = await choose(play, upload)
    assert (order.released, order.unfinished) == ({1: "etag-1"}, (2,))
    await play.segments.record_given(upload.upload_id, [1, 2])
    assert (await play.segments.claim(upload.upload_id, 2, "a", 60)).claimed


async def test_a_lost_session_requests_released_segments_again(play: Play) -> None:
    upload = await windowed(play, segments=3)
    transfer = await transfer_of(play, upload, (1, 2, 3))
    await play.segments.keep_session(upload.upload_id, "old")
    for number, released in ((1, False), (2, True), (3, True)):
        assert await stored(play, upload, transfer, number) is released
    assert sorted(await play.segments.session_lost(transfer, "old")) == [1, 2, 3]
    events = [event for _, event in await play.parts.client.xrange(play.parts.keys.events)]
    lost = {event["name"]: event["error_code"] for event in events if event["kind"] == "segment"}
    assert lost == {"2": "STORE_SESSION_LOST", "3": "STORE_SESSION_LOST"}, "the first one is still on the temp volume"
    found = await play.board.get(upload.upload_id)
    assert (found.status, found.target_session, found.segments_stored) == (Status.RECEIVING, None, 0)
    assert set(await play.segments.received(upload.upload_id)) == {1}
    assert dict((await play.segments.pending(transfer, 10)).crc32c) == {1: crc_of(1)}
    await play.segments.record_given(upload.upload_id, [2, 3])
    await receive(play, upload, 3)


# -- invalidation


async def test_a_released_segment_is_not_invalidated(play: Play) -> None:
    """Its reader has read the hole that the segment's bytes have left."""
    upload = await windowed(play)
    transfer = await transfer_of(play, upload, (2,))
    assert await stored(play, upload, transfer, 2)
    assert not await play.segments.invalidate(upload.upload_id, 2, crc_of(2))
    assert set(await play.segments.received(upload.upload_id)) == {2}


@pytest.mark.parametrize("state", ["running", "queued", "idle", "done"])
async def test_invalidation_resets_the_reader_whatever_it_does(play: Play, state: str) -> None:
    upload = await windowed(play)
    await transfer_of(play, upload, (1, 2))
    await set_states(play, upload, state, [Stage.PROBE], waits_for="segments", generation="5")
    await set_states(play, upload, "skipped", [Stage.ASSEMBLE])
    assert await play.segments.invalidate(upload.upload_id, 2, crc_of(2))
    found = await play.board.get(upload.upload_id)
    assert found.stages[Stage.PROBE].state is StageState.PENDING
    assert found.stages[Stage.PROBE].waits_for is None
    assert found.stages[Stage.PROBE].fencing_token > 5
    assert found.stages[Stage.ASSEMBLE].state is StageState.SKIPPED, "its client announced no digest"
    assert found.stages[Stage.TRANSFER].state is StageState.RUNNING


# -- what the reader wants


async def test_the_response_to_a_segment_names_those_that_the_reader_wants(play: Play) -> None:
    upload = await windowed(play, segments=6)
    await reads(play, upload, 6, 5)
    assert (await play.segments.claim(upload.upload_id, 1, "a", 60)).claimed
    verdict = await play.segments.record_received(upload.upload_id, 1, 10, 7, "a")
    assert verdict.wanted == (5, 6)
    whole = await play.admitted(120)
    await reads(play, whole, *range(1, 121))
    assert len((await play.receive(whole, 1)).wanted) == 100
    assert (await play.receive(await play.admitted(2), 1)).wanted == ()


async def test_an_idle_reader_is_queued_when_its_segment_arrives(play: Play) -> None:
    upload = await windowed(play)
    await receive(play, upload, 1)
    await reads(play, upload, 6)
    await set_states(play, upload, "idle", [Stage.PROBE], waits_for="segments")
    assert Stage.PROBE not in {job.stage for job in await receive(play, upload, 2)}
    assert Stage.PROBE in {job.stage for job in await receive(play, upload, 6)}
