"""`ports.PlacementClaims`: in which cell the upload of an Idempotency-Key is created."""

from __future__ import annotations

from collections.abc import Collection

from redis.asyncio import Redis

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.scripts import Scripts


class RedisPlacementClaims:
    """A claim is kept as long as the Idempotency-Key itself."""

    def __init__(self, redis: Redis, scripts: Scripts, keys: Keys, kept_ms: int) -> None:
        self._redis = redis
        self._scripts = scripts
        self._keys = keys
        self._kept_ms = kept_ms

    async def known(self, key: str) -> bool:
        with translated():
            return bool(await self._redis.exists(self._keys.idempotency(key)))

    async def claim(self, key: str, cell: int, lost: Collection[int]) -> int:
        reply = await self._scripts.call(
            "cell_claim", key=key, cell=cell, lost={str(number): True for number in lost}, kept_ms=self._kept_ms
        )
        return int(reply["cell"])
