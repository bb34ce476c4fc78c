"""The ledger of one temp volume with a large empty disk, for tests of its queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.ledger import LedgerRules, RedisReservationLedger
from pipeline.adapters.redis.scripts import Scripts
from pipeline.core.admission import DiskReading, OwnerShare
from pipeline.core.windows import BLOCK_BYTES
from pipeline.ports import AdmissionOutcome

VOLUME = "local"
_FREE_BYTES = 2**50


@dataclass(frozen=True, slots=True)
class Queue:
    """Sizes are blocks. What is admitted is confirmed at once."""

    redis: Redis
    keys: Keys
    ledger: RedisReservationLedger

    @property
    def key(self) -> str:
        return self.keys.volume(VOLUME)

    async def _disk(self) -> DiskReading:
        return DiskReading(_FREE_BYTES, 0, await self.ledger.epoch() or 0)

    async def _confirmed(self, outcome: AdmissionOutcome | None) -> list[str]:
        assert outcome is not None
        for allocation in outcome.to_allocate:
            await self.ledger.confirm(allocation.upload_id, allocation.size_bytes)
        return sorted(allocation.upload_id for allocation in outcome.to_allocate)

    async def request(self, owner: str, blocks: int, *names: str, journal_blocks: int = 0) -> list[str]:
        """Request room for uploads; what was admitted meanwhile."""
        admitted: list[str] = []
        for name in names:
            journal_bytes = journal_blocks * BLOCK_BYTES
            outcome = await self.ledger.request(
                name, blocks * BLOCK_BYTES, await self._disk(), owner=owner, journal_bytes=journal_bytes
            )
            admitted += await self._confirmed(outcome)
        return admitted

    async def run(self) -> list[str]:
        """What was admitted."""
        return await self._confirmed(await self.ledger.run(await self._disk()))

    async def release(self, *names: str) -> None:
        for name in names:
            await self.ledger.release(name)

    async def position(self, name: str) -> int:
        standing = await self.ledger.standing(name)
        assert standing is not None
        return standing.queue_position

    async def one_after_another(self) -> list[str]:
        """The order of admissions when each ends before the next one begins."""
        order: list[str] = []
        while admitted := await self.run():
            order += admitted
            await self.release(*admitted)
        return order


@asynccontextmanager
async def open_queue(
    redis_url: str,
    namespace: str,
    budget_blocks: int,
    *,
    share: OwnerShare | None = None,
    max_overtakes: int = 2,
    lookahead: int = 10,
) -> AsyncIterator[Queue]:
    client: Redis = Redis.from_url(redis_url, decode_responses=True)
    keys = Keys(namespace)
    rules = LedgerRules(budget_blocks * BLOCK_BYTES, 600, max_overtakes, lookahead, share or OwnerShare())
    queue = Queue(client, keys, RedisReservationLedger(client, Scripts(client, keys.prefix), keys, VOLUME, rules))
    await queue.ledger.open("run")
    try:
        yield queue
    finally:
        await client.aclose()
