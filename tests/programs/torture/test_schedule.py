"""The schedule is repeatable and keeps its rules."""

from __future__ import annotations

import pytest

from tests.programs.torture.faults import FAULTS
from tests.programs.torture.schedule import FaultKind, Scenario, make_schedule, targets_of

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


def test_a_run_may_be_limited_to_some_kinds() -> None:
    only = {FaultKind.POSTGRES_CANCEL, FaultKind.REDIS_FULL}
    assert {fault.kind for fault in make_schedule(7, 600, only).faults} == only


@pytest.mark.parametrize("seed", range(5))
def test_faults_never_overlap_on_one_target(seed: int) -> None:
    free_at: dict[str, float] = {}
    for fault in make_schedule(seed, 600).faults:
        for target in targets_of(fault):
            assert free_at.get(target, 0.0) <= fault.at_seconds
            free_at[target] = fault.at_seconds + fault.for_seconds
