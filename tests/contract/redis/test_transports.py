"""Transports on the real boards: the status an upload begins with, what it skips, and what its admission starts."""

from __future__ import annotations

import pytest

from pipeline.core.errors import StageLost
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import NewUpload, ObjectVersion, StoredSegment
from pipeline.core.stages import Stage, StageState
from pipeline.core.transports import Transport
from tests.contract.redis.uploads import Play, new_upload

pytestmark = pytest.mark.contract

VERSION = ObjectVersion("raw", "a b.mp4", "etag-1")


def imported(key: str | None = None) -> NewUpload:
    return new_upload(
        transport=Transport.IMPORT, source=VERSION, idempotency_key=key, fingerprint="same", again=key is not None
    )


async def test_an_import_is_processed_once_it_is_admitted(play: Play) -> None:
    upload, _ = await play.board.create(imported())
    assert (upload.status, upload.transport, upload.source) == (Status.WAITING, Transport.IMPORT, VERSION)
    assert (upload.bytes_stored, upload.segments_stored) == (25, 3)
    assert {stage for stage, row in upload.stages.items() if row.state is StageState.SKIPPED} == {
        Stage.TRANSFER,
        Stage.SEAL,
    }
    status, changed, jobs = await play.board.admit(upload.upload_id)
    assert (status, changed, [job.stage for job in jobs]) == (Status.PROCESSING, True, [Stage.ASSEMBLE])
    assert await play.board.admit(upload.upload_id) == (Status.PROCESSING, False, ())
    verdict = await play.receive(upload, 1)
    assert not verdict.accepted


async def test_a_fetched_range_counts_once_and_only_for_the_latest_run(play: Play) -> None:
    upload, _ = await play.board.create(imported())
    _, _, (job,) = await play.board.admit(upload.upload_id)
    await play.stages.start(job, "worker")
    for _ in range(2):
        await play.segments.record_fetched(job, 1, 10, 0xABC)
    assert await play.segments.received(upload.upload_id) == {1: 0xABC}
    assert (await play.board.get(upload.upload_id)).bytes_received == 10
    await play.stages.requeue(job)
    with pytest.raises(StageLost):
        await play.segments.record_fetched(job, 2, 10, 0xDEF)


async def test_the_key_of_an_ended_import_is_free_again(play: Play) -> None:
    first, created = await play.board.create(imported("k"))
    assert created
    assert (await play.board.create(imported("k")))[0].upload_id == first.upload_id
    await play.board.apply(first.upload_id, Event.FAIL, ("NOT_MEDIA", "no"))
    second, created = await play.board.create(imported("k"))
    assert created
    assert second.upload_id != first.upload_id


async def test_a_direct_upload_waits_once_it_is_complete(play: Play) -> None:
    upload, _ = await play.board.create(new_upload(transport=Transport.DIRECT))
    assert upload.status is Status.GRANTED
    assert (await play.board.admit(upload.upload_id))[:2] == (Status.GRANTED, False)
    assert await play.board.record_grant(upload.upload_id, 60) is Status.GRANTED
    granted = await play.board.get(upload.upload_id)
    assert granted.granted_at_ms is not None
    assert granted.grants_until_ms == granted.granted_at_ms + 60_000
    await play.board.record_grant(upload.upload_id, 1)
    assert (await play.board.get(upload.upload_id)).grants_until_ms == granted.grants_until_ms, "never shortened"

    segments = [StoredSegment(number, granted.plan.length(number), f"e{number}") for number in (1, 2, 3)]
    assert await play.board.complete(upload.upload_id, segments) is Status.WAITING
    other = [StoredSegment(number, 1, "other") for number in (1, 2, 3)]
    assert await play.board.complete(upload.upload_id, other) is Status.WAITING
    assert await play.segments.stored(granted) == segments
    assert await play.board.record_grant(upload.upload_id, 60) is Status.WAITING
    status, _, jobs = await play.board.admit(upload.upload_id)
    assert (status, [job.stage for job in jobs]) == (Status.PROCESSING, [Stage.SEAL])
    await play.stages.start(jobs[0], "worker")
    following = await play.stages.finish(jobs[0], {})
    assert [job.stage for job in following] == [Stage.ASSEMBLE]
