"""Uploads of a temp volume that have ended and are not cleaned up yet, in Redis: `ports.EndedList`."""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.reads import now_ms
from pipeline.adapters.redis.records import from_flat, to_upload
from pipeline.adapters.redis.scripts import Scripts
from pipeline.core.errors import RequestError
from pipeline.core.model import Upload


class RedisEndedList:
    """Implements `ports.EndedList`."""

    def __init__(self, redis: Redis, scripts: Scripts, keys: Keys) -> None:
        self._redis = redis
        self._scripts = scripts
        self._keys = keys

    async def due(self, volume: str, limit: int) -> Sequence[str]:
        latest = await now_ms(self._redis)
        with translated():
            return list(await self._redis.zrangebyscore(self._keys.ended(volume), "-inf", latest, start=0, num=limit))

    async def defer(self, volume: str, upload_id: str, seconds: float) -> None:
        due_ms = await now_ms(self._redis) + int(seconds * 1000)
        with translated():
            await self._redis.zadd(self._keys.ended(volume), {upload_id: due_ms}, xx=True)

    async def defer_until(self, volume: str, upload_id: str, moment_ms: int) -> bool:
        ahead = moment_ms > await now_ms(self._redis)
        if ahead:
            with translated():
                await self._redis.zadd(self._keys.ended(volume), {upload_id: moment_ms}, xx=True)
        return ahead

    async def drop(self, volume: str, upload_id: str) -> None:
        with translated():
            await self._redis.zrem(self._keys.ended(volume), upload_id)

    async def idle(self, upload_id: str) -> Upload | None:
        reply = await self._scripts.call("upload_busy", upload_id=upload_id)
        if reply["busy"]:
            return None
        if "fields" not in reply:
            raise RequestError("UPLOAD_NOT_FOUND", upload_id=upload_id)
        return to_upload(from_flat(reply["fields"]))
