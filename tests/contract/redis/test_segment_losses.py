"""`ports.SegmentWriter` on a real Redis: segments that were received or stored and are lost."""

from __future__ import annotations

import pytest

from pipeline.core.errors import StageLost
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import Upload
from pipeline.core.stages import Stage, StageState
from pipeline.core.stored_objects import StoredSegment
from pipeline.core.transports import Transport
from pipeline.ports import PendingSegments
from tests.contract.redis.uploads import Play, crc_of
from tests.harness.new_uploads import new_upload

pytestmark = pytest.mark.contract


async def states(play: Play, upload: Upload) -> dict[Stage, StageState]:
    return {stage: status.state for stage, status in (await play.board.get(upload.upload_id)).stages.items()}


# -- a segment whose bytes have changed


async def test_invalidating_a_segment_resets_the_stages_that_read_it(play: Play) -> None:
    upload, seal, thumbnail = await play.before_persist()
    before = await play.board.get(upload.upload_id)
    assert await play.segments.invalidate(upload.upload_id, 2, crc_of(2))
    found = await play.board.get(upload.upload_id)
    assert found.status is Status.RECEIVING
    assert (found.bytes_received, found.segments_received) == (15, 2)
    assert (found.bytes_stored, found.segments_stored) == (15, 2)
    assert [segment.number for segment in await play.segments.stored(upload)] == [1, 3]
    assert set(await play.segments.received(upload.upload_id)) == {1, 3}
    assert await states(play, upload) == dict.fromkeys(Stage, StageState.PENDING) | {Stage.TRANSFER: StageState.IDLE}
    assert await play.stages.results(upload.upload_id) == {}
    for job in (seal, thumbnail):
        with pytest.raises(StageLost):
            await play.stages.finish(job, {"of": "other bytes"})

    # A second call changes nothing. When the segment is sent again, the stages run again with new tokens.
    assert not await play.segments.invalidate(upload.upload_id, 2, crc_of(2))
    again = play.by_stage((await play.receive(upload, 2, crc32c=7)).jobs)
    assert set(again) == {Stage.TRANSFER, Stage.ASSEMBLE, Stage.PROBE}
    assert all(job.fencing_token > before.stages[job.stage].fencing_token for job in again.values())
    await play.started(again[Stage.TRANSFER])
    assert await play.segments.pending(again[Stage.TRANSFER], 10) == PendingSegments({2: 7}, complete=False)
    await play.store(again[Stage.TRANSFER], upload, [2])
    assert set(play.by_stage((await play.stages.finish(again[Stage.TRANSFER], None)).jobs)) == {Stage.SEAL}
    assert set(await play.finished(again[Stage.PROBE])) == {Stage.THUMBNAIL}


async def test_a_segment_that_was_sent_again_meanwhile_stays(play: Play) -> None:
    upload = await play.admitted(2)
    await play.receive_all(upload)
    assert await play.segments.invalidate(upload.upload_id, 2, crc_of(2))
    await play.receive(upload, 2, crc32c=7)
    before = await play.board.get(upload.upload_id)
    assert not await play.segments.invalidate(upload.upload_id, 2, crc_of(2))
    assert await play.board.get(upload.upload_id) == before
    assert (await play.segments.received(upload.upload_id))[2] == 7


async def test_transfer_keeps_running_while_a_segment_is_invalidated(play: Play) -> None:
    upload = await play.admitted(2)
    jobs = await play.receive_all(upload)
    transfer = await play.started(jobs[Stage.TRANSFER])
    assert await play.segments.invalidate(upload.upload_id, 1, crc_of(1))
    assert list((await play.segments.pending(transfer, 10)).crc32c) == [2]
    await play.segments.record_stored(transfer, StoredSegment(1, 10, "of bytes that are gone"))
    assert await play.segments.stored(upload) == []
    verdict = await play.receive(upload, 1, crc32c=7)
    assert {job.stage for job in verdict.jobs} == {Stage.ASSEMBLE, Stage.PROBE}, "transfer is running already"
    assert (await play.segments.pending(transfer, 10)).crc32c == {1: 7, 2: crc_of(2)}


