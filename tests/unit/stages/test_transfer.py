"""`Transfer`: a cancelled run ends only after its requests to the store have ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeline.core.errors import StageLost
from pipeline.core.model import StageJob
from pipeline.core.segments import SegmentPlan
from pipeline.core.stages import Stage
from pipeline.core.transports import Transport
from pipeline.engine.contract import StageRun
from pipeline.engine.limiter import SegmentLimiter
from pipeline.ports import PendingSegments
from pipeline.stages.transfer import Transfer

pytestmark = pytest.mark.unit


class SlowStore:
    """Completes every request when `may_complete` is set; counts the requests in flight."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.may_complete = asyncio.Event()

    async def put_segment(self, target: Any, source: Any) -> None:
        self.in_flight += 1
        try:
            await self.may_complete.wait()
        finally:
            self.in_flight -= 1


class BoardOfALostRun:
    """Two segments are pending at the first call; afterwards the run has lost its lease."""

    def __init__(self) -> None:
        self.calls = 0

    async def pending(self, job: StageJob, limit: int) -> PendingSegments:
        self.calls += 1
        if self.calls > 1:
            raise StageLost("STAGE_LOST", stage=str(job.stage))
        return PendingSegments({1: 0, 2: 0}, complete=False)

    async def segment_stored(self, job: StageJob, segment: Any) -> None:
        raise StageLost("STAGE_LOST", stage=str(job.stage))


class Changes:
    """Reports one change of the upload."""

    @asynccontextmanager
    async def watch(self, upload_id: str) -> AsyncIterator[AsyncIterator[None]]:
        async def changes() -> AsyncIterator[None]:
            yield
            await asyncio.Event().wait()

        yield changes()


async def test_a_run_cancelled_while_it_drains_still_drains() -> None:
    store, board = SlowStore(), BoardOfALostRun()
    upload = SimpleNamespace(
        upload_id="u",
        content_type="video/mp4",
        plan=SegmentPlan(20, 10),
        target_session="s",
        store="x",
        transport=Transport.GATEWAY,
        parts=(),
        deferred=None,
    )
    cell = SimpleNamespace(segments=board, record=board, volume=SimpleNamespace(source=lambda *place: None))
    transfer = Transfer(
        cast("Any", cell),
        cast("Any", None),
        cast("Any", SimpleNamespace(named=lambda name: store)),
        SegmentLimiter(4),
        cast("Any", Changes()),
        cast("Any", None),
    )
    job = StageJob("u", Stage.TRANSFER, 1, "v")
    work = asyncio.ensure_future(transfer(StageRun(job, cast("Any", upload))))
    async with asyncio.timeout(10):
        while not (board.calls > 1 and store.in_flight == 2):  # noqa: ASYNC110  # the fakes have no event to wait for
            await asyncio.sleep(0)
        for _ in range(3):  # the heartbeat and a stopping worker may both cancel it
            work.cancel()
            for _ in range(10):
                await asyncio.sleep(0)
        assert not work.done()
        store.may_complete.set()
        with pytest.raises((asyncio.CancelledError, StageLost)):
            await work
    assert store.in_flight == 0
