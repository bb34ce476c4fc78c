"""Transports on the real boards: the status an upload begins with, what it skips, and what its admission starts."""

from __future__ import annotations

import pytest

from pipeline.bootstrap import RedisParts
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import ClientDigest, NewUpload
from pipeline.core.stages import Stage, StageState
from pipeline.core.stored_objects import ObjectVersion, StoredSegment
from pipeline.core.transports import Transport
from tests.contract.redis.uploads import DIGEST, Play
from tests.harness.new_uploads import new_upload
from tests.harness.redis_calls import reply

pytestmark = pytest.mark.contract

VERSION = ObjectVersion("raw", "a b.mp4", "etag-1")


def imported(key: str | None = None) -> NewUpload:
    return new_upload(
        transport=Transport.IMPORT, source=VERSION, idempotency_key=key, fingerprint="same", again=key is not None
    )


async def test_an_import_is_processed_from_its_creation(play: Play) -> None:
    new = imported()
    upload, _ = await play.board.create(new)
    assert (upload.status, upload.transport, upload.source) == (Status.PROCESSING, Transport.IMPORT, VERSION)
    assert (upload.bytes_received, upload.bytes_stored, upload.segments_stored) == (25, 25, 3)
    assert {stage: row.state for stage, row in upload.stages.items()} == {
        Stage.TRANSFER: StageState.SKIPPED,
        Stage.SEAL: StageState.SKIPPED,
        Stage.ASSEMBLE: StageState.SKIPPED,
        Stage.PROBE: StageState.QUEUED,
        Stage.THUMBNAIL: StageState.PENDING,
        Stage.PERSIST: StageState.PENDING,
    }
    (probe,) = upload.queued_jobs
    assert await play.board.admit(upload.upload_id) == (Status.PROCESSING, False, ())
    assert not (await play.receive(upload, 1)).accepted
    (thumbnail,) = (await play.finished(probe)).values()
    (persist,) = (await play.finished(thumbnail)).values()
    await play.finished(persist)
    assert (await play.board.get(upload.upload_id)).status is Status.READY


async def test_an_import_that_the_release_before_let_wait_is_processed_once_it_is_admitted(
    play: Play, parts: RedisParts
) -> None:
    """It had to be admitted, and its stage assemble fetched the object."""
    upload, _ = await play.board.create(imported())
    key = parts.keys.upload(upload.upload_id)
    for stage, state in (("assemble", "pending"), ("probe", "pending")):
        await reply(parts.client.hset(key, f"stage.{stage}.state", state))
    await reply(parts.client.hset(key, mapping={"status": "waiting", "bytes_received": "0", "segments_received": "0"}))
    status, changed, jobs = await play.board.admit(upload.upload_id)
    assert (status, changed, {job.stage for job in jobs}) == (Status.PROCESSING, True, {Stage.PROBE, Stage.ASSEMBLE})
    waiting = play.by_stage(jobs)
    await play.finished(waiting[Stage.ASSEMBLE])
    (thumbnail,) = (await play.finished(waiting[Stage.PROBE])).values()
    (persist,) = (await play.finished(thumbnail)).values()
    await play.finished(persist)
    assert (await play.board.get(upload.upload_id)).status is Status.READY


async def test_the_key_of_an_ended_import_is_free_again(play: Play) -> None:
    first, created = await play.board.create(imported("k"))
    assert created
    assert (await play.board.create(imported("k")))[0].upload_id == first.upload_id
    await play.board.apply(first.upload_id, Event.FAIL, ("NOT_MEDIA", "no"))
    second, created = await play.board.create(imported("k"))
    assert created
    assert second.upload_id != first.upload_id


@pytest.mark.parametrize("digest", [None, DIGEST], ids=["without a digest", "with a digest"])
async def test_a_direct_upload_is_processed_once_it_is_complete(play: Play, digest: ClientDigest | None) -> None:
    upload, _ = await play.board.create(new_upload(transport=Transport.DIRECT, digest=digest))
    assert upload.status is Status.GRANTED
    assert (await play.board.admit(upload.upload_id))[:2] == (Status.GRANTED, False)
    assert await play.board.record_grant(upload.upload_id, 60) is Status.GRANTED
    granted = await play.board.get(upload.upload_id)
    assert granted.granted_at_ms is not None
    assert granted.grants_until_ms == granted.granted_at_ms + 60_000
    await play.board.record_grant(upload.upload_id, 1)
    assert (await play.board.get(upload.upload_id)).grants_until_ms == granted.grants_until_ms, "never shortened"

    segments = [StoredSegment(number, granted.plan.length(number), f"e{number}") for number in (1, 2, 3)]
    for _ in range(2):
        assert await play.board.complete(upload.upload_id, segments) is Status.PROCESSING
        other = [StoredSegment(number, 1, "other") for number in (1, 2, 3)]
        assert await play.board.complete(upload.upload_id, other) is Status.PROCESSING
    assert await play.segments.stored(granted) == segments
    assert await play.board.record_grant(upload.upload_id, 60) is Status.PROCESSING
    complete = await play.board.get(upload.upload_id)
    assert (complete.bytes_received, complete.bytes_stored) == (25, 25)
    jobs = play.by_stage(complete.queued_jobs)
    assert set(jobs) == {Stage.SEAL, Stage.PROBE}, "neither waits for the other"
    assert set(await play.finished(jobs[Stage.SEAL], {})) == ({Stage.ASSEMBLE} if digest else set())
    (thumbnail,) = (await play.finished(jobs[Stage.PROBE])).values()
    assert thumbnail.stage is Stage.THUMBNAIL


async def test_a_direct_upload_that_the_release_before_has_completed_is_probed_after_seal(
    play: Play, parts: RedisParts
) -> None:
    """There, completing it did not queue the probe."""
    upload, _ = await play.board.create(new_upload(transport=Transport.DIRECT))
    segments = [StoredSegment(number, upload.plan.length(number), f"e{number}") for number in (1, 2, 3)]
    await play.board.complete(upload.upload_id, segments)
    jobs = play.by_stage((await play.board.get(upload.upload_id)).queued_jobs)
    await reply(parts.client.hset(parts.keys.upload(upload.upload_id), "stage.probe.state", "pending"))
    assert set(await play.finished(jobs[Stage.SEAL], {})) == {Stage.PROBE}


async def test_a_direct_upload_that_the_release_before_let_wait_is_processed_once_it_is_admitted(
    play: Play, parts: RedisParts
) -> None:
    upload, _ = await play.board.create(new_upload(transport=Transport.DIRECT))
    key = parts.keys.upload(upload.upload_id)
    await reply(parts.client.hset(key, mapping={"status": "waiting", "stage.assemble.state": "pending"}))
    status, _, queued = await play.board.admit(upload.upload_id)
    jobs = play.by_stage(queued)
    assert (status, set(jobs)) == (Status.PROCESSING, {Stage.SEAL, Stage.PROBE})
    (assemble,) = (await play.finished(jobs[Stage.SEAL], {})).values()
    await play.finished(assemble)
    (thumbnail,) = (await play.finished(jobs[Stage.PROBE])).values()
    assert set(await play.finished(thumbnail)) == {Stage.PERSIST}
