"""`VolumeUpkeep`: a failing temp volume does not keep the other steps of a tick or a sweep from running."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from pipeline.core.errors import DependencyUnavailable, TempVolumeError
from pipeline.logs import Log
from pipeline.ports import AdmissionOutcome
from pipeline.upkeep.volume import VolumeUpkeep

pytestmark = pytest.mark.unit

DISK_ERROR = TempVolumeError("TEMP_VOLUME_FAILED", reason="Input/output error")
REDIS_ERROR = DependencyUnavailable("REDIS_UNAVAILABLE", reason="refused")
SWEEP = ["end_idle", "request_again", "discard_stale_jobs", "purge_expired", "remove"]


class Steps:
    """Every collaborator in one. `calls` names the steps in order; a step named in `errors` raises."""

    def __init__(self, errors: Mapping[str, Exception], lapsed: tuple[str, ...] | None = ()) -> None:
        self.calls: list[str] = []
        self._errors = errors
        self._lapsed = lapsed

    def _step(self, name: str) -> None:
        self.calls.append(name)
        if name in self._errors:
            raise self._errors[name]

    async def follow(self) -> None:
        self._step("follow")

    async def run(self) -> AdmissionOutcome | None:
        self._step("run")
        return None if self._lapsed is None else AdmissionOutcome((), self._lapsed, 0)

    async def end_lapsed(self, upload_id: str) -> None:
        self._step(f"end_lapsed {upload_id}")

    async def end_idle(self) -> None:
        self._step("end_idle")

    async def request_again(self) -> None:
        self._step("request_again")

    async def discard_stale_jobs(self) -> None:
        self._step("discard_stale_jobs")

    async def purge_expired(self, limit: int) -> None:
        self._step("purge_expired")

    async def remove(self) -> None:
        self._step("remove")


def upkeep(steps: Steps) -> VolumeUpkeep:
    every = cast("Any", steps)
    cell = SimpleNamespace(record=steps, volume=SimpleNamespace(name="v"))
    return VolumeUpkeep(cast("Any", cell), every, every, every, every)


async def test_a_tick_ends_every_lapsed_upload_although_the_disk_fails_for_one() -> None:
    steps = Steps({"end_lapsed b": DISK_ERROR}, lapsed=("a", "b", "c"))
    with capture_logs() as logs:
        await upkeep(steps).tick()
    assert steps.calls == ["follow", "run", "end_lapsed a", "end_lapsed b", "end_lapsed c"]
    assert [(entry["event"], entry["volume"], entry["code"]) for entry in logs] == [
        (Log.TICK_FAILED, "v", "TEMP_VOLUME_FAILED")
    ]


async def test_a_sweep_runs_while_the_disk_fails_in_ticks_and_sweeps() -> None:
    steps = Steps({"end_lapsed a": DISK_ERROR, "remove": DISK_ERROR}, lapsed=("a",))
    volume = upkeep(steps)
    for _ in range(2):
        await volume.tick()
        await volume.sweep()
    assert steps.calls == ["follow", "run", "end_lapsed a", *SWEEP] * 2


async def test_a_tick_ends_no_upload_while_the_volume_is_not_open() -> None:
    steps = Steps({}, lapsed=None)
    await upkeep(steps).tick()
    assert steps.calls == ["follow", "run"]


@pytest.mark.parametrize("error", [REDIS_ERROR, DISK_ERROR, KeyError("volume"), ExceptionGroup("two", [OSError()])])
@pytest.mark.parametrize("failing", SWEEP)
async def test_a_step_that_fails_does_not_cancel_the_others(failing: str, error: Exception) -> None:
    steps = Steps({failing: error})
    with pytest.raises(DependencyUnavailable) if error is REDIS_ERROR else nullcontext():
        await upkeep(steps).sweep()
    assert steps.calls == SWEEP


@pytest.mark.parametrize("error", [REDIS_ERROR, DISK_ERROR, KeyError("volume")])
@pytest.mark.parametrize("failing", ["follow", "run", "end_lapsed a", "end_lapsed b"])
async def test_a_tick_handles_what_does_not_fail(failing: str, error: Exception) -> None:
    steps = Steps({failing: error}, lapsed=("a", "b"))
    with pytest.raises(DependencyUnavailable) if error is REDIS_ERROR else nullcontext():
        await upkeep(steps).tick()
    assert steps.calls == ["follow", "run", *([] if failing == "run" else ["end_lapsed a", "end_lapsed b"])]


async def test_redis_that_is_unavailable_for_three_in_a_row_ends_the_tick() -> None:
    steps = Steps({f"end_lapsed {name}": REDIS_ERROR for name in "abcd"}, lapsed=tuple("abcd"))
    with pytest.raises(DependencyUnavailable):
        await upkeep(steps).tick()
    assert steps.calls == ["follow", "run", "end_lapsed a", "end_lapsed b", "end_lapsed c"]
