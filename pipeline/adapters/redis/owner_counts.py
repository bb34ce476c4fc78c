"""The counters of owners, compared with their uploads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from redis.asyncio import Redis

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.scripts import Scripts

_SCAN = 1_000


@dataclass(frozen=True, slots=True)
class WrongCount:
    """An owner whose counters differ from its uploads: `waiting`, `in_flight` and `bytes` of both."""

    owner: str
    counted: Mapping[str, int]
    actual: Mapping[str, int]


class RedisOwnerCounts:
    """Compares and repairs. Errors: DependencyUnavailable."""

    def __init__(self, redis: Redis, scripts: Scripts, keys: Keys) -> None:
        self._redis = redis
        self._scripts = scripts
        self._keys = keys

    async def compare(self, *, repair: bool = False) -> Sequence[WrongCount]:
        """The owners whose counters are wrong, which is a bug or the work of a process of an older release. `repair`:
        they are corrected in the same step as they are compared."""
        prefix = self._keys.owner("")
        with translated():
            found = cast("AsyncIterator[str]", self._redis.scan_iter(f"{_escaped(prefix)}*", count=_SCAN))
            owners = sorted({key.removeprefix(prefix) async for key in found})
        reply = await self._scripts.call("owner_recount", owners=owners, repair=repair)
        return [WrongCount(**item) for item in reply.get("wrong", ())]


def _escaped(text: str) -> str:
    """As a pattern of SCAN that matches this text."""
    return "".join(f"\\{one}" if one in "*?[]\\" else one for one in text)
