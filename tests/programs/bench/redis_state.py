"""What Redis holds and has done: bytes of the keys of uploads, calls, and bytes sent."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from pipeline.adapters.redis.keys import Keys
from pipeline.settings import Settings

_SCAN_COUNT = 5000
_LONGEST_SETTLING = 60
_SETTLED_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Counters:
    """What the server has done since it started."""

    calls: int
    sent_bytes: int


class RedisState:
    """Reads the state of a cell in Redis."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self._client = client
        self._keys = Keys(settings.redis_namespace)
        self._volume = settings.volume

    def used_bytes(self) -> int:
        """Memory of all data: without the buffers of clients and of the append-only file."""
        memory = self._info("memory")
        buffers = int(memory["mem_clients_normal"]) + int(memory["mem_aof_buffer"])
        return int(memory["used_memory"]) - buffers

    def counters(self) -> Counters:
        """Calls of all commands, also those inside scripts, and bytes sent to clients."""
        stats = self._info("commandstats").values()
        return Counters(sum(int(one["calls"]) for one in stats), int(self._info("stats")["total_net_output_bytes"]))

    def reserved_bytes(self) -> int:
        """What all uploads of the cell hold of its temp volume."""
        return int(cast("str | None", self._client.hget(self._keys.volume(self._volume), "reserved_bytes")) or 0)

    def times(self, upload_ids: Collection[str], name: str) -> list[int]:
        """The field `name` of these uploads' records, in ms since 1970, ascending, where it is set."""
        found = [self._client.hget(self._keys.upload(upload_id), name) for upload_id in upload_ids]
        return sorted(int(cast("str", value)) for value in found if value is not None)

    def key_bytes(self, upload_ids: Collection[str]) -> dict[str, int]:
        """The bytes of all keys that belong to each of these uploads alone, with what Redis needs to keep them."""
        wanted, sizes = set(upload_ids), defaultdict[str, int](int)
        for pattern in (f"{self._keys.prefix}upload:*", f"{self._keys.volume(self._volume)}:*"):
            for key in self._client.scan_iter(pattern, count=_SCAN_COUNT):
                for upload_id in wanted.intersection(key.split(":")):
                    sizes[upload_id] += int(cast("int | None", self._client.memory_usage(key)) or 0)
        return dict(sizes)

    def events(self) -> tuple[int, int]:
        """The stream of events: its bytes and its length."""
        size = self._client.memory_usage(self._keys.events, samples=0)
        return int(cast("int | None", size) or 0), int(cast("int", self._client.xlen(self._keys.events)))

    def record_bytes(self) -> int:
        """The bytes of all keys of the cell, but for the histories that have a fixed length."""
        histories = (self._keys.events, self._keys.stage_samples, self._keys.samples(self._volume))
        found = self._client.scan_iter(f"{self._keys.prefix}*", count=_SCAN_COUNT)
        sizes = (self._client.memory_usage(key, samples=0) for key in found if key not in histories)
        return sum(int(cast("int | None", size) or 0) for size in sizes)

    def remove_all(self) -> None:
        """Remove every key of the cell, once its processes have stopped."""
        found = list(self._client.scan_iter(f"{self._keys.prefix}*", count=_SCAN_COUNT))
        for start in range(0, len(found), _SCAN_COUNT):
            self._client.unlink(*found[start : start + _SCAN_COUNT])

    def _info(self, section: str) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", self._client.info(section))


@contextmanager
def redis_state(settings: Settings) -> Iterator[RedisState]:
    """The state of the cell with these settings."""
    with Redis.from_url(settings.redis_url.get_secret_value(), decode_responses=True) as client:
        yield RedisState(client, settings)


async def settled(state: RedisState) -> None:
    """Return when earlier uploads hold nothing and processes have nothing left to do: the calls of one second are about
    as many as those of the second before. Gives up after a minute."""
    previous = -1.0
    for _ in range(_LONGEST_SETTLING):
        before = state.counters().calls
        await asyncio.sleep(1)
        calls = float(state.counters().calls - before)
        if state.reserved_bytes() == 0 and previous >= 0 and abs(calls - previous) < _SETTLED_SHARE * calls:
            return
        previous = calls
