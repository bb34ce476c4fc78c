"""Records that are recreated from journals, and the stages that they start."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pipeline.adapters.redis.reads import now_ms
from pipeline.core.errors import RequestError, StageLost
from pipeline.core.journal import Ended, Journal
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import ObjectVersion, StageJob
from pipeline.core.stages import Stage, StageState
from pipeline.core.transports import Transport
from tests.contract.redis.uploads import Play, new_upload, until

pytestmark = pytest.mark.integration


async def rebuilt(play: Play, journal: Journal, *, has_file: bool = True) -> dict[Stage, StageJob]:
    created, jobs = await play.board.rebuild(journal, has_file=has_file, grants_seconds=60)
    assert created
    assert await play.board.rebuild(journal, has_file=has_file, grants_seconds=60) == (False, ())
    return play.by_stage(jobs)


def journal_of(received: int = 0, **more: Any) -> Journal:
    return Journal(new_upload(**more), {number: number for number in range(1, received + 1)})


async def test_an_upload_continues_where_it_stopped(play: Play) -> None:
    journal = journal_of(2, metadata={"of": "mine"}, idempotency_key="k", fingerprint="f")
    journal.stored[1] = "etag"
    journal.session = "s"
    jobs = await rebuilt(play, journal)
    assert set(jobs) == {Stage.TRANSFER}
    upload = await play.board.get(journal.new.upload_id)
    assert (upload.status, upload.metadata, upload.target_session) == (Status.RECEIVING, {"of": "mine"}, "s")
    assert (upload.bytes_received, upload.segments_received) == (20, 2)
    assert (upload.bytes_stored, upload.segments_stored) == (10, 1)
    assert upload.recovered_at_ms is not None
    transfer = await play.started(jobs[Stage.TRANSFER])
    assert dict((await play.segments.pending(transfer, 10)).crc32c) == {2: 2}
    later = (await play.receive(upload, 3)).jobs
    assert {job.stage for job in later} == {Stage.ASSEMBLE}
    again = new_upload(idempotency_key="k", fingerprint="f")
    assert (await play.board.create(again))[0].upload_id == upload.upload_id, "its Idempotency-Key is known again"


async def test_an_upload_with_every_segment_is_processed(play: Play) -> None:
    jobs = await rebuilt(play, journal_of(3))
    assert set(jobs) == {Stage.TRANSFER, Stage.ASSEMBLE}


async def test_an_upload_without_its_temp_file_waits(play: Play) -> None:
    journal = journal_of()
    assert await rebuilt(play, journal, has_file=False) == {}
    assert (await play.board.get(journal.new.upload_id)).status is Status.WAITING


async def test_a_run_from_before_the_loss_cannot_write(play: Play) -> None:
    upload = await play.admitted(3)
    before = await play.started((await play.receive(upload, 1)).jobs[0])
    await play.parts.client.delete(play.parts.keys.upload(upload.upload_id))

    async def time_has_passed() -> bool:  # tokens follow Redis' clock; a loss takes longer than a millisecond
        return await now_ms(play.parts.client) > before.fencing_token

    await until(time_has_passed)
    journal = journal_of(1, upload_id=upload.upload_id)
    after = await play.started((await rebuilt(play, journal))[Stage.TRANSFER])
    assert after.fencing_token > before.fencing_token
    with pytest.raises(StageLost):
        await play.stages.renew(before)


async def test_an_import_and_a_direct_upload(play: Play) -> None:
    imported = journal_of(transport=Transport.IMPORT, source=ObjectVersion("raw", "a", "e"))
    assert set(await rebuilt(play, imported)) == {Stage.ASSEMBLE}
    granted = journal_of(transport=Transport.DIRECT)
    assert await rebuilt(play, granted, has_file=False) == {}
    upload = await play.board.get(granted.new.upload_id)
    assert upload.status is Status.GRANTED
    assert upload.grants_until_ms is not None, "its client may still write, so cleanup must wait"
    complete = journal_of(transport=Transport.DIRECT)
    complete.completed = True
    complete.stored = {1: "a", 2: "b", 3: "c"}
    assert await rebuilt(play, complete, has_file=False) == {}
    assert (await play.board.get(complete.new.upload_id)).status is Status.WAITING


async def test_an_ended_upload_is_only_cleaned_up(play: Play) -> None:
    journal = journal_of(3)
    journal.ended = Ended(Status.CANCELLED, ("UPLOAD_CANCELLED", "why"))
    assert await rebuilt(play, journal) == {}
    upload = await play.board.get(journal.new.upload_id)
    assert (upload.status, upload.error_code, upload.error_message) == (Status.CANCELLED, "UPLOAD_CANCELLED", "why")
    assert upload.stages[Stage.PERSIST].state is StageState.STOPPED
    assert upload.upload_id in await play.parts.ended.due("local", 10)


async def test_a_record_that_misses_the_end_is_corrected(play: Play) -> None:
    upload = await play.admitted(1)
    jobs = await play.receive_all(upload)
    running = await play.started(jobs[Stage.ASSEMBLE])
    journal = journal_of(1, upload_id=upload.upload_id)
    assert (await play.board.rebuild(journal, has_file=True, grants_seconds=60))[0] is False, (
        "the record exists and the upload is in flight"
    )
    journal.ended = Ended(Status.READY)
    await rebuilt(play, journal)
    found = await play.board.get(upload.upload_id)
    assert (found.status, found.content_id) == (Status.READY, upload.upload_id)
    with pytest.raises(StageLost):
        await play.stages.finish(running, None)
    assert await play.board.ids(Status.PROCESSING, -1000, 10) == []
    assert not await play.parts.ended.busy(upload.upload_id)


async def test_two_rebuilds_at_once_make_one_record(play: Play) -> None:
    journal = journal_of(1)
    answers = await asyncio.gather(*(play.board.rebuild(journal, has_file=True, grants_seconds=60) for _ in range(4)))
    assert sorted(created for created, _ in answers) == [False, False, False, True]
    _, changed = await play.board.apply(journal.new.upload_id, Event.CANCEL)
    assert changed
    with pytest.raises(RequestError, match="no upload"):
        await play.board.get("another")


async def test_the_recorded_end_replaces_another_of_the_same_status(play: Play) -> None:
    upload = await play.admitted(1)
    await play.board.apply(upload.upload_id, Event.FAIL, ("TEMP_FILE_MISSING", "gone"))
    journal = journal_of(1, upload_id=upload.upload_id)
    journal.ended = Ended(Status.FAILED, ("NOT_MEDIA", "why"))
    await rebuilt(play, journal)
    found = await play.board.get(upload.upload_id)
    assert (found.status, found.error_code) == (Status.FAILED, "NOT_MEDIA")
