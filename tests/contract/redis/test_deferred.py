"""Deferred plans on the real boards: what is known of a size counts, and completion makes the plan once."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.bootstrap import RedisParts
from pipeline.core.errors import LimitReached, RequestError
from pipeline.core.journal import Journal
from pipeline.core.journal_entries import Completed, Planned, Stored
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import Deferred, Upload
from pipeline.core.segments import SegmentPlan
from pipeline.core.stages import Stage
from pipeline.core.stored_objects import StoredSegment
from pipeline.core.transports import Transport
from tests.contract.redis.test_owner_limits import OWNER, limited, of_today
from tests.contract.redis.uploads import Play
from tests.harness.new_uploads import new_upload
from tests.harness.redis_calls import reply

pytestmark = pytest.mark.contract

SEGMENTS = [StoredSegment(1, 12, "e1"), StoredSegment(2, 12, "e2"), StoredSegment(3, 1, "e3")]
PLAN = SegmentPlan(25, 12)


async def made(board: Any, **more: Any) -> Upload:
    fields = {"owner": OWNER, "transport": Transport.DIRECT, "size_bytes": 0, "deferred": Deferred.SIZE, **more}
    upload, _ = await board.create(new_upload(**fields))
    return upload  # type: ignore[no-any-return]  # `board` may be limited


async def counted(parts: RedisParts) -> int:
    return int(await reply(parts.client.hget(f"{parts.keys.prefix}owner:{OWNER}", "bytes")) or 0)


async def test_what_is_known_of_the_size_counts(play: Play, parts: RedisParts) -> None:
    upload = await made(play.board)
    assert (upload.status, upload.size_bytes, upload.plan.count) == (Status.GRANTED, 0, 2)
    await play.board.record_grant(upload.upload_id, 60, number=3, least_bytes=21)
    await play.board.record_grant(upload.upload_id, 60, number=1, least_bytes=1)
    known = await play.board.get(upload.upload_id)
    assert (known.size_bytes, known.granted_segments, known.plan.count) == (21, 3, 4)
    assert (await counted(parts), await of_today(parts)) == (21, 21)
    for _ in range(2):
        assert await play.board.complete(upload.upload_id, SEGMENTS, PLAN) is Status.PROCESSING
        assert await play.board.complete(upload.upload_id, SEGMENTS[:1], SegmentPlan(7, 7)) is Status.PROCESSING
    complete = await play.board.get(upload.upload_id)
    assert (complete.plan, complete.deferred, complete.segments_stored) == (PLAN, None, 3)
    assert (complete.bytes_received, complete.bytes_stored) == (25, 25)
    assert await play.segments.stored(complete) == SEGMENTS
    assert set(play.by_stage(complete.queued_jobs)) == {Stage.SEAL, Stage.PROBE}
    assert (await counted(parts), await of_today(parts)) == (25, 25)
    await play.board.apply(upload.upload_id, Event.CANCEL)
    assert await counted(parts) == 0


async def test_a_size_that_grows_keeps_the_limits_of_its_owner(parts: RedisParts) -> None:
    board = limited(parts, bytes=30, bytes_per_day=40)
    first, second = await made(board), await made(board)
    await board.record_grant(first.upload_id, 60, number=2, least_bytes=20)
    with pytest.raises(LimitReached) as full:
        await board.record_grant(second.upload_id, 60, number=2, least_bytes=11)
    assert (full.value.code, full.value.detail["limit"]) == ("OWNER_LIMIT", "bytes")
    with pytest.raises(RequestError) as large:
        await board.record_grant(second.upload_id, 60, number=4, least_bytes=31)
    assert large.value.code == "FILE_TOO_LARGE_FOR_OWNER"
    unchanged = await board.get(second.upload_id)
    assert (unchanged.size_bytes, unchanged.granted_at_ms) == (0, None), "a refused grant changes nothing"
    await board.record_grant(second.upload_id, 60, number=1, least_bytes=10)
    await board.complete(first.upload_id, SEGMENTS[:1], SegmentPlan(12, 12))
    await board.record_grant(second.upload_id, 60, number=2, least_bytes=18)
    await board.apply(first.upload_id, Event.CANCEL)
    await board.record_grant(second.upload_id, 60, number=3, least_bytes=28)
    third = await made(board)
    with pytest.raises(LimitReached) as today:
        await board.record_grant(third.upload_id, 60, number=1, least_bytes=1)
    assert today.value.code == "DAILY_LIMIT"


async def test_an_upload_that_is_not_deferred_keeps_its_plan(play: Play) -> None:
    upload = await made(play.board, size_bytes=25, deferred=None)
    await play.board.record_grant(upload.upload_id, 60, number=3, least_bytes=1000)
    await play.board.complete(upload.upload_id, SEGMENTS, PLAN)
    assert (await play.board.get(upload.upload_id)).plan == SegmentPlan(25, 10)


async def test_a_journal_restores_a_deferred_plan(play: Play) -> None:
    journal = Journal(new_upload(transport=Transport.DIRECT, size_bytes=0, deferred=Deferred.SIZE))
    await play.board.rebuild(journal, has_file=False, grants_seconds=60)
    upload = await play.board.get(journal.new.upload_id)
    assert (upload.status, upload.deferred, upload.granted_segments) == (Status.GRANTED, Deferred.SIZE, 0)


async def test_a_journal_restores_a_plan_that_was_made(play: Play) -> None:
    journal = Journal(new_upload(transport=Transport.DIRECT, size_bytes=0, deferred=Deferred.SIZE))
    journal.add(Planned(25, 12))
    for segment in SEGMENTS:
        journal.add(Stored(segment.number, segment.etag))
    journal.add(Completed())
    await play.board.rebuild(journal, has_file=False, grants_seconds=60)
    upload = await play.board.get(journal.new.upload_id)
    assert (upload.status, upload.plan, upload.deferred) == (Status.PROCESSING, PLAN, None)
    assert await play.segments.stored(upload) == SEGMENTS
