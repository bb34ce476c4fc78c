"""Owners share the temp volume of a gateway with authentication: who waits, where, and who is admitted next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from pipeline.core.access import Scope
from pipeline.core.lifecycle import Status
from pipeline.settings import Settings
from tests.harness.redis_calls import reply
from tests.integration.admission.cell import Cell, cell_of
from tests.integration.gateway.conftest import BUDGET_BYTES, OPTIONS
from tests.integration.gateway.site import Site, running_site

pytestmark = pytest.mark.integration

# Only one of these fits at a time.
LARGE_BYTES = 600_000
OTHERS = tuple(f"owner-{number}" for number in range(8))
OWNERS = ("ann", "bob", *OTHERS)


@dataclass(frozen=True, slots=True)
class Shared:
    """A gateway, and the upkeep of its temp volume."""

    site: Site
    cell: Cell
    keys: dict[str, str]

    async def ask(self, owner: str, method: str, path: str, **options: Any) -> dict[str, Any]:
        response = await self.site.with_(self.keys[owner], method, path, **options)
        assert response.status in (200, 201), response.body
        return response.data

    async def create(self, owner: str, size: int = LARGE_BYTES) -> str:
        body = {"filename": "a.mp4", "size": size, "content_type": "video/mp4"}
        name: str = (await self.ask(owner, "POST", "/v1/uploads", json=body))["id"]
        return name

    async def create_many(self, owner: str, count: int, size: int = LARGE_BYTES) -> list[str]:
        names = [await self.create(owner, size)]
        while len(names) < count:
            several = min(16, count - len(names))
            names += await asyncio.gather(*(self.create(owner, size) for _ in range(several)))
        return names

    async def position(self, owner: str, name: str) -> int | None:
        position: int | None = (await self.ask(owner, "GET", f"/v1/uploads/{name}"))["queue_position"]
        return position

    async def end(self, owner: str, *names: str) -> list[str]:
        """Cancel uploads; which are admitted in their place."""
        before = set(await self.cell.redis.ledger.holders())
        for name in names:
            await self.ask(owner, "DELETE", f"/v1/uploads/{name}")
        await self.cell.cleanups.run()
        await self.cell.admission.run()
        return sorted(set(await self.cell.redis.ledger.holders()) - before)

    async def held_bytes(self, owner: str) -> int:
        key = self.cell.redis.keys.volume("local")
        return int(await reply(self.cell.redis.client.hget(f"{key}:owner-bytes", owner)) or 0)


Open = Callable[..., Awaitable[Shared]]


@pytest.fixture
async def shared(settings: Settings) -> AsyncIterator[Open]:
    """Opens one with these settings."""
    async with AsyncExitStack() as stack:

        async def start(**more: Any) -> Shared:
            update = {"auth": "required", "owner_creations_per_second": 10_000, **more}
            changed = settings.model_copy(update=update)
            site = await stack.enter_async_context(running_site(changed, OPTIONS))
            # Before the first request: a gateway reads new keys from time to time.
            keys = {owner: await site.key(owner, Scope.UPLOAD, Scope.READ) for owner in OWNERS}
            return Shared(site, await stack.enter_async_context(cell_of(changed)), keys)

        yield start


async def test_a_thousand_waiting_uploads_delay_another_owner_by_one(shared: Open) -> None:
    both = await shared()
    (admitted,) = await both.create_many("ann", 1)
    await both.create_many("ann", 1_000)
    assert (await both.cell.redis.ledger.snapshot()).waiting == 1_000
    own = await both.create("bob")
    assert await both.position("bob", own) in (1, 2)
    queue = f"{both.cell.redis.keys.volume('local')}:queue"
    latest, _ = await both.cell.redis.client.zrange(queue, -2, -1)
    assert await both.position("ann", latest) == 1_001
    before = 0
    while (next_one := await both.end("ann", admitted)) != [own]:
        (admitted,) = next_one
        before += 1
        assert before <= 1
    assert await both.position("bob", own) is None
    assert await both.position("ann", latest) == 1_000 - before


async def test_an_owner_holds_no_more_than_its_share(shared: Open) -> None:
    both = await shared(owner_share=0.75)
    names = await both.create_many("ann", 10, 150_000)
    most = await both.held_bytes("ann")
    assert BUDGET_BYTES * 0.5 < most <= BUDGET_BYTES * 0.75
    held = set(await both.cell.redis.ledger.holders())
    assert held < set(names)
    waiting = [name for name in names if name not in held]
    own = await both.create("bob", 150_000)
    assert own in await both.cell.redis.ledger.holders(), "room that its owner may not use keeps nobody waiting"
    (following,) = await both.end("ann", next(iter(held)))
    assert following in waiting
    assert await both.held_bytes("ann") == most


async def test_an_owner_has_no_more_uploads_in_flight_than_its_limit(shared: Open) -> None:
    both = await shared(owner_uploads=2)
    names = await both.create_many("ann", 4, 10_000)
    assert len(await both.cell.redis.ledger.holders()) == 2
    assert await both.create("bob", 10_000) in await both.cell.redis.ledger.holders()
    held = set(await both.cell.redis.ledger.holders())
    (following,) = await both.end("ann", next(name for name in names if name in held))
    assert following in set(names) - held


async def test_new_owners_do_not_keep_a_large_upload_waiting(shared: Open) -> None:
    both = await shared(max_passes=2)
    small = await both.create("ann", 300_000)
    large = await both.create("bob", 1_000_000)
    later = {owner: await both.create(owner, 100_000) for owner in OTHERS}
    held = set(await both.cell.redis.ledger.holders())
    assert held == {small, later["owner-0"], later["owner-1"]}, "two overtake it"
    assert await both.position("bob", large) == 1
    assert await both.position("owner-7", later["owner-7"]) == 7
    assert await both.end("ann", small) == []
    assert await both.end("owner-0", later["owner-0"]) == []
    assert large in await both.end("owner-1", later["owner-1"])


async def test_without_authentication_one_owner_may_hold_all(settings: Settings) -> None:
    async with cell_of(settings.model_copy(update={"owner_share": 0.1, "owner_uploads": 1})) as cell:
        for _ in range(3):
            name = await cell.register(300_000)
            await cell.request(name)
            assert (await cell.redis.board.get(name)).status is Status.ADMITTED
