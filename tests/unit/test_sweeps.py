"""No item of a sweep cancels another, whatever it raises."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from pipeline.core.errors import DependencyUnavailable, StoreError, TempVolumeError
from pipeline.logs import Log
from pipeline.sweeps import FAILURES_IN_A_ROW, Sweep

pytestmark = pytest.mark.unit

REDIS = DependencyUnavailable("REDIS_UNAVAILABLE", reason="refused")
ERRORS = [
    StoreError("STORE_REJECTED", reason="no"),
    TempVolumeError("TEMP_VOLUME_FAILED", reason="EIO"),
    REDIS,
    KeyError("x"),
    ValueError("x"),
    ExceptionGroup("two", [OSError(), KeyError()]),
    TimeoutError(),
    AssertionError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_items_after_a_failed_one_are_handled(error: Exception) -> None:
    sweep = Sweep(volume="v")
    handled: list[str] = []
    with capture_logs() as logs:
        for item in "abc":
            with sweep.item(upload_id=item):
                if item == "b":
                    raise error
                handled.append(item)
    assert handled == ["a", "c"]
    assert sweep.failed == 1
    assert [(entry["event"], entry["volume"], entry["upload_id"]) for entry in logs] == [(Log.ITEM_FAILED, "v", "b")]
    if error is REDIS:
        with pytest.raises(DependencyUnavailable):
            sweep.end()
    else:
        sweep.end()


def test_a_dependency_that_is_unavailable_for_several_in_a_row_ends_the_sweep() -> None:
    sweep = Sweep()
    seen: list[int] = []

    def run() -> None:
        for item in range(100):
            with sweep.item(number=item):
                seen.append(item)
                if item != 1:
                    raise REDIS

    with pytest.raises(DependencyUnavailable):
        run()
    assert seen == [0, 1, *range(2, 2 + FAILURES_IN_A_ROW)]


def test_cancellation_passes() -> None:
    sweep = Sweep()
    with pytest.raises(asyncio.CancelledError), sweep.item():
        raise asyncio.CancelledError
    assert sweep.failed == 0
