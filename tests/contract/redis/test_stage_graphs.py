"""Two releases with different stage graphs on one Redis, as during a rolling upgrade.

The older release is this one without stage `thumbnail`: neither its scripts' graph nor its records have that stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from redis.asyncio import Redis

from pipeline.adapters.redis.ended_list import RedisEndedList
from pipeline.adapters.redis.scripts import Scripts, source
from pipeline.adapters.redis.segment_board import RedisSegmentBoard
from pipeline.adapters.redis.stage_board import RedisStageBoard
from pipeline.adapters.redis.upload_board import RedisUploadBoard
from pipeline.bootstrap import RedisParts
from pipeline.core.errors import StageLost
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import ClientDigest, StageJob, Upload
from pipeline.core.stages import GRAPH, Stage, StageState
from pipeline.core.stored_objects import ObjectVersion
from pipeline.core.transports import Transport, transports_table
from tests.contract.redis.uploads import DIGEST, Play, crc_of, until
from tests.harness.new_uploads import new_upload
from tests.harness.redis_calls import reply

pytestmark = pytest.mark.contract


class Older(Play):
    """Plays gateway and workers of the older release."""

    def __init__(self, parts: RedisParts, table: Mapping[str, Any]) -> None:
        super().__init__(parts)
        client, keys = parts.client, parts.keys
        calls = Scripts(client, keys.prefix, lambda name: source(name, table))
        self.board = RedisUploadBoard(client, calls, keys, retention_ms=60_000)
        self.segments = RedisSegmentBoard(client, calls, keys, requeue_ms=10_000)
        self.stages = RedisStageBoard(client, calls, keys, lease_ms=6_000, requeue_ms=10_000)
        self.ended = RedisEndedList(client, calls, keys)


@pytest.fixture
def older(parts: RedisParts) -> Older:
    table = transports_table()
    for row in table.values():
        del row["stages"]["thumbnail"]
        row["stages"]["persist"]["after"] = ["seal", "probe", "assemble"]
    return Older(parts, table)


async def leave_out(parts: RedisParts, upload: Upload, stage: Stage) -> None:
    """Remove a stage's fields from a record that has just been created."""
    client: Redis = parts.client
    await reply(client.hdel(parts.keys.upload(upload.upload_id), f"stage.{stage}.state"))


async def state_of(play: Play, upload: Upload, stage: Stage) -> StageState:
    return (await play.board.get(upload.upload_id)).stages[stage].state


async def run_to_the_end(play: Play, upload: Upload, jobs: Mapping[Stage, StageJob]) -> None:
    """Start and finish every job, and those that follow, until the upload is `ready`."""
    waiting = dict(jobs)
    while waiting:
        stage, job = waiting.popitem()
        following = await (play.transferred(job, upload) if stage is Stage.TRANSFER else play.finished(job))
        assert not waiting.keys() & following.keys()
        waiting |= following
    assert (await play.board.get(upload.upload_id)).status is Status.READY


@pytest.mark.parametrize("stage", Stage)
async def test_a_record_without_a_stage_still_becomes_ready(play: Play, parts: RedisParts, stage: Stage) -> None:
    upload = await play.admitted()
    await leave_out(parts, upload, stage)
    assert await state_of(play, upload, stage) is StageState.PENDING
    await run_to_the_end(play, upload, await play.receive_all(upload))
    states = {name: row.state for name, row in (await play.board.get(upload.upload_id)).stages.items()}
    assert states == dict.fromkeys(GRAPH, StageState.DONE)


@pytest.mark.parametrize("stage", sorted(set(Stage) - {Stage.PROBE}))  # which is queued from the creation on
async def test_a_stage_that_its_transport_skips_is_skipped_when_the_record_does_not_know_it(
    play: Play, parts: RedisParts, stage: Stage
) -> None:
    new = new_upload(transport=Transport.IMPORT, source=ObjectVersion("raw", "a.mp4", "etag"))
    upload, _ = await play.board.create(new)
    expected = upload.stages[stage].state
    await leave_out(parts, upload, stage)
    assert await state_of(play, upload, stage) is expected
    await run_to_the_end(play, upload, play.by_stage(upload.queued_jobs))


async def test_an_upload_of_the_older_release_is_finished_by_the_newer(play: Play, older: Older) -> None:
    upload = await older.admitted()
    jobs = await older.receive_all(upload)
    await older.finished(jobs.pop(Stage.ASSEMBLE))
    await run_to_the_end(play, upload, jobs)
    assert await state_of(play, upload, Stage.THUMBNAIL) is StageState.DONE


