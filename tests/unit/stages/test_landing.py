"""What is on its way to the store when a run is cancelled arrives first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pipeline.engine import drain as landing
from pipeline.engine.drain import land, landed


class Flight:
    """A request that goes on until it may `arrive`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun, self.arrive = asyncio.Event(), asyncio.Event()
        self.ended = ""
        self._error = error

    async def __call__(self) -> str:
        self.begun.set()
        try:
            await self.arrive.wait()
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        self.ended = "arrived"
        if self._error:
            raise self._error
        return "there"


async def through_landed(flight: Flight) -> None:
    await landed(flight())


async def through_land(flight: Flight) -> None:
    await land([asyncio.create_task(flight())])


WAYS: dict[str, Callable[[Flight], Awaitable[None]]] = {"one": through_landed, "many": through_land}


async def test_who_is_not_cancelled_gets_what_there_is() -> None:
    well, ill = Flight(), Flight(ValueError("no"))
    for flight in (well, ill):
        flight.arrive.set()
    assert await landed(well()) == "there"
    with pytest.raises(ValueError, match="no"):
        await landed(ill())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", [None, ValueError("no")], ids=["well", "ill"])
async def test_a_cancelled_run_ends_when_its_request_has_landed(way: str, error: Exception | None) -> None:
    flight = Flight(error)
    run = asyncio.ensure_future(WAYS[way](flight))
    await flight.begun.wait()
    for _ in range(3):  # impatience changes nothing
        run.cancel()
        await asyncio.sleep(0)
        assert not run.done()
    flight.arrive.set()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert flight.ended == "arrived"


@pytest.mark.parametrize("way", WAYS)
async def test_what_does_not_land_in_time_is_cancelled(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "LANDING_SECONDS", 0.01)
    flight = Flight()
    run = asyncio.ensure_future(WAYS[way](flight))
    await flight.begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert flight.ended == "cancelled"
