"""The accounting of the temp volume, checked throughout a run: bytes on the disk <= reserved bytes <= budget.

A sample reads Redis and the disk one after the other, so a single one may see a file of before and a reservation of
after a change. A problem is reported when several samples in a row have it. After Redis has lost data, the samples
count again once the journals have been compared with it and the accounts are in order: until then, an upload whose end
was lost and one whose admission was lost are both reserved. What a filesystem needs for the maps of files is in no
reservation.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from pipeline.core.errors import DependencyUnavailable
from tests.harness.blocks import occupied_by_uploads
from tests.harness.redis_calls import reply
from tests.programs.torture.world import World

_SAMPLE_SECONDS = 0.1
_CONFIRMATIONS = 8
_CONFIRM_SECONDS = 0.02


@dataclass
class Accounting:
    """What was sampled so far."""

    world: World
    samples: int = field(default=0, init=False)
    highest_reserved_bytes: int = field(default=0, init=False)
    highest_used_bytes: int = field(default=0, init=False)
    problems: list[str] = field(default_factory=list, init=False)
    _losses: int = field(default=0, init=False)
    _in_doubt: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Sample until cancelled."""
        began = time.monotonic()
        while True:
            await asyncio.sleep(_SAMPLE_SECONDS)
            with suppress(RedisError, DependencyUnavailable):  # Redis is a target of faults
                problem = await self._confirmed()
                if problem is not None:
                    self.problems.append(f"{time.monotonic() - began:.1f} s: {problem}")

    async def _confirmed(self) -> str | None:
        for attempt in range(_CONFIRMATIONS):
            problem = await self._sample()
            if problem is None or self._in_doubt:
                return None
            if attempt < _CONFIRMATIONS - 1:
                await asyncio.sleep(_CONFIRM_SECONDS)
        # Sentinels may have promoted a replica that no fault meant to promote, whose reservations are not complete yet.
        return problem if await self.world.is_compared() else None

    async def _sample(self) -> str | None:
        settings = self.world.settings
        on_disk, files = await asyncio.to_thread(occupied_by_uploads, settings.temp_dir)
        used = on_disk.data_bytes
        volume = self.world.keys.volume(settings.volume)
        reserved = int(await reply(self.world.redis.hget(volume, "reserved_bytes")) or 0)
        if self.world.data_losses != self._losses or self.world.is_switching:
            self._losses, self._in_doubt = self.world.data_losses, True
        problem = None
        if used > reserved:
            problem = f"{used} bytes on the disk in {files} files, and {reserved} reserved"
        elif reserved > settings.temp_budget_bytes:
            problem = f"{reserved} bytes reserved of a budget of {settings.temp_budget_bytes}"
        if problem is None:
            self._in_doubt = self._in_doubt and not await self.world.is_compared()
            self.samples += 1
            self.highest_reserved_bytes = max(self.highest_reserved_bytes, reserved)
            self.highest_used_bytes = max(self.highest_used_bytes, used)
        return problem
