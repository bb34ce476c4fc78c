"""Records that are recreated from journals, and the stages that they start."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pipeline.adapters.redis.reads import now_ms
from pipeline.core.errors import RequestError, StageLost
from pipeline.core.journal import Journal
from pipeline.core.journal_entries import Ended
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import ClientDigest, StageJob
from pipeline.core.stages import Stage, StageState
from pipeline.core.stored_objects import ObjectVersion
from pipeline.core.transports import Transport
from tests.contract.redis.uploads import DIGEST, VOLUME, Play, until
from tests.contract.redis.windows import choose
from tests.harness.new_uploads import new_upload

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
    assert set(jobs) == {Stage.TRANSFER, Stage.PROBE}
    upload = await play.board.get(journal.new.upload_id)
    assert (upload.status, upload.metadata, upload.target_session) == (Status.RECEIVING, {"of": "mine"}, "s")
    assert (upload.bytes_received, upload.segments_received) == (20, 2)
    assert (upload.bytes_stored, upload.segments_stored) == (10, 1)
    assert upload.recovered_at_ms is not None
    transfer = await play.started(jobs[Stage.TRANSFER])
    assert dict((await play.segments.pending(transfer, 10)).crc32c) == {2: 2}
    later = (await play.receive(upload, 3)).jobs
    assert later == (), "no digest was announced, and the others run already"
    again = new_upload(idempotency_key="k", fingerprint="f")
    assert (await play.board.create(again))[0].upload_id == upload.upload_id, "its Idempotency-Key is known again"


async def test_an_upload_with_every_segment_is_processed(play: Play) -> None:
    assert set(await rebuilt(play, journal_of(3))) == {Stage.TRANSFER, Stage.PROBE}
    assert set(await rebuilt(play, journal_of(3, digest=DIGEST))) == {Stage.TRANSFER, Stage.PROBE, Stage.ASSEMBLE}


async def test_an_upload_without_its_temp_file_waits(play: Play) -> None:
    journal = journal_of()
    assert await rebuilt(play, journal, has_file=False) == {}
    assert (await play.board.get(journal.new.upload_id)).status is Status.WAITING


async def test_a_run_from_before_the_loss_cannot_write(play: Play) -> None:
    upload = await play.admitted(3)
    before = await play.started(play.by_stage((await play.receive(upload, 1)).jobs)[Stage.TRANSFER])
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
    assert set(await rebuilt(play, imported, has_file=False)) == {Stage.PROBE}
    assert (await play.board.get(imported.new.upload_id)).status is Status.PROCESSING
    granted = journal_of(transport=Transport.DIRECT)
    assert await rebuilt(play, granted, has_file=False) == {}
    upload = await play.board.get(granted.new.upload_id)
    assert upload.status is Status.GRANTED
    assert upload.grants_until_ms is not None, "its client may still write, so cleanup must wait"
    complete = journal_of(transport=Transport.DIRECT)
    complete.completed = True
    complete.stored = {1: "a", 2: "b", 3: "c"}
    assert set(await rebuilt(play, complete, has_file=False)) == {Stage.SEAL, Stage.PROBE}
    upload = await play.board.get(complete.new.upload_id)
    assert (upload.status, upload.bytes_received, upload.bytes_stored) == (Status.PROCESSING, 25, 25)


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
    assert await play.parts.ended.idle(upload.upload_id)


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


async def test_released_segments_count_and_lost_ones_are_requested_again(play: Play) -> None:
    journal = journal_of(2, size_bytes=50, window_bytes=30)
    journal.stored = {1: "a", 2: "b"}
    journal.released = {1, 2}
    journal.expected = {4: 0x1004}
    jobs = await rebuilt(play, journal)
    assert Stage.TRANSFER in jobs
    upload_id = journal.new.upload_id
    upload = await play.board.get(upload_id)
    assert (upload.segments_received, upload.segments_stored, upload.bytes_released) == (2, 2, 20)
    assert await play.segments.released(upload_id) == {1, 2}
    for crc32c, refused in ((7, "differs"), (0x1004, None)):
        assert (await play.segments.claim(upload_id, 4, f"t{crc32c}", 60)).claimed
        assert (await play.segments.record_received(upload_id, 4, 10, crc32c, f"t{crc32c}")).refused == refused


async def test_stored_segments_of_a_window_are_released_after_a_rebuild(play: Play) -> None:
    """They may fill the window; then no segment could arrive, whose transfer would release them."""
    journal = journal_of(3, size_bytes=80, window_bytes=30)
    journal.stored = {2: "b", 3: "c"}
    await rebuilt(play, journal)
    upload = await play.board.get(journal.new.upload_id)
    assert await play.segments.to_release(VOLUME, 10) == [upload.upload_id]
    assert (await choose(play, upload)).released == {2: "b", 3: "c"}


async def test_an_upload_whose_segments_were_all_released_is_processed(play: Play) -> None:
    journal = journal_of(3, window_bytes=20)
    journal.stored = {1: "a", 2: "b", 3: "c"}
    journal.released = {1, 2, 3}
    jobs = await rebuilt(play, journal)
    assert Stage.TRANSFER in jobs
    assert (await play.board.get(journal.new.upload_id)).status is Status.PROCESSING


async def test_a_rebuilt_record_skips_the_digest_only_if_none_was_announced(play: Play) -> None:
    """Whatever stages have to verify it."""
    for digest in (None, ClientDigest("sha-256", bytes(32))):
        journal = journal_of(1, digest=digest)
        await rebuilt(play, journal)
        created, _ = await play.board.create(new_upload(digest=digest))
        found = await play.board.get(journal.new.upload_id)
        assert found.stages[Stage.ASSEMBLE].state is created.stages[Stage.ASSEMBLE].state
