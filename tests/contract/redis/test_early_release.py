"""`ports.SegmentWriter` on a real Redis: which segments leave the temp volume early, and when a process dies."""

from __future__ import annotations

import pytest

from pipeline.adapters.redis.reads import now_ms
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import StageJob
from pipeline.core.stages import Stage
from pipeline.ports.recording import ReleaseOrder
from tests.contract.redis.uploads import VOLUME, Play, crc_of, until
from tests.contract.redis.windows import (
    choose,
    is_listed,
    reads,
    receive,
    set_states,
    stored,
    time_passes,
    transfer_of,
    windowed,
)

pytestmark = pytest.mark.contract

NOTHING = ReleaseOrder(True, {}, ())


# -- windowed uploads


async def test_a_stored_segment_is_released_at_once_unless_the_reader_needs_it(play: Play) -> None:
    upload = await windowed(play)
    await reads(play, upload, 3)
    transfer = await transfer_of(play, upload, (1, 2, 3))
    assert [await stored(play, upload, transfer, number) for number in (1, 2, 3)] == [False, True, False]
    found = await play.board.get(upload.upload_id)
    assert (found.bytes_received, found.bytes_stored, found.bytes_released) == (30, 30, 10)
    assert await play.segments.released(upload.upload_id) == {2}
    assert await play.segments.received(upload.upload_id) == {number: crc_of(number) for number in (1, 2, 3)}


@pytest.mark.parametrize("how", ["done", "waits for the manifest"])
async def test_the_segments_of_a_reader_are_released_when_it_is_done(play: Play, how: str) -> None:
    upload = await windowed(play)
    transfer = await transfer_of(play, upload, (1, 2))
    assert not await stored(play, upload, transfer, 1)
    assert (await choose(play, upload)).released == {}
    assert await is_listed(play, upload), "it is looked at again: the reader may finish without being noticed"
    if how == "done":
        await set_states(play, upload, "done")
    else:
        await set_states(play, upload, "idle", [Stage.PROBE], waits_for="sealed")
    assert await choose(play, upload) == ReleaseOrder(True, {1: "etag-1"}, ())
    assert await stored(play, upload, transfer, 2), "now segments are released at once"


async def test_a_release_is_repeated_until_it_is_confirmed(play: Play) -> None:
    upload = await windowed(play)
    transfer = await transfer_of(play, upload, (2, 3))
    assert await stored(play, upload, transfer, 2)
    assert await stored(play, upload, transfer, 3)
    for _ in range(2):  # its process has died, and so did the next one
        assert await choose(play, upload) == NOTHING, "another process may be removing their bytes"
        assert await is_listed(play, upload)
        await time_passes(play, upload)
        assert await choose(play, upload) == ReleaseOrder(True, {2: "etag-2", 3: "etag-3"}, ())
        assert await is_listed(play, upload)
    await play.segments.record_given(upload.upload_id, [2])
    await time_passes(play, upload)
    assert (await choose(play, upload)).released == {3: "etag-3"}
    await play.segments.record_given(upload.upload_id, [3])
    assert await choose(play, upload) == NOTHING
    assert not await is_listed(play, upload)
    assert await play.segments.released(upload.upload_id) == {2, 3}


async def test_a_segment_that_another_request_still_writes_is_released_afterwards(play: Play) -> None:
    """Two gateways write the same segment; one is late."""
    upload = await windowed(play)
    assert (await play.segments.claim(upload.upload_id, 2, "late", 60)).claimed
    transfer = await transfer_of(play, upload, (2,))
    assert not await stored(play, upload, transfer, 2)
    assert (await choose(play, upload)).released == {}
    left = await play.segments.abandon(upload.upload_id, 2, "late", taken=True)
    assert (left.punch, left.give) == (False, False), "the room belongs to the segment that has arrived"
    assert await play.segments.to_release(VOLUME, 10) == [upload.upload_id]
    assert (await choose(play, upload)).released == {2: "etag-2"}


@pytest.mark.parametrize("event", [Event.CANCEL, Event.FAIL, Event.EXPIRE])
async def test_an_ended_upload_has_nothing_to_release(play: Play, event: Event) -> None:
    upload = await windowed(play)
    transfer = await transfer_of(play, upload, (2,))
    assert await stored(play, upload, transfer, 2)
    await play.board.apply(upload.upload_id, event)
    assert not await is_listed(play, upload)
    assert await choose(play, upload) == ReleaseOrder(False, {}, ())
    await play.board.mark_cleaned(upload.upload_id)
    left = {key.rpartition(":")[2] for key in await play.keys() if upload.upload_id in key}
    assert not left & {"reads", "released", "expected", "writing", "giving"}


