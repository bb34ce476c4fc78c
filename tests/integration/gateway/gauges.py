"""Waiting for the gateway, which runs in this process, to be at a certain point: its own gauges say so."""

from __future__ import annotations

import asyncio

from pipeline.telemetry import REGISTRY


async def becomes(name: str, value: int) -> None:
    """Returns when the gauge `name` stands at `value`; raises TimeoutError after ten seconds."""
    async with asyncio.timeout(10):
        while REGISTRY.get_sample_value(name) != value:  # noqa: ASYNC110  # a gauge tells nobody that it has changed
            await asyncio.sleep(0.01)


async def following(count: int) -> None:
    """So many event streams are open."""
    await becomes("sluice_event_streams", count)


async def receiving(count: int) -> None:
    """So many segment bodies are being received."""
    await becomes("sluice_receiving_segments", count)
