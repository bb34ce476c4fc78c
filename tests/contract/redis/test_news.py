"""Facts that webhooks are notified of, on a real Redis: which scripts record them, and how they are copied."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest

from pipeline.core.journal import Journal
from pipeline.core.journal_entries import Ended
from pipeline.core.lifecycle import Event, Status
from pipeline.core.stages import Stage
from pipeline.ports.webhooks import NewEvent
from pipeline.webhooks.events import event_of, traceparent_of
from pipeline.webhooks.news import NewsCopy
from tests.contract.redis.uploads import VOLUME, Play
from tests.harness.new_uploads import new_upload
from tests.harness.tracing import TRACEPARENT

pytestmark = pytest.mark.contract

_MEDIA = {"kind": "video", "container": "mp4", "size_bytes": 25, "streams": []}


class Kept:
    """The part of an outbox that copying uses. `log`: what was called, in order."""

    def __init__(self, *held: str) -> None:
        self._held = held
        self.log: list[tuple[str, Sequence[str]]] = []

    async def held(self, volume: str, limit: int) -> Sequence[str]:
        return self._held

    async def add(self, events: Sequence[NewEvent]) -> None:
        self.log.append(("add", [event.event_id for event in events]))

    async def release(self, event_ids: Sequence[str]) -> None:
        self.log.append(("release", event_ids))


async def _facts(play: Play) -> list[dict[str, str]]:
    return [dict(item.fields) for item in await play.parts.news.read(100)]


async def test_nothing_is_recorded_where_no_notify_worker_has_run(play: Play) -> None:
    await play.admitted()
    assert await _facts(play) == []
    assert not await play.parts.client.exists(play.parts.keys.news(VOLUME))


async def test_facts_are_recorded_in_their_order(play: Play) -> None:
    await play.parts.news.announce()
    upload = await play.admitted(metadata={"row": "4"})
    jobs = await play.receive_all(upload)
    await play.finished(jobs[Stage.PROBE], _MEDIA)
    await play.board.apply(upload.upload_id, Event.FAIL, ("MEDIA_UNREADABLE", "why"))
    admitted, media, failed = await _facts(play)
    assert [item["type"] for item in (admitted, media, failed)] == ["upload.admitted", "media.known", "upload.failed"]
    assert json.loads(media["media"])["kind"] == "video"
    assert (failed["error_code"], failed["error_message"]) == ("MEDIA_UNREADABLE", "why")
    assert "error_code" not in admitted
    assert json.loads(admitted["metadata"]) == {"row": "4"}
    for item in (admitted, media, failed):
        assert (item["upload_id"], item["owner"]) == (upload.upload_id, upload.owner)
        event_of(item)


@pytest.mark.parametrize("traceparent", [TRACEPARENT, None])
async def test_an_event_is_in_the_trace_of_its_upload(play: Play, traceparent: str | None) -> None:
    await play.parts.news.announce()
    await play.admitted(traceparent=traceparent)
    (admitted,) = await _facts(play)
    body = event_of(admitted).body
    assert traceparent_of(body) == traceparent
    assert ("traceparent" in json.loads(body)) is (traceparent is not None)


async def test_an_error_of_the_server_names_none_of_its_directories(play: Play) -> None:
    await play.parts.news.announce()
    upload = await play.admitted()
    await play.board.apply(upload.upload_id, Event.FAIL, ("TEMP_VOLUME_FAILED", "cannot read /var/lib/sluice/x"))
    _, failed = await _facts(play)
    assert "cannot read [path]" in event_of(failed).body


async def test_an_upload_that_becomes_ready_or_is_cancelled_is_no_fact_of_redis(play: Play) -> None:
    await play.parts.news.announce()
    await play.ready()
    cancelled = await play.admitted()
    await play.board.apply(cancelled.upload_id, Event.CANCEL)
    assert [item["type"] for item in await _facts(play)] == ["upload.admitted", "media.known", "upload.admitted"]


async def test_a_recreated_record_repeats_its_fact_also_before_a_notify_worker_has_run(play: Play) -> None:
    running = Journal(new_upload(), {1: 1})
    ended = Journal(new_upload(), {}, ended=Ended(Status.EXPIRED, ("UPLOAD_ABANDONED", "why")))
    waiting = Journal(new_upload())
    for journal, has_file in ((running, True), (ended, False), (waiting, False)):
        await play.board.rebuild(journal, has_file=has_file, grants_seconds=60)
    assert [(item["upload_id"], item["type"]) for item in await _facts(play)] == [
        (running.new.upload_id, "upload.admitted"),
        (ended.new.upload_id, "upload.expired"),
    ]
    assert await play.parts.client.pttl(play.parts.keys.news(VOLUME)) > 0


async def test_facts_are_copied_before_held_events_are_released(play: Play) -> None:
    await play.parts.news.announce()
    upload = await play.admitted()
    kept = Kept("held")
    copy = NewsCopy(play.parts.news, kept, VOLUME)  # type: ignore[arg-type]  # it has what is called
    assert await copy.run()
    assert kept.log == [("add", [f"{upload.upload_id}_upload-admitted"]), ("release", ("held",))]
    assert await play.parts.news.count() == 0
    idle = NewsCopy(play.parts.news, Kept(), VOLUME)  # type: ignore[arg-type]  # see above
    assert not await idle.run()


async def test_several_processes_copy_every_fact(play: Play) -> None:
    await play.parts.news.announce()
    uploads = [await play.admitted() for _ in range(20)]
    outboxes = [Kept() for _ in range(4)]
    copies = [NewsCopy(play.parts.news, kept, VOLUME) for kept in outboxes]  # type: ignore[arg-type]  # see above
    await asyncio.gather(*(copy.run() for copy in copies))
    found = {event_id for kept in outboxes for _, event_ids in kept.log for event_id in event_ids}
    assert found == {f"{upload.upload_id}_upload-admitted" for upload in uploads}
    assert await play.parts.news.count() == 0


async def test_a_damaged_fact_does_not_hold_up_the_others(play: Play) -> None:
    await play.parts.news.announce()
    key = play.parts.keys.news(VOLUME)
    for name, value in (("type", "upload.unheard"), ("type", "upload.admitted"), ("a", "b")):
        await play.parts.client.xadd(key, {name: value})
    upload = await play.admitted()
    kept = Kept()
    await NewsCopy(play.parts.news, kept, VOLUME).run()  # type: ignore[arg-type]  # see above
    assert kept.log == [("add", [f"{upload.upload_id}_upload-admitted"])]
    assert await play.parts.news.count() == 0
