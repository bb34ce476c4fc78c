"""Facts that webhooks are notified of, as Redis scripts record them: `ports.webhooks.News`.

A stream: its ids grow, so several processes may read the same facts, and removing one twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.reads import expect
from pipeline.ports.webhooks import NewsItem

_ANNOUNCED_MS = 3 * 24 * 3600 * 1000
"""As long as the scripts keep facts that nobody reads (NEWS_MS in `lifecycle.lua`)."""


class RedisNews:
    """Implements `News` for one temp volume."""

    def __init__(self, redis: Redis, keys: Keys, volume: str) -> None:
        self._redis = redis
        self._news = keys.news(volume)
        self._notified = keys.notified(volume)

    async def announce(self) -> None:
        with translated():
            await self._redis.set(self._notified, "1", px=_ANNOUNCED_MS)

    async def read(self, limit: int) -> Sequence[NewsItem]:
        with translated():
            reply = expect(list, await self._redis.xrange(self._news, count=limit))
            return [NewsItem(expect(str, item[0]), expect(dict, item[1])) for item in reply]

    async def remove(self, item_ids: Sequence[str]) -> None:
        with translated():
            await self._redis.xdel(self._news, *item_ids)

    async def count(self) -> int:
        with translated():
            return expect(int, await self._redis.xlen(self._news))
