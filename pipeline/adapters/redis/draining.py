"""Draining a temp volume: new uploads are refused, and what the volume has is finished.

Guarantee: once `begin` has returned, no gateway creates an upload on the volume, except final ones, which join bytes
that the volume has. The mark is a field of the volume's hash in Redis: it lasts until `cancel`, whatever restarts. The
journals do not have it: after Redis has lost everything, an operator drains again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from redis.asyncio import Redis

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.scripts import Scripts
from pipeline.core.lifecycle import ENDED, Status

Mode = Literal["all", "new"]
"""What is not admitted any more: everything, or only what does not wait yet."""

_IN_FLIGHT: Final = tuple(status for status in Status if status not in ENDED and status is not Status.WAITING)
# Records that one round trip reads.
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Remaining:
    """What a volume has, in numbers of uploads. `mode`: None: it is not drained. `cleaning`: of uploads that have
    ended, those of which not everything is removed yet."""

    mode: str | None
    waiting: int
    in_flight: dict[str, int]
    cleaning: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to finish. Uploads that wait are left if they are not admitted."""
        return not (sum(self.in_flight.values()) or self.cleaning or (self.waiting and self.mode != "all"))


class RedisDraining:
    """Drains any volume that Redis knows. Errors: DependencyUnavailable."""

    def __init__(self, redis: Redis, scripts: Scripts, keys: Keys) -> None:
        self._redis = redis
        self._scripts = scripts
        self._keys = keys

    async def begin(self, volume: str, mode: Mode) -> bool:
        """Drain a volume; False: Redis does not know it. Idempotent."""
        return bool((await self._scripts.call("volume_drain", volume=volume, mode=mode))["known"])

    async def cancel(self, volume: str) -> bool:
        """Take new uploads again; False: Redis does not know the volume. Idempotent."""
        return bool((await self._scripts.call("volume_drain", volume=volume))["known"])

    async def remaining(self, volume: str) -> Remaining:
        """What the volume has now. Reads a field of each upload in flight."""
        key = self._keys.volume(volume)
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hget(key, "draining")
                pipe.zcard(f"{key}:queue")
                pipe.zcard(self._keys.ended(volume))
                for status in _IN_FLIGHT:
                    pipe.zrange(self._keys.status(status), 0, -1)
                mode, waiting, cleaning, *found = await pipe.execute()
            counts = {}
            for status, upload_ids in zip(_IN_FLIGHT, found, strict=True):
                counts[str(status)] = await self._count(volume, upload_ids)
        return Remaining(mode, waiting, counts, cleaning)

    async def _count(self, volume: str, upload_ids: list[str]) -> int:
        """How many of these uploads are on the volume: other volumes may have the same Redis."""
        count = 0
        for start in range(0, len(upload_ids), _BATCH):
            async with self._redis.pipeline(transaction=False) as pipe:
                for upload_id in upload_ids[start : start + _BATCH]:
                    pipe.hget(self._keys.upload(upload_id), "volume")
                count += (await pipe.execute()).count(volume)
        return count
