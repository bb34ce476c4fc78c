"""`ports.UploadReader`, `UploadWriter` and `EndedList` on a real Redis."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from pipeline.adapters.redis.reads import now_ms
from pipeline.adapters.redis.scripts import Scripts
from pipeline.adapters.redis.upload_board import RedisUploadBoard
from pipeline.bootstrap import RedisParts
from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import ENDED, TRANSITIONS, Event, Status
from pipeline.core.model import ClientDigest, Upload
from pipeline.core.stages import Stage, StageState
from pipeline.core.transports import Transport
from tests.contract.redis.uploads import VOLUME, Play, until
from tests.harness.new_uploads import new_upload
from tests.harness.redis_calls import reply

pytestmark = pytest.mark.contract

WAYS: dict[Status, tuple[Event, ...]] = {
    Status.GRANTED: (),
    Status.WAITING: (),
    Status.ADMITTED: (Event.ADMIT,),
    Status.RECEIVING: (Event.ADMIT, Event.SEGMENT_RECEIVED),
    Status.PROCESSING: (Event.ADMIT, Event.ALL_RECEIVED),
    Status.HELD: (Event.ADMIT, Event.ALL_RECEIVED, Event.STORED),
    Status.JOINED: (Event.ADMIT, Event.ALL_RECEIVED, Event.STORED, Event.JOIN),
    Status.READY: (Event.ADMIT, Event.ALL_RECEIVED, Event.PERSISTED),
    Status.FAILED: (Event.FAIL,),
    Status.EXPIRED: (Event.EXPIRE,),
    Status.CANCELLED: (Event.CANCEL,),
}


async def test_an_upload_reads_as_it_was_created(play: Play) -> None:
    new = new_upload(
        filename='Ünïcödé "quoted" 日本.mp4',
        size_bytes=2**53 - 1,
        segment_bytes=2**40,
        digest=ClientDigest("sha-256", bytes(range(32))),
        metadata={"a]==]b": "line\nbreak", "empty": "", "😀": "|:,"},
    )
    upload, created = await play.board.create(new)
    assert created
    assert upload == await play.board.get(new.upload_id)
    for name in ("filename", "size_bytes", "segment_bytes", "content_type", "volume", "store", "digest", "metadata"):
        assert getattr(upload, name) == getattr(new, name), name
    assert upload.status is Status.WAITING
    assert abs(upload.created_at_ms - await now_ms(play.parts.client)) < 5_000
    assert upload.created_at_ms == upload.updated_at_ms == upload.status_since_ms
    assert {stage: status.state for stage, status in upload.stages.items()} == dict.fromkeys(Stage, StageState.PENDING)
    assert (upload.bytes_received, upload.bytes_stored, upload.segments_received, upload.segments_stored) == (0,) * 4


async def test_a_repeated_key_is_the_same_upload(play: Play) -> None:
    first, _ = await play.board.create(new_upload(idempotency_key="k", fingerprint="f"))
    again, created = await play.board.create(new_upload(idempotency_key="k", fingerprint="f"))
    assert (again, created) == (first, False)
    with pytest.raises(RequestError) as refused:
        await play.board.create(new_upload(idempotency_key="k", fingerprint="another request"))
    assert refused.value.code == "IDEMPOTENCY_KEY_REUSED"
    assert [item.upload.upload_id for item in await play.board.page(None, None, 10)] == [first.upload_id]


async def test_one_key_sent_many_times_at_once_makes_one_upload(play: Play) -> None:
    answers = await asyncio.gather(
        *(play.board.create(new_upload(idempotency_key="k", fingerprint="f")) for _ in range(30))
    )
    assert len({upload.upload_id for upload, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1


async def test_a_key_whose_record_is_gone_is_free(play: Play) -> None:
    first, _ = await play.board.create(new_upload(idempotency_key="k", fingerprint="f"))
    await play.parts.client.delete(play.parts.keys.upload(first.upload_id))
    second, created = await play.board.create(new_upload(idempotency_key="k", fingerprint="f"))
    assert created
    assert second.upload_id != first.upload_id


async def test_an_unknown_upload_is_not_found(play: Play) -> None:
    upload = await play.admitted()
    await play.parts.client.delete(play.parts.keys.upload(upload.upload_id))
    for call in (
        play.board.get(upload.upload_id),
        play.board.apply(upload.upload_id, Event.CANCEL),
        play.segments.record_received(upload.upload_id, 1, 10, 0),
    ):
        with pytest.raises(RequestError) as refused:
            await call
        assert refused.value.code == "UPLOAD_NOT_FOUND"
    await play.board.mark_cleaned(upload.upload_id)
    assert not await play.segments.invalidate(upload.upload_id, 1, 0)


@pytest.mark.parametrize(("status", "event"), list(itertools.product(Status, Event)))
async def test_events_follow_the_lifecycle_table(play: Play, status: Status, event: Event) -> None:
    transport = Transport.DIRECT if status is Status.GRANTED else Transport.GATEWAY
    upload, _ = await play.board.create(new_upload(transport=transport))
    for step in WAYS[status]:
        await play.board.apply(upload.upload_id, step)
    before = await play.board.get(upload.upload_id)
    assert before.status is status
    target = TRANSITIONS[status].get(event, status)
    assert await play.board.apply(upload.upload_id, event) == (target, target is not status)
    if target is status:
        assert await play.board.get(upload.upload_id) == before
    again = TRANSITIONS[target].get(event, target)
    assert await play.board.apply(upload.upload_id, event) == (again, again is not target)
    counted = [one for one in Status if await play.parts.client.zcard(play.parts.keys.status(one))]
    assert counted == [(await play.board.get(upload.upload_id)).status], "it is counted in its own status only"


async def test_one_of_several_ends_at_once_wins(play: Play) -> None:
    for _ in range(20):
        upload = await play.admitted()
        ends = {Event.CANCEL: "UPLOAD_CANCELLED", Event.FAIL: "NOT_MEDIA", Event.EXPIRE: "UPLOAD_EXPIRED"}
        answers = await asyncio.gather(
            *(play.board.apply(upload.upload_id, event, (code, "why")) for event, code in ends.items())
        )
        assert [changed for _, changed in answers].count(True) == 1
        ended = await play.board.get(upload.upload_id)
        assert {status for status, _ in answers} == {ended.status}
        winner = next(event for event, (_, changed) in zip(ends, answers, strict=True) if changed)
        assert ended.error_code == ends[winner]
        assert ended.status is TRANSITIONS[Status.ADMITTED][winner]


# -- lists


async def walk(board: RedisUploadBoard, status: Status | None, limit: int) -> list[str]:
    """Every upload, page by page, as a client follows cursors."""
    found: list[Upload] = []
    before: tuple[int, str] | None = None
    while page := await board.page(status, before, limit):
        assert len(page) <= limit
        found += [item.upload for item in page]
        before = found[-1].created_at_ms, found[-1].upload_id
    return [upload.upload_id for upload in found]


async def dated(play: Play, created_at_ms: Sequence[int]) -> list[str]:
    """Create uploads with these times of creation; returns their ids, newest first."""
    made: list[tuple[int, str]] = []
    for moment in created_at_ms:
        upload, _ = await play.board.create(new_upload())
        keys, client = play.parts.keys, play.parts.client
        await reply(client.hset(keys.upload(upload.upload_id), "created_at_ms", str(moment)))
        for index in (keys.uploads, keys.listed(Status.WAITING)):
            await client.zadd(index, {upload.upload_id: moment}, xx=True)
        made.append((moment, upload.upload_id))
    return [upload_id for _, upload_id in sorted(made, reverse=True)]


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
@pytest.mark.parametrize("status", [None, Status.WAITING])
async def test_pages_list_each_upload_once_also_when_many_have_one_time(
    play: Play, status: Status | None, limit: int
) -> None:
    expected = await dated(play, [1_000] * 9 + [2_000] + [3_000] * 8)
    assert await walk(play.board, status, limit) == expected


@pytest.mark.parametrize("limit", [1, 2, 10])
async def test_pages_of_a_status_are_in_order_of_creation(play: Play, limit: int) -> None:
    """The last to reach a status is not always the last that was created."""
    expected = await dated(play, [1_000, 2_000, 3_000, 4_000, 5_000])
    for upload_id in (*expected[2:], *expected[:2]):
        await play.board.apply(upload_id, Event.ADMIT)
    assert await walk(play.board, Status.ADMITTED, limit) == expected
    assert await walk(play.board, Status.WAITING, limit) == []


async def test_an_expired_record_leaves_no_hole_in_a_page(play: Play) -> None:
    expected = await dated(play, [1_000, 2_000, 3_000, 4_000])
    await play.parts.client.delete(play.parts.keys.upload(expected.pop(1)))
    assert [item.upload.upload_id for item in await play.board.page(None, None, 3)] == expected


async def test_ids_have_been_in_a_status_for_a_given_time(play: Play) -> None:
    first, second = await play.admitted(), await play.admitted()

    async def both() -> bool:
        return list(await play.board.ids(Status.ADMITTED, 20, 10)) == [first.upload_id, second.upload_id]

    assert list(await play.board.ids(Status.ADMITTED, 60_000, 10)) == []
    await until(both)
    assert list(await play.board.ids(Status.ADMITTED, 20, 1)) == [first.upload_id]
    assert list(await play.board.ids(Status.RECEIVING, 0, 10)) == []


# -- the end


@pytest.mark.parametrize("event", [Event.CANCEL, Event.FAIL, Event.EXPIRE])
async def test_an_end_stops_the_stages_and_wakes_cleanup(play: Play, event: Event) -> None:
    upload = await play.admitted()
    await play.receive(upload, 1)
    assert not await play.parts.ended.due(VOLUME, 10)
    admission_queue = f"{play.parts.keys.prefix}queue:admission:{VOLUME}"
    with play.parts.signals.waiter("queue", admission_queue) as woken:
        await play.board.apply(upload.upload_id, event, ("UPLOAD_CANCELLED", "why"))
        async with asyncio.timeout(60):
            await woken.wait()
    ended = await play.board.get(upload.upload_id)
    assert ended.status in ENDED
    assert {status.state for status in ended.stages.values()} == {StageState.STOPPED}
    assert list(await play.parts.ended.due(VOLUME, 10)) == [upload.upload_id]
    assert await play.parts.ended.idle(upload.upload_id)
    assert not await play.parts.client.exists(f"{play.parts.keys.prefix}stage-leases"), "no lease is left"


async def test_ended_uploads_can_be_deferred_and_dropped(play: Play) -> None:
    ended = play.parts.ended
    first, second = await play.admitted(), await play.admitted()
    for upload in (first, second):
        await play.board.apply(upload.upload_id, Event.CANCEL)
    assert list(await ended.due(VOLUME, 1)) == [first.upload_id]
    await ended.defer(VOLUME, first.upload_id, 60)
    assert list(await ended.due(VOLUME, 10)) == [second.upload_id]
    await ended.drop(VOLUME, second.upload_id)
    await ended.defer(VOLUME, second.upload_id, 0)  # does not add it again
    assert second.upload_id not in await ended.due(VOLUME, 10)

    await ended.defer(VOLUME, first.upload_id, 0.1)

    async def first_is_due() -> bool:
        return list(await ended.due(VOLUME, 10)) == [first.upload_id]

    await until(first_is_due)
    await play.board.mark_cleaned(first.upload_id)
    await play.board.mark_cleaned(first.upload_id)
    assert not await ended.due(VOLUME, 10)
    assert (await play.board.get(first.upload_id)).released_at_ms is not None


async def lasting_keys(play: Play) -> set[str]:
    """All but the bytes of a day, which are counted until the end of the next one."""
    return {key for key in await play.keys() if ":owner-day:" not in key}


async def pass_retention_time(play: Play, retention_ms: int) -> None:
    """Each key that expires has done so, and each record that is to be purged may be."""
    client, retired = play.parts.client, f"{play.parts.keys.prefix}retired"
    latest = await now_ms(client) + retention_ms
    for upload_id, due_ms in await client.zrange(retired, 0, -1, withscores=True):
        assert due_ms <= latest
        await client.zadd(retired, {upload_id: 0})
    for key in await lasting_keys(play):
        left_ms = await client.pttl(key)
        assert left_ms <= retention_ms, key
        if left_ms >= 0:
            await client.delete(key)


async def test_no_key_is_left_after_the_retention_time(parts: RedisParts, play: Play) -> None:
    client, keys = parts.client, parts.keys
    brief = RedisUploadBoard(client, Scripts(client, keys.prefix), keys, retention_ms=60_000)
    ready = await play.ready()
    uploads = [ready, await play.admitted(), (await brief.create(new_upload(idempotency_key="k", fingerprint="f")))[0]]
    failing = await play.admitted()
    jobs = await play.receive_all(failing)
    await play.started(jobs[Stage.TRANSFER])
    await play.store(jobs[Stage.TRANSFER], failing, [1])
    await play.stages.fail(jobs[Stage.TRANSFER], RequestError("UPLOAD_CANCELLED"))
    uploads.append(failing)
    for upload in uploads:
        await brief.apply(upload.upload_id, Event.CANCEL)
        assert await brief.purge_expired(10) == 0
    for upload in uploads:
        await brief.mark_cleaned(upload.upload_id)
        assert (await brief.get(upload.upload_id)).status in ENDED, "it can be read for the retention time"
    assert len(await walk(brief, None, 2)) == len(uploads)
    assert await brief.purge_expired(10) == 0
    await pass_retention_time(play, 60_000)
    assert [await brief.purge_expired(3) for _ in range(2)] == [3, 1]
    assert await lasting_keys(play) <= {keys.events, keys.volumes, keys.volume(VOLUME), keys.stages}
    assert await walk(brief, None, 10) == []