# -- whole uploads


async def test_a_whole_upload_releases_when_nothing_reads_it_any_more(play: Play) -> None:
    upload = await play.admitted(3)
    jobs = [job for number in (1, 2) for job in (await play.receive(upload, number)).jobs]
    transfer = await play.started(next(job for job in jobs if job.stage is Stage.TRANSFER))
    assert not await stored(play, upload, transfer, 1)
    assert await choose(play, upload) == ReleaseOrder(False, {}, ())
    await set_states(play, upload, "done")
    await set_states(play, upload, "pending", [Stage.ASSEMBLE])
    assert (await choose(play, upload)).released == {}, "the digest of the whole file is not verified yet"
    await set_states(play, upload, "skipped", [Stage.ASSEMBLE])
    assert not await stored(play, upload, transfer, 2), "the admission worker does it"
    assert await is_listed(play, upload)
    assert (await choose(play, upload)).released == {1: "etag-1", 2: "etag-2"}
    assert (await play.board.get(upload.upload_id)).bytes_released == 20


async def test_the_end_of_the_last_reader_starts_the_release(play: Play) -> None:
    upload, seal, thumbnail = await play.before_persist()
    assert not await is_listed(play, upload)
    await play.stages.finish(thumbnail, {})
    assert await is_listed(play, upload)
    assert await play.segments.to_release(VOLUME, 10) == [], "an upload that is ready within a second needs none"
    persist = play.by_stage((await play.stages.finish(seal, {})).jobs)[Stage.PERSIST]
    await play.finished(persist)
    assert not await is_listed(play, upload), "it has become a content"


# -- requests that fail


async def test_only_a_claimed_segment_of_a_window_is_recorded(play: Play) -> None:
    upload = await windowed(play)
    verdict = await play.segments.record_received(upload.upload_id, 2, 10, 7)
    assert (verdict.accepted, verdict.refused) == (False, "unclaimed")
    verdict = await play.segments.record_received(upload.upload_id, 2, 10, 7, "another's token")
    assert (verdict.accepted, verdict.refused) == (False, "unclaimed")
    await receive(play, upload, 2)
    claim = await play.segments.claim(upload.upload_id, 2, "again", 60)
    assert (claim.claimed, claim.crc32c) == (False, crc_of(2))


async def test_a_failed_request_gives_its_room_back(play: Play) -> None:
    upload = await windowed(play)
    assert (await play.segments.claim(upload.upload_id, 2, "a", 60)).claimed
    left = await play.segments.abandon(upload.upload_id, 2, "a", taken=True)
    assert (left.punch, left.give) == (True, True)
    blocked = await play.segments.claim(upload.upload_id, 2, "b", 60)
    assert not blocked.claimed, "its bytes may be removed at any moment"
    assert (await choose(play, upload)).unfinished == (), "a second process would remove what the next request writes"
    await time_passes(play, upload)
    assert (await choose(play, upload)).unfinished == (2,), "the process has died"
    await play.segments.record_given(upload.upload_id, [2])
    assert (await play.segments.claim(upload.upload_id, 2, "b", 60)).claimed


@pytest.mark.parametrize("taken", [False, True])
async def test_of_two_requests_that_fail_the_last_one_gives_the_room_back(play: Play, taken: bool) -> None:
    upload = await windowed(play)
    for token in "ab":
        assert (await play.segments.claim(upload.upload_id, 2, token, 60)).claimed
    assert not (await play.segments.abandon(upload.upload_id, 2, "a", taken=True)).give
    assert (await play.segments.abandon(upload.upload_id, 2, "b", taken=taken)).give is taken


async def test_room_of_a_dead_gateway_is_given_back_after_its_deadline(play: Play) -> None:
    upload = await windowed(play)
    assert (await play.segments.claim(upload.upload_id, 2, "dead", 0.05)).claimed
    assert (await play.segments.claim(upload.upload_id, 3, "alive", 60)).claimed

    async def lapsed() -> bool:
        return (await choose(play, upload)).unfinished == (2,)

    await until(lapsed)
    assert await choose(play, upload) == NOTHING, "one admission worker does it"
    late = await play.segments.record_received(upload.upload_id, 2, 10, 7, "dead")
    assert late.refused == "unclaimed", "a gateway that was only frozen does not record a segment without room"
    await play.segments.record_given(upload.upload_id, [2])
    assert await choose(play, upload) == NOTHING
    assert await is_listed(play, upload), "the other request may die too"


