"""Checks that no client has to send a segment again that a gateway has acknowledged.

A segment may be requested again if a fault has damaged it on the temp volume or deleted it from the store. After Redis
has lost data, it may also be listed as missing until the journals have been compared with Redis: so the check waits for
that, and reads the list again.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from pipeline.core.errors import DependencyUnavailable
from tests.harness.cell import ENDED
from tests.programs.torture.client import UNKNOWN, Client, ClientUpload
from tests.programs.torture.world import World

_POLL_SECONDS = 0.2


@dataclass
class Acknowledged:
    """What was requested again so far."""

    world: World
    requested_again: int = field(default=0, init=False)
    """Segments that their clients had to send again, because a fault had damaged or deleted them."""
    problems: list[str] = field(default_factory=list, init=False)
    """A line for each upload whose segments were requested again without a reason."""

    async def check(self, client: Client, upload: ClientUpload) -> None:
        """Find out whether segments that were acknowledged are really missing, and why. Those count as not acknowledged
        then. Afterwards `upload` has its latest status."""
        await self._until_compared()
        await client.refresh(upload)
        if upload.status in ENDED | {UNKNOWN}:
            return
        again = upload.acknowledged.intersection(upload.missing)
        upload.acknowledged -= again
        if again and upload.upload_id not in self.world.harmed:
            self.problems.append(f"upload {upload.upload_id} requests segments {sorted(again)} again")
        else:
            self.requested_again += len(again)

    async def _until_compared(self) -> None:
        while True:
            with suppress(RedisError, DependencyUnavailable):
                if await self.world.is_compared():
                    return
            await asyncio.sleep(_POLL_SECONDS)