async def test_a_stage_that_the_older_release_did_not_queue_is_queued_by_the_next_finish(
    play: Play, older: Older
) -> None:
    upload = await play.admitted()
    jobs = await play.receive_all(upload)
    await play.finished(jobs[Stage.ASSEMBLE])
    assert await older.finished(jobs[Stage.PROBE]) == {}, (
        "its graph has nothing between probe and persist, which waits for seal"
    )
    following = await play.transferred(jobs[Stage.TRANSFER], upload)
    assert set(following) == {Stage.SEAL, Stage.THUMBNAIL}
    await run_to_the_end(play, upload, following)


async def test_a_stage_that_the_older_release_queued_too_early_waits_again(play: Play, older: Older) -> None:
    """The older release finishes the last stage that it knows and queues `persist`. A worker of the newer release does
    not start it: it queues what is missing, whose job comes back as overdue."""
    upload = await play.admitted()
    jobs = await play.receive_all(upload)
    seal = (await play.transferred(jobs[Stage.TRANSFER], upload))[Stage.SEAL]
    await play.finished(seal)
    await play.finished(jobs[Stage.ASSEMBLE])
    early = (await older.finished(jobs[Stage.PROBE]))[Stage.PERSIST]
    brief = play.impatient(requeue_ms=1)
    for _ in range(2):
        with pytest.raises(StageLost):
            await brief.start(early, "worker")
    assert await state_of(play, upload, Stage.PERSIST) is StageState.PENDING
    found: list[StageJob] = []

    async def came_back() -> bool:
        found.extend(item.job for item in await play.stages.overdue(10))
        return bool(found)

    await until(came_back)
    await run_to_the_end(play, upload, play.by_stage(found))


async def test_an_upload_that_the_older_release_ends_is_complete_by_its_graph(play: Play, older: Older) -> None:
    """A worker of the older release persists the upload although the newer release has begun another stage: that
    stage stops. The upload is what the older release would have made of it before the upgrade."""
    upload, seal, thumbnail = await play.before_persist()
    persist = older.by_stage((await older.stages.finish(seal, {"etag": "e"})).jobs)[Stage.PERSIST]
    await older.finished(persist)
    assert (await play.board.get(upload.upload_id)).status is Status.READY
    assert await older.ended.idle(upload.upload_id) is None, "the newer release's stage may still write"
    with pytest.raises(StageLost):
        await play.stages.renew(thumbnail)
    await play.stages.acknowledge_end(thumbnail)
    assert await older.ended.idle(upload.upload_id)


@pytest.mark.parametrize("event", [Event.CANCEL, Event.FAIL])
async def test_the_older_release_stops_a_stage_that_only_the_newer_has(play: Play, older: Older, event: Event) -> None:
    upload = await play.admitted()
    jobs = await play.receive_all(upload)
    await play.finished(jobs[Stage.ASSEMBLE])
    await play.finished(jobs[Stage.PROBE])
    assert await state_of(play, upload, Stage.THUMBNAIL) is StageState.QUEUED
    await older.board.apply(upload.upload_id, event)
    assert {row.state for row in (await play.board.get(upload.upload_id)).stages.values()} <= {
        StageState.STOPPED,
        StageState.DONE,
    }


async def test_only_a_release_that_has_a_stage_takes_it_over(play: Play, older: Older) -> None:
    brief, older_brief = play.impatient(lease_ms=1), older.stages
    upload, _, thumbnail = await play.before_persist()
    await brief.renew(thumbnail)  # lapses in a millisecond
    other = await play.admitted(2)
    transfer = play.by_stage((await play.receive(other, 1)).jobs)[Stage.TRANSFER]
    await brief.start(transfer, "dies")
    found: list[StageJob] = []

    async def taken_over() -> bool:
        found.extend(item.job for item in await older_brief.overdue(1))
        return bool(found)

    await until(taken_over)
    assert [(job.upload_id, job.stage) for job in found] == [(other.upload_id, Stage.TRANSFER)]
    assert (await play.board.get(upload.upload_id)).stages[Stage.THUMBNAIL].fencing_token == thumbnail.fencing_token
    [item] = await play.stages.overdue(10)
    assert (item.job.upload_id, item.job.stage) == (upload.upload_id, Stage.THUMBNAIL)
    assert item.dead_token == thumbnail.fencing_token


async def test_the_older_release_invalidates_what_only_the_newer_has_derived(play: Play, older: Older) -> None:
    upload, _, thumbnail = await play.before_persist()
    await play.stages.finish(thumbnail, {"of": "wrong bytes"})
    assert await older.segments.invalidate(upload.upload_id, 2, crc_of(2))
    assert await state_of(play, upload, Stage.THUMBNAIL) is StageState.PENDING
    assert Stage.THUMBNAIL not in await play.stages.results(upload.upload_id)