async def test_a_late_request_removes_its_bytes_of_a_released_segment(play: Play) -> None:
    """Its claim had ended, or its upload had not released anything yet when it began."""
    upload = await windowed(play)
    transfer = await transfer_of(play, upload, (2,))
    assert await stored(play, upload, transfer, 2)
    left = await play.segments.abandon(upload.upload_id, 2, None, taken=False)
    assert (left.punch, left.give) == (True, False)


async def test_a_failed_request_of_a_whole_upload_keeps_its_room(play: Play) -> None:
    upload = await play.admitted(3)
    left = await play.segments.abandon(upload.upload_id, 2, None, taken=True)
    assert (left.punch, left.give) == (False, False)


async def test_unaccounted_bytes_are_those_that_neither_arrived_nor_are_being_written(play: Play) -> None:
    upload = await windowed(play)
    transfer = await transfer_of(play, upload, (1, 2, 3))
    assert await stored(play, upload, transfer, 2)
    assert (await play.segments.claim(upload.upload_id, 5, "a", 60)).claimed
    assert (await play.segments.unaccounted(upload.upload_id)).unfinished == (2, 4, 6)
    assert not (await play.segments.claim(upload.upload_id, 4, "b", 60)).claimed
    assert (await choose(play, upload)).unfinished == ()
    assert not (await play.segments.claim(upload.upload_id, 4, "b", 60)).claimed, "until their bytes are removed"
    await play.segments.record_given(upload.upload_id, [], all_segments=True)
    assert (await play.segments.claim(upload.upload_id, 4, "b", 60)).claimed
    whole = await play.admitted(3)
    assert (await play.segments.unaccounted(whole.upload_id)).unfinished == ()


async def test_a_dead_gateway_does_not_keep_a_segment_on_the_volume(play: Play) -> None:
    """Its client has sent the segment again through another one. A request that still writes has a moment to notice."""
    upload = await windowed(play)
    assert (await play.segments.claim(upload.upload_id, 2, "dead", 600)).claimed
    await transfer_of(play, upload, (2,))
    writing = f"{play.parts.keys.upload(upload.upload_id)}:writing"
    ((_, until_ms),) = await play.parts.client.zrange(writing, 0, -1, withscores=True)
    assert until_ms < await now_ms(play.parts.client) + 10_000


# -- recovery


async def test_a_released_segment_is_restored_without_being_transferred_again(play: Play) -> None:
    """Its bytes are not on the temp volume: a transfer would take them for changed."""
    upload = await windowed(play, segments=3)
    jobs: list[StageJob] = []
    for number in (1, 2, 3):
        verdict = await play.segments.record_received(
            upload.upload_id, number, 10, crc_of(number), restored=True, etag=f"etag-{number}"
        )
        assert verdict.accepted
        jobs += verdict.jobs
    found = await play.board.get(upload.upload_id)
    assert (found.status, found.segments_stored, found.bytes_released) == (Status.PROCESSING, 3, 30)
    transfer = await play.started(next(job for job in jobs if job.stage is Stage.TRANSFER))
    assert (await play.segments.pending(transfer, 10)).complete
    assert (await choose(play, upload)).released == {number: f"etag-{number}" for number in (1, 2, 3)}


async def test_restored_segments_need_no_claim_and_are_released_again(play: Play) -> None:
    upload = await windowed(play)
    for number in (1, 2, 3):
        verdict = await play.segments.record_received(upload.upload_id, number, 10, crc_of(number), restored=True)
        assert verdict.accepted
    etags = {1: "etag-1", 2: "etag-2", 5: "etag-5"}
    assert await play.segments.restore_stored(upload.upload_id, etags, [2, 3, 5]) == 3
    found = await play.board.get(upload.upload_id)
    assert (found.segments_stored, found.bytes_released) == (2, 10)
    assert await play.segments.to_release(VOLUME, 10) == [upload.upload_id]
    assert (await choose(play, upload)).released == {2: "etag-2"}
    assert await play.segments.restore_stored(upload.upload_id, etags, [2, 3, 5]) == 0
