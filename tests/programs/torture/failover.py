"""Faults of a Redis with replicas and Sentinels. Each acts on the server that is the primary when it begins.

Guarantee: `heal` returns when every replica is in step and the Sentinels know each other, so that the next fault meets
servers that can replace each other. From `inject` until then `World.is_switching` is true.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.embedded.ports import LOOPBACK
from tests.harness.sentinel import PASSWORD
from tests.programs.torture.refusals import RefuseInRedis
from tests.programs.torture.schedule import PlannedFault
from tests.programs.torture.world import World

_WITH_SENTINEL_PROBABILITY = 0.3
_BEHIND_SECONDS = 1.0
_SECONDS = 90.0
_POLL_SECONDS = 0.2
_WATCH_SECONDS = 0.5


class _OfPrimary:
    """What these faults have in common."""

    def __init__(self, world: World, plan: PlannedFault) -> None:
        assert world.cluster is not None, "the schedule is for one Redis server"
        self._world, self._cluster = world, world.cluster
        self._dice = random.Random(plan.seed)
        self._old: int | None = None

    async def _begin(self) -> int:
        """The number of the primary."""
        self._world.is_switching = True
        self._old = await asyncio.to_thread(self._cluster.primary)
        return self._old

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until it holds; it may fail as long as servers are unavailable. Raises RuntimeError."""
        try:
            async with asyncio.timeout(_SECONDS):
                while True:
                    with suppress(AssertionError, RedisError):  # Sentinels do not agree, or one does not respond
                        if await asyncio.to_thread(condition):
                            return
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise RuntimeError(f"{what} within {_SECONDS:.0f} s") from None

    async def _until_available(self) -> None:
        """Wait until a server says that it is the primary. Raises TimeoutError."""
        async with asyncio.timeout(_SECONDS):
            while True:
                with suppress(RedisError):
                    await self._world.redis.ping()
                    self._world.mark_up("redis")
                    return
                await asyncio.sleep(_POLL_SECONDS)

    async def _end(self) -> None:
        await self._until_available()
        await self._until(self._cluster.is_redundant, "the servers of Redis do not form a group again")
        if await asyncio.to_thread(self._cluster.primary) != self._old:
            self._world.data_lost()
        self._world.is_switching = False


class KillPrimary(_OfPrimary):
    """Kills the primary; `heal` starts it again. Whichever is earlier: it is back, or a replica is promoted."""

    def __init__(self, world: World, plan: PlannedFault) -> None:
        super().__init__(world, plan)
        self._ended: list[str] = []

    async def inject(self) -> None:
        await self._kill(await self._begin())

    async def heal(self) -> None:
        for name in self._ended:
            if self._world.child(name).pid is None:
                await self._world.start(name)
        await self._end()

    async def _kill(self, number: int, *, with_sentinel: bool = False) -> None:
        self._world.mark_down("redis")
        self._ended = [f"redis-{number}", *([f"sentinel-{number}"] if with_sentinel else [])]
        await asyncio.gather(*(self._world.stop(name, signal.SIGKILL) for name in self._ended))


class FailOver(KillPrimary):
    """Kills the primary, sometimes with its Sentinel as if their machine were lost, until a replica is promoted. `heal`
    starts them again; the Sentinels make a replica of the old primary. `behind`: no replica has the last second."""

    def __init__(self, world: World, plan: PlannedFault, *, behind: bool) -> None:
        super().__init__(world, plan)
        self._behind = behind

    async def inject(self) -> None:
        old = await self._begin()
        if self._behind:
            await asyncio.to_thread(self._cluster.stop_replicating, old)
            await asyncio.sleep(_BEHIND_SECONDS)
        await self._kill(old, with_sentinel=self._dice.random() < _WITH_SENTINEL_PROBABILITY)
        await self._until(lambda: self._cluster.primary() != old, "no replica was promoted")
        await self._until_available()


class PausePrimary(_OfPrimary):
    """Stops the primary by SIGSTOP. If a replica is promoted meanwhile, the old primary still accepts writes when it
    continues, until a Sentinel makes a replica of it."""

    async def inject(self) -> None:
        number = await self._begin()
        self._world.mark_down("redis")
        self._signal(number, signal.SIGSTOP)

    async def heal(self) -> None:
        if self._old is not None:
            self._signal(self._old, signal.SIGCONT)
        await self._end()

    def _signal(self, number: int, signal_number: int) -> None:
        pid = self._cluster.servers[number].pid
        assert pid is not None
        os.kill(pid, signal_number)


class RefuseInPrimary(_OfPrimary):
    """Brings the primary to one of the states of `REDIS_FAULTS`, too briefly for the Sentinels to replace it."""

    def __init__(self, world: World, plan: PlannedFault, name: str) -> None:
        super().__init__(world, plan)
        self._name = name
        self._refusing = AsyncExitStack()

    async def inject(self) -> None:
        port = self._cluster.ports[await self._begin()]
        # A client of this server: one that asks Sentinels uses no server that is a replica.
        admin: Redis = Redis(host=LOOPBACK, port=port, password=PASSWORD, decode_responses=True)
        self._refusing.push_async_callback(admin.aclose)
        refusal = RefuseInRedis(admin, self._name)
        self._refusing.push_async_callback(refusal.heal)
        await refusal.inject()

    async def heal(self) -> None:
        await self._refusing.aclose()
        await self._end()


async def record_failovers(world: World) -> None:
    """Count fail-overs, and note those that no fault has caused, until cancelled."""
    if world.cluster is None:
        return
    known = await asyncio.to_thread(world.cluster.primary)
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        with suppress(AssertionError, RedisError):  # Sentinels do not agree, or one does not respond
            primary = await asyncio.to_thread(world.cluster.primary)
            if primary == known:
                continue
            known = primary
            world.failovers += 1
            world.data_lost()
            if not world.is_switching:
                world.notes.append(f"redis-{primary} was promoted although no fault affected the primary")
