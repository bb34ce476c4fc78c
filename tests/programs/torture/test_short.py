"""A short torture test, run with every change; `make torture` runs a long one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.programs.torture.fault_kinds import FaultKind
from tests.programs.torture.opening import open_world, servers
from tests.programs.torture.report import as_dict, problems
from tests.programs.torture.run import Outcome, run
from tests.programs.torture.schedule import make_schedule

pytestmark = pytest.mark.e2e

_SEED = 388  # a replica that lags behind is promoted early
_SECONDS = 15.0
_LEASE_SECONDS = 30  # so long the test waits for an upload that its client abandons


@pytest.mark.timeout(900)  # one minute on an idle machine; the uploads and the audit have as much time as in a long run
def test_fifteen_seconds_of_faults_lose_nothing(tmp_path: Path) -> None:
    schedule = make_schedule(_SEED, _SECONDS)
    assert FaultKind.REDIS_FAILOVER_BEHIND in {fault.kind for fault in schedule.faults}

    async def in_world() -> Outcome:
        async with open_world(stack, cluster, tmp_path, _SEED, lease_seconds=_LEASE_SECONDS) as world:
            return await run(world, schedule, lambda _: None)

    with servers(tmp_path, sentinel=schedule.sentinel) as (stack, cluster):
        outcome = asyncio.run(in_world())
    facts = as_dict(outcome)
    assert outcome.is_clean, "\n".join(problems(outcome, tmp_path))
    assert sum(facts["faults"].values()) == len(schedule.faults)
    assert sum(facts["uploads"].values()) == len(schedule.uploads)
    assert facts["failovers"] >= 1
    assert any(how == "ready" for how in facts["uploads"])
