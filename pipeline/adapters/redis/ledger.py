"""The reservations of one temp volume, kept in Redis by `scripts/volume_admission.lua`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.reads import expect, hash_all, hash_get_many
from pipeline.adapters.redis.scripts import Scripts
from pipeline.core.admission import DiskReading
from pipeline.ports import AdmissionOutcome, Standing, VolumeSnapshot


@dataclass(frozen=True, slots=True)
class LedgerRules:
    """The operator's rules for a temp volume. Bytes, seconds and counts."""

    budget_bytes: int
    lease_seconds: float
    max_overtakes: int
    lookahead: int


# Admission workers run a pass every second.
_PAUSE_MS = 5_000


class RedisReservationLedger:
    """Implements `ports.ReservationLedger` for the volume called `volume`."""

    def __init__(self, redis: Redis, scripts: Scripts, keys: Keys, volume: str, rules: LedgerRules) -> None:
        self._redis = redis
        self._scripts = scripts
        self._key = keys.volume(volume)
        self._volume = volume
        self._rules = rules

    async def _call(self, op: str, upload_id: str | None = None, **more: Any) -> dict[str, Any]:
        return await self._scripts.call(
            "volume_admission",
            op=op,
            volume=self._volume,
            upload_id=upload_id,
            lease_ms=int(self._rules.lease_seconds * 1000),
            **more,
        )

    async def _pass(
        self, op: str, disk: DiskReading, upload_id: str | None, size_bytes: int | None
    ) -> AdmissionOutcome | None:
        answer = await self._call(
            op,
            upload_id,
            size_bytes=size_bytes,
            budget_bytes=self._rules.budget_bytes,
            max_overtakes=self._rules.max_overtakes,
            lookahead=self._rules.lookahead,
            pause_ms=_PAUSE_MS,
            free_bytes=disk.free_bytes,
            headroom_bytes=disk.headroom_bytes,
            epoch=disk.epoch,
        )
        if answer.get("stale"):
            return None
        return AdmissionOutcome(
            to_allocate=tuple((who, int(size)) for who, size in answer["to_allocate"] or ()),
            lapsed=tuple(answer["lapsed"] or ()),
            queue_position=answer["queue_position"],
        )

    async def request(self, upload_id: str, size_bytes: int, disk: DiskReading) -> AdmissionOutcome | None:
        return await self._pass("request", disk, upload_id, size_bytes)

    async def run(self, disk: DiskReading) -> AdmissionOutcome | None:
        return await self._pass("run", disk, None, None)

    async def confirm(self, upload_id: str, backed_bytes: int) -> bool:
        return bool((await self._call("confirm", upload_id, backed_bytes=backed_bytes))["known"])

    async def adopt(self, upload_id: str, size_bytes: int, backed_bytes: int) -> None:
        await self._call("adopt", upload_id, size_bytes=size_bytes, backed_bytes=backed_bytes)

    async def postpone(self, upload_id: str) -> bool:
        return bool((await self._call("postpone", upload_id))["known"])

    async def renew(self, upload_id: str) -> bool:
        return bool((await self._call("renew", upload_id))["known"])

    async def release(self, upload_id: str) -> int:
        return int((await self._call("release", upload_id))["bytes"])

    async def standing(self, upload_id: str) -> Standing | None:
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.zrank(f"{self._key}:queue", upload_id)
                pipe.zscore(f"{self._key}:leases", upload_id)
                pipe.zscore(f"{self._key}:lapsed", upload_id)
                rank, lease, lapsed = await pipe.execute()
        if rank is not None:
            return Standing(queue_position=rank + 1, lease_until_ms=None)
        if lease is None and lapsed is None:
            return None
        return Standing(queue_position=0, lease_until_ms=int(lease if lease is not None else lapsed))

    async def epoch(self) -> int | None:
        opened, epoch = await hash_get_many(self._redis, self._key, ["opened_at_ms", "epoch"])
        return None if opened is None else int(epoch or 0)

    async def followed_run(self) -> str | None:
        (run,) = await hash_get_many(self._redis, self._key, ["followed_run"])
        return run

    async def open(self, run: str) -> None:
        await self._call("open", run=run)

    async def follow(self, run: str) -> None:
        await self._call("follow", run=run)

    async def snapshot(self) -> VolumeSnapshot:
        with translated():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hgetall(self._key)
                pipe.hlen(f"{self._key}:reservations")
                pipe.zcard(f"{self._key}:queue")
                fields, reservations, waiting = await pipe.execute()
            expect(dict, fields)
        return VolumeSnapshot(
            budget_bytes=self._rules.budget_bytes,
            reserved_bytes=int(fields.get("reserved_bytes", 0)),
            backed_bytes=int(fields.get("backed_bytes", 0)),
            free_bytes=int(fields.get("free_bytes", 0)),
            reservations=reservations,
            waiting=waiting,
        )

    async def holders(self) -> Mapping[str, int]:
        fields = await hash_all(self._redis, f"{self._key}:reservations")
        return {who: int(size) for who, size in fields.items()}
