"""The schedule is repeatable and keeps its rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.programs.torture.fault_kinds import FaultKind, kinds_of
from tests.programs.torture.faults import FAULTS
from tests.programs.torture.files import make_file
from tests.programs.torture.schedule import Scenario, Way, make_schedule, targets_of

pytestmark = pytest.mark.unit

_MINUTES = 10


def test_the_same_seed_gives_the_same_schedule() -> None:
    assert make_schedule(7, 600) == make_schedule(7, 600)
    assert make_schedule(7, 600).faults != make_schedule(8, 600).faults


def test_a_longer_run_begins_as_a_shorter_one() -> None:
    short, long = make_schedule(7, 60), make_schedule(7, 600)
    assert short.faults == long.faults[: len(short.faults)]
    assert short.uploads == long.uploads[: len(short.uploads)]
    assert all(fault.at_seconds < 60 for fault in short.faults)


def test_ten_minutes_contain_every_kind_of_fault_and_every_scenario() -> None:
    schedules = [make_schedule(seed, 60 * _MINUTES) for seed in range(5)]
    assert {fault.kind for schedule in schedules for fault in schedule.faults} == set(FaultKind) == set(FAULTS)
    for schedule in schedules:
        assert {upload.scenario for upload in schedule.uploads} == set(Scenario)
        assert {upload.way for upload in schedule.uploads} == set(Way)
        assert {upload.obeys for upload in schedule.uploads} == {True, False}
        assert max(upload.extra_bytes for upload in schedule.uploads) > 12 * 1024 * 1024  # more than the whole budget


@pytest.mark.parametrize("scenario", [Scenario.CANCELLED, Scenario.ABANDONED])
def test_only_uploads_to_a_gateway_are_cancelled_or_abandoned(scenario: Scenario) -> None:
    uploads = [upload for upload in make_schedule(3, 600).uploads if upload.scenario is scenario]
    assert {upload.way for upload in uploads} == {Way.GATEWAY}


def test_some_files_have_their_index_in_their_last_segment() -> None:
    """Behind all of the bytes that make the file unique, and players still find it."""
    plan = next(plan for plan in make_schedule(1, 600).uploads if plan.scenario is Scenario.COMPLETE)
    files = [make_file(replace(plan, seed=seed, extra_bytes=500_000), 1) for seed in range(40)]
    films = [file.data for file in files if file.content_type == "video/mp4"]
    assert {data.index(b"moov") > 500_000 for data in films} == {True, False}
    assert make_file(plan, 1) == make_file(plan, 1)


def test_a_run_may_be_limited_to_some_kinds() -> None:
    only = {FaultKind.POSTGRES_CANCEL, FaultKind.REDIS_FULL}
    assert {fault.kind for fault in make_schedule(7, 600, only).faults} == only


def test_some_seeds_use_sentinel_and_some_one_server() -> None:
    schedules = [make_schedule(seed, 600) for seed in range(6)]
    assert [schedule.sentinel for schedule in schedules] == [False, True, True] * 2
    for schedule in schedules:
        assert {fault.kind for fault in schedule.faults} <= set(kinds_of(sentinel=schedule.sentinel))
    assert make_schedule(3, 60, sentinel=True).sentinel


def test_a_fail_over_needs_replicas() -> None:
    with pytest.raises(ValueError, match="Redis with Sentinel"):
        make_schedule(3, 60, [FaultKind.REDIS_FAILOVER])


@pytest.mark.parametrize("seed", range(5))
def test_faults_never_overlap_on_one_target(seed: int) -> None:
    free_at: dict[str, float] = {}
    for fault in make_schedule(seed, 600).faults:
        for target in targets_of(fault):
            assert free_at.get(target, 0.0) <= fault.at_seconds
            free_at[target] = fault.at_seconds + fault.for_seconds
