"""Heartbeats end with the block that they accompany."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from pipeline.core.errors import StageLost
from pipeline.core.model import StageJob
from pipeline.core.stages import Stage
from pipeline.engine import heartbeat
from pipeline.engine.heartbeat import heartbeats
from pipeline.ports import StageRuns
from tests.harness.losing import LosesCancellations

pytestmark = pytest.mark.unit


class LosesACancellation:
    """Renews leases. A cancellation of its first call has no effect, as `asyncio.wait_for` may do before Python 3.12
    when its work is done at the same moment."""

    lease_seconds = 0.01

    def __init__(self) -> None:
        self.renewing = asyncio.Event()
        self.calls = 0

    async def renew(self, job: StageJob) -> None:
        self.calls += 1
        self.renewing.set()
        if self.calls == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return


async def test_heartbeats_end_although_a_cancellation_is_lost() -> None:
    runs = LosesACancellation()
    work: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with asyncio.timeout(30):
        async with heartbeats(cast(StageRuns, runs), StageJob("upload", Stage.PROBE, 1, "volume"), work):
            await runs.renewing.wait()
    assert asyncio.all_tasks() == {asyncio.current_task()}


class LosesItsLease:
    """Refuses the first renewal."""

    lease_seconds = 0.01

    async def renew(self, job: StageJob) -> None:
        raise StageLost("STAGE_LOST", stage=str(job.stage))


async def test_a_lost_lease_ends_work_that_loses_a_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "WORK_AGAIN_SECONDS", 0.01)
    losing = LosesCancellations()
    work = await losing.started()
    async with asyncio.timeout(30):
        with pytest.raises(StageLost):
            async with heartbeats(cast(StageRuns, LosesItsLease()), StageJob("upload", Stage.PROBE, 1, "volume"), work):
                await asyncio.shield(work)
    assert losing.cancellations == 2