async def test_results_of_a_stage_that_only_another_release_has_are_left_out(play: Play, parts: RedisParts) -> None:
    upload = await play.admitted()
    await reply(parts.client.hset(parts.keys.results(upload.upload_id), "checksum", "{}"))
    assert await play.stages.results(upload.upload_id) == {}


async def test_a_transport_that_only_another_release_has_is_named(play: Play, parts: RedisParts) -> None:
    upload = await play.admitted()
    await reply(parts.client.hset(parts.keys.upload(upload.upload_id), "transport", "pigeon"))
    with pytest.raises(Exception, match="transport that this release does not know"):
        await play.board.apply(upload.upload_id, Event.CANCEL)


# -- uploads in the middle of the graph of the release that read whole files only


@pytest.fixture
def whole_files(parts: RedisParts) -> Older:
    """The release whose assemble ran for every upload, before probe; its imports waited for room."""
    table = transports_table()
    for row in table.values():
        stages = row["stages"]
        for stage in stages.values():
            stage |= {"reads": False, "for_digest": False}
        stages["assemble"] |= {"skipped": False}
        stages["probe"] |= {"after": ["assemble"], "trigger": "predecessors"}
        stages["persist"]["after"] = ["seal", "thumbnail"]
    table["import"]["begins"] = "waiting"
    return Older(parts, table)


async def _received_some(older: Older, upload: Upload) -> Mapping[Stage, StageJob]:
    return older.by_stage((await older.receive(upload, 1)).jobs)


async def _received_all(older: Older, upload: Upload) -> Mapping[Stage, StageJob]:
    return await older.receive_all(upload)


async def _assembled(older: Older, upload: Upload) -> Mapping[Stage, StageJob]:
    jobs = await older.receive_all(upload)
    return {**await older.finished(jobs.pop(Stage.ASSEMBLE)), **jobs}


async def _probed(older: Older, upload: Upload) -> Mapping[Stage, StageJob]:
    jobs = dict(await _assembled(older, upload))
    return {**await older.finished(jobs.pop(Stage.PROBE)), **jobs}


async def _transferred(older: Older, upload: Upload) -> Mapping[Stage, StageJob]:
    jobs = await older.receive_all(upload)
    return {**await older.transferred(jobs.pop(Stage.TRANSFER), upload), **jobs}


@pytest.mark.parametrize("begun", [_received_some, _received_all, _assembled, _probed, _transferred])
@pytest.mark.parametrize("digest", [None, DIGEST], ids=["without a digest", "with a digest"])
async def test_an_upload_that_the_release_before_began_is_finished(
    play: Play, whole_files: Older, begun: Any, digest: ClientDigest | None
) -> None:
    upload = await whole_files.admitted(digest=digest)
    jobs = dict(await begun(whole_files, upload))
    if begun is _received_some:
        assert Stage.PROBE not in jobs
        for number in (2, 3):
            jobs |= play.by_stage((await play.receive(upload, number)).jobs)
    await run_to_the_end(play, upload, jobs)
    assert {row.state for row in (await play.board.get(upload.upload_id)).stages.values()} == {StageState.DONE}


async def test_an_import_that_the_release_before_began_is_finished(play: Play, whole_files: Older) -> None:
    new = new_upload(transport=Transport.IMPORT, source=ObjectVersion("raw", "a.mp4", "etag"))
    upload, _ = await whole_files.board.create(new)
    assert upload.status is Status.WAITING
    _, _, (fetching,) = await whole_files.board.admit(upload.upload_id)
    assert fetching.stage is Stage.ASSEMBLE
    await run_to_the_end(play, upload, {Stage.ASSEMBLE: fetching})


async def test_the_release_before_does_not_run_a_stage_that_waits_for_its_own_assemble(
    play: Play, whole_files: Older
) -> None:
    """A worker of that release would read a file of which only the first segment is there."""
    upload = await whole_files.admitted(digest=None)
    jobs = play.by_stage((await play.receive(upload, 1)).jobs)
    with pytest.raises(StageLost):
        await whole_files.stages.start(jobs[Stage.PROBE], "older")
    jobs |= play.by_stage((await play.receive(upload, 2)).jobs)
    jobs |= play.by_stage((await play.receive(upload, 3)).jobs)
    assert Stage.PROBE in jobs
    await run_to_the_end(play, upload, jobs)