async def test_a_transfer_that_finishes_after_an_invalidation_is_queued_again(play: Play) -> None:
    """An earlier run invalidates a segment after the latest has read that all are stored, before it finishes."""
    upload = await play.admitted(2)
    transfer = await play.started((await play.receive_all(upload))[Stage.TRANSFER])
    await play.store(transfer, upload, [1, 2])
    assert (await play.segments.pending(transfer, 10)).complete
    await play.segments.invalidate(upload.upload_id, 2, crc_of(2))
    jobs = play.by_stage((await play.stages.finish(transfer, None)).jobs)
    assert set(jobs) == {Stage.TRANSFER}
    await play.started(jobs[Stage.TRANSFER])
    assert await play.stages.idle(jobs[Stage.TRANSFER])
    again = play.by_stage((await play.receive(upload, 2, crc32c=7)).jobs)
    assert set(await play.transferred(again[Stage.TRANSFER], upload)) == {Stage.SEAL}


@pytest.mark.parametrize("event", [Event.CANCEL, Event.FAIL])
async def test_segments_of_an_ended_upload_cannot_be_invalidated(play: Play, event: Event) -> None:
    upload = await play.admitted(2)
    await play.receive_all(upload)
    await play.board.apply(upload.upload_id, event)
    assert not await play.segments.invalidate(upload.upload_id, 1, crc_of(1))


# -- segments that the store has lost


async def test_a_refused_manifest_transfers_its_segments_again_and_seals_again(play: Play) -> None:
    upload, seal, thumbnail = await play.before_persist()
    again = play.by_stage(await play.segments.requeue_segments(seal, [3, 1]))
    assert set(again) == {Stage.TRANSFER}
    found = await play.board.get(upload.upload_id)
    assert (found.status, found.bytes_received, found.bytes_stored) == (Status.PROCESSING, 25, 10)
    assert [segment.number for segment in await play.segments.stored(upload)] == [2]
    assert found.stages[Stage.SEAL].error_code == "MANIFEST_REFUSED"
    with pytest.raises(StageLost):
        await play.stages.finish(seal, {"of": "a refused manifest"})
    assert (await play.stages.finish(thumbnail, {})).jobs == (), "persist waits for the seal"

    transfer = await play.started(again[Stage.TRANSFER])
    waiting = await play.segments.pending(transfer, 10)
    assert waiting == PendingSegments({1: crc_of(1), 3: crc_of(3)}, complete=False)
    await play.store(transfer, upload, [1, 3])
    second = play.by_stage((await play.stages.finish(transfer, None)).jobs)[Stage.SEAL]
    assert second.fencing_token > seal.fencing_token
    await play.started(second)
    assert (await play.board.get(upload.upload_id)).stages[Stage.SEAL].attempt == 2, "a refusal is a failed attempt"
    assert set(play.by_stage((await play.stages.finish(second, {})).jobs)) == {Stage.PERSIST}


# -- sessions that the store no longer knows


async def test_a_lost_session_makes_its_segments_pending(play: Play) -> None:
    upload = await play.admitted(4)
    jobs = [job for number in (1, 2, 3) for job in (await play.receive(upload, number)).jobs]
    transfer = await play.started(play.by_stage(jobs)[Stage.TRANSFER])
    await play.segments.keep_session(upload.upload_id, "old")
    await play.store(transfer, upload, [1, 3])
    assert sorted(await play.segments.session_lost(transfer, "old")) == [1, 3]
    found = await play.board.get(upload.upload_id)
    assert (found.target_session, found.bytes_stored, found.segments_stored) == (None, 0, 0)
    assert await play.segments.stored(upload) == []
    assert list((await play.segments.pending(transfer, 10)).crc32c) == [1, 2, 3]

    # A late report of the old session does not touch the new one.
    await play.segments.keep_session(upload.upload_id, "new")
    await play.store(transfer, upload, [2])
    assert await play.segments.session_lost(transfer, "old") == []
    assert [segment.number for segment in await play.segments.stored(upload)] == [2]


async def test_a_session_is_forgotten_only_while_the_upload_is_granted(play: Play) -> None:
    upload = (await play.board.create(new_upload(transport=Transport.DIRECT)))[0]
    await play.segments.keep_session(upload.upload_id, "old")
    await play.segments.forget_session(upload.upload_id, "other")
    assert (await play.board.get(upload.upload_id)).target_session == "old"
    await play.segments.forget_session(upload.upload_id, "old")
    assert (await play.board.get(upload.upload_id)).target_session is None
    await play.segments.keep_session(upload.upload_id, "new")
    stored = [StoredSegment(number, upload.plan.length(number), "e") for number in range(1, upload.plan.count + 1)]
    await play.board.complete(upload.upload_id, stored)
    await play.segments.forget_session(upload.upload_id, "new")
    found = await play.board.get(upload.upload_id)
    assert (found.target_session, found.segments_stored) == ("new", len(stored))
