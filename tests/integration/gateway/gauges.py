"""Wait until the gateway, which runs in this process, reaches a certain state, as seen in its own gauges."""

from __future__ import annotations

import asyncio

from pipeline.telemetry import REGISTRY


async def becomes(name: str, value: int) -> None:
    """Wait until the gauge `name` has this `value`. Raises TimeoutError after a minute."""
    async with asyncio.timeout(60):
        while REGISTRY.get_sample_value(name) != value:  # noqa: ASYNC110  # a gauge cannot be awaited
            await asyncio.sleep(0.01)


async def following(count: int) -> None:
    """Wait until `count` event streams are open."""
    await becomes("sluice_event_streams", count)


async def receiving(count: int) -> None:
    """Wait until `count` segment bodies are being received."""
    await becomes("sluice_receiving_segments", count)
