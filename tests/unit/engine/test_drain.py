"""Draining: requests in flight when a run is cancelled complete before the run ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pipeline.engine.drain import DRAIN_SECONDS, drain, drained

pytestmark = pytest.mark.unit


class Request:
    """A request that completes when `may_complete` is set."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun, self.may_complete = asyncio.Event(), asyncio.Event()
        self.ended = ""
        self._error = error

    async def __call__(self) -> str:
        self.begun.set()
        try:
            await self.may_complete.wait()
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        self.ended = "completed"
        if self._error:
            raise self._error
        return "stored"


async def one(request: Request, seconds: float = DRAIN_SECONDS) -> None:
    await drained(request(), seconds)


async def many(request: Request, seconds: float = DRAIN_SECONDS) -> None:
    await drain([asyncio.create_task(request())], seconds)


WAYS: dict[str, Callable[..., Awaitable[None]]] = {"one": one, "many": many}


async def test_result_and_error_reach_a_caller_that_is_not_cancelled() -> None:
    succeeding, failing = Request(), Request(ValueError("no"))
    for request in (succeeding, failing):
        request.may_complete.set()
    assert await drained(succeeding()) == "stored"
    with pytest.raises(ValueError, match="no"):
        await drained(failing())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", [None, ValueError("no")], ids=["succeeds", "fails"])
async def test_a_cancelled_run_ends_after_its_request(way: str, error: Exception | None) -> None:
    request = Request(error)
    run = asyncio.ensure_future(WAYS[way](request))
    await request.begun.wait()
    for _ in range(3):  # further cancellations change nothing
        run.cancel()
        await asyncio.sleep(0)
        assert not run.done()
    request.may_complete.set()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert request.ended == "completed"


@pytest.mark.parametrize("way", WAYS)
async def test_a_late_request_is_cancelled(way: str) -> None:
    request = Request()
    run = asyncio.ensure_future(WAYS[way](request, 0.01))
    await request.begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert request.ended == "cancelled"
