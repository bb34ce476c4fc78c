"""The span of a stage's run is below the request that created its upload."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from pipeline.core.errors import MediaError
from pipeline.core.journal import read, write
from pipeline.core.journal_entries import beginning
from pipeline.core.stages import Stage
from pipeline.engine.contract import Done, Outcome, StageRun
from pipeline.tracing import current_traceparent, store_request
from tests.contract.redis.engines import engine_of, probe_job
from tests.contract.redis.uploads import Play
from tests.harness.new_uploads import new_upload
from tests.harness.tracing import SPAN_ID, TRACE_ID, TRACEPARENT, ids, parent, traced

pytestmark = pytest.mark.integration


def _facts(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_the_record_keeps_the_traceparent_of_its_creation(play: Play) -> None:
    kept, _ = await play.board.create(new_upload(traceparent=TRACEPARENT))
    assert (await play.board.get(kept.upload_id)).traceparent == TRACEPARENT
    without, _ = await play.board.create(new_upload())
    assert (await play.board.get(without.upload_id)).traceparent is None


async def test_an_upload_that_is_rebuilt_from_its_journal_keeps_its_trace(play: Play) -> None:
    new = new_upload(traceparent=TRACEPARENT)
    journal = read(write(beginning(new)))
    assert journal is not None
    await play.board.rebuild(journal, has_file=True, grants_seconds=60)
    assert (await play.board.get(new.upload_id)).traceparent == TRACEPARENT


async def test_a_run_has_a_span_in_the_trace_of_its_upload(play: Play) -> None:
    inside: list[str | None] = []

    async def work(run: StageRun) -> Outcome:
        inside.append(current_traceparent())
        store_request("GET", 206, 0.1)
        return Done({"answer": 42})

    job = (await play.receive_all(await play.admitted(1, traceparent=TRACEPARENT)))[Stage.PROBE]
    async with traced() as spans:
        await engine_of(play, work, stage=Stage.PROBE).run(job)
    span = spans.only("stage probe")
    assert (ids(span)[0], parent(span)) == (TRACE_ID, SPAN_ID)
    assert inside == [f"00-{TRACE_ID}-{ids(span)[1]}-01"]
    assert parent(spans.only("store GET")) == ids(span)[1]
    facts = _facts(span)
    assert facts.pop("sluice.waited_seconds") >= 0
    assert facts == {
        "sluice.upload_id": job.upload_id,
        "sluice.stage": "probe",
        "sluice.attempt": 1,
        "sluice.fencing_token": job.fencing_token,
        "sluice.outcome": "done",
    }
    assert span.status.status_code is StatusCode.UNSET


async def test_a_failed_run_has_its_error(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        raise MediaError("NOT_MEDIA", reason="it is a letter")

    job = (await play.receive_all(await play.admitted(1, traceparent=TRACEPARENT)))[Stage.PROBE]
    async with traced() as spans:
        await engine_of(play, work, stage=Stage.PROBE).run(job)
    span = spans.only("stage probe")
    assert (_facts(span)["sluice.outcome"], _facts(span)["error.type"]) == ("failed", "NOT_MEDIA")
    assert span.status.status_code is StatusCode.ERROR


async def test_the_run_of_an_upload_without_a_trace_begins_one(play: Play) -> None:
    async def work(run: StageRun) -> Outcome:
        return Done()

    job = await probe_job(play)
    async with traced() as spans:
        await engine_of(play, work, stage=Stage.PROBE).run(job)
    assert parent(spans.only("stage probe")) is None
