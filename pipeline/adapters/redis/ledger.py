"""The reservations of one temp volume, kept in Redis by `scripts/volume_*.lua`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.pool import transaction
from pipeline.adapters.redis.reads import expect, hash_all, hash_get_many
from pipeline.adapters.redis.scripts import Scripts
from pipeline.core.access import DEFAULT_OWNER
from pipeline.core.admission import DiskReading, OwnerShare
from pipeline.ports import AdmissionOutcome, Allocation, Standing, VolumeSnapshot


@dataclass(frozen=True, slots=True)
class LedgerRules:
    """The operator's rules for a temp volume. Bytes, seconds and counts. `share`: what one owner may hold.
    `first_seconds`: the lease until the first segment has arrived, never more than `lease_seconds`; `deadline_seconds`:
    from admission until every byte has."""

    budget_bytes: int
    lease_seconds: float
    max_overtakes: int
    lookahead: int
    share: OwnerShare = field(default_factory=OwnerShare)
    first_seconds: float = 60
    deadline_seconds: float = 86_400

    @property
    def lease_ms(self) -> int:
        return int(self.lease_seconds * 1000)

    @property
    def first_lease_ms(self) -> int:
        return int(min(self.first_seconds, self.lease_seconds) * 1000)

    @property
    def deadline_ms(self) -> int:
        return int(self.deadline_seconds * 1000)


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
        return await self._scripts.call(f"volume_{op}", volume=self._volume, upload_id=upload_id, **more)

    async def _pass(
        self, op: str, disk: DiskReading, upload_id: str | None, **request: int | str | None
    ) -> AdmissionOutcome | None:
        answer = await self._call(
            op,
            upload_id,
            **request,
            lease_ms=self._rules.first_lease_ms,
            budget_bytes=self._rules.budget_bytes,
            max_overtakes=self._rules.max_overtakes,
            lookahead=self._rules.lookahead,
            owner_bytes=self._rules.share.reserved_bytes,
            owner_uploads=self._rules.share.uploads,
            pause_ms=_PAUSE_MS,
            free_bytes=disk.free_bytes,
            headroom_bytes=disk.headroom_bytes,
            epoch=disk.epoch,
        )
        if answer.get("stale"):
            return None
        return AdmissionOutcome(
            to_allocate=tuple(
                Allocation(who, int(size), int(file_bytes) or None)
                for who, size, file_bytes in answer["to_allocate"] or ()
            ),
            lapsed=tuple(answer["lapsed"] or ()),
            queue_position=answer["queue_position"],
        )

    async def request(
        self,
        upload_id: str,
        size_bytes: int,
        disk: DiskReading,
        window_bytes: int | None = None,
        *,
        owner: str = DEFAULT_OWNER,
        journal_bytes: int = 0,
    ) -> AdmissionOutcome | None:
        return await self._pass(
            "request",
            disk,
            upload_id,
            size_bytes=size_bytes,
            window_bytes=window_bytes,
            owner=owner,
            journal_bytes=journal_bytes,
        )

    async def run(self, disk: DiskReading) -> AdmissionOutcome | None:
        return await self._pass("run", disk, None)

    async def confirm(self, upload_id: str, backed_bytes: int) -> bool:
        answer = await self._call(
            "confirm",
            upload_id,
            backed_bytes=backed_bytes,
            lease_ms=self._rules.first_lease_ms,
            deadline_ms=self._rules.deadline_ms,
        )
        return bool(answer["known"])

    async def adopt(
        self,
        upload_id: str,
        size_bytes: int,
        backed_bytes: int,
        window_bytes: int | None = None,
        *,
        owner: str = DEFAULT_OWNER,
        journal_bytes: int = 0,
        taken: Mapping[int, int] | None = None,
        given: Mapping[int, int] | None = None,
    ) -> None:
        await self._call(
            "adopt",
            upload_id,
            size_bytes=size_bytes,
            backed_bytes=backed_bytes,
            window_bytes=window_bytes,
            owner=owner,
            journal_bytes=journal_bytes,
            lease_ms=self._rules.lease_ms,
            deadline_ms=self._rules.deadline_ms,
            taken=dict(taken or {}),
            given=dict(given or {}),
        )

    async def take(
        self, upload_id: str, number: int, size_bytes: int, *, segment_bytes: int, reader_segments: int
    ) -> bool:
        answer = await self._call(
            "take",
            upload_id,
            number=number,
            size_bytes=size_bytes,
            segment_bytes=segment_bytes,
            reader_segments=reader_segments,
            budget_bytes=self._rules.budget_bytes,
        )
        return bool(answer["taken"])

    async def back(self, upload_id: str, number: int) -> None:
        await self._call("back", upload_id, number=number)

    async def give(self, upload_id: str, segments: Mapping[int, int], *, stored: bool) -> None:
        await self._call("give", upload_id, segments=dict(segments), stored=stored)

    async def given(self, upload_id: str) -> Collection[int]:
        answer = await self._call("given", upload_id)
        return frozenset(int(number) for number in answer["numbers"] or ())

    async def taken(self, upload_id: str) -> Mapping[int, float]:
        answer = await self._call("taken", upload_id)
        return {int(number): age / 1000 for number, age in dict(answer["ages_ms"] or {}).items()}

    async def postpone(self, upload_id: str) -> bool:
        return bool((await self._call("postpone", upload_id))["known"])

    async def renew(self, upload_id: str) -> bool:
        return bool((await self._call("renew", upload_id, lease_ms=self._rules.lease_ms))["known"])

    async def note_progress(self, upload_id: str) -> None:
        await self._call("renew", upload_id, lease_ms=self._rules.first_lease_ms)

    async def overdue(self, limit: int) -> Sequence[str]:
        return tuple((await self._call("overdue", limit=limit, lease_ms=self._rules.lease_ms))["uploads"] or ())

    async def release(self, upload_id: str) -> int:
        return int((await self._call("release", upload_id))["bytes"])

    async def standing(self, upload_id: str) -> Standing | None:
        found = (await self._call("standing", upload_id)).get("standing")
        return Standing(found["queue_position"], found.get("lease_until_ms")) if found else None

    async def epoch(self) -> int | None:
        opened, epoch = await hash_get_many(self._redis, self._key, ["opened_at_ms", "epoch"])
        return None if opened is None else int(epoch or 0)

    async def followed_run(self) -> str | None:
        opened, run = await hash_get_many(self._redis, self._key, ["opened_at_ms", "followed_run"])
        return None if opened is None else run

    async def open(self, run: str) -> None:
        await self._call("open", run=run)

    async def follow(self, run: str) -> None:
        await self._call("follow", run=run)

    async def snapshot(self) -> VolumeSnapshot:
        with translated():
            async with transaction(self._redis) as pipe:
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
            usable_bytes=int(fields["usable_bytes"]) if "usable_bytes" in fields else None,
            reservations=reservations,
            waiting=waiting,
            draining="draining" in fields,
        )

    async def holders(self) -> Mapping[str, int]:
        fields = await hash_all(self._redis, f"{self._key}:reservations")
        return {who: int(size) for who, size in fields.items()}
