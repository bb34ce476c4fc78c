"""Samples of the counters of a cell over the last hour, in Redis: `ports.Samples`."""

from __future__ import annotations

from pipeline.adapters.redis.scripts import Scripts

EVERY_MS = 10_000
KEPT_MS = 3_600_000


class RedisSamples:
    """Implements `ports.Samples`: one sample in `EVERY_MS`, kept for `KEPT_MS`."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def keep(self, volume: str) -> None:
        await self._scripts.call("volume_sample", volume=volume, every_ms=EVERY_MS, keep_ms=KEPT_MS)
