"""The faults: how each is injected and how it is healed.

Guarantee: `heal` restores the world also after an `inject` that was interrupted. A fault affects only the targets that
its plan names. To add a kind of fault, add a row to `FAULTS` and a rule to `fault_kinds.py`; if no other fault may run
at the same time, `schedule.targets_of` has to return every target.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from redis.exceptions import RedisError

from pipeline.core.stages import GRAPH, Stage, StageState
from tests.harness.faults.kinds import Answer, Corrupt, Pass, Refuse, Reset, Slow, Stall, Unparsable
from tests.harness.faults.kinds import Fault as Shape
from tests.programs.torture.board import live_stages
from tests.programs.torture.failover import FailOver, KillPrimary, PausePrimary, RefuseInPrimary
from tests.programs.torture.fault_kinds import FaultKind
from tests.programs.torture.readers import KillReader
from tests.programs.torture.refusals import ChangeDatabase, FillConnections, RefuseInRedis
from tests.programs.torture.schedule import PlannedFault, targets_of
from tests.programs.torture.stored import LoseSegments
from tests.programs.torture.world import World

_WHEN_BUSY_PROBABILITY = 0.7
_BUSY_SECONDS = 3.0
_POLL_SECONDS = 0.01


class Fault(Protocol):
    """One injection of a fault."""

    async def inject(self) -> None: ...
    async def heal(self) -> None: ...


class EndProcesses:
    """Sends a signal to all target processes at once, and starts them again."""

    def __init__(self, world: World, plan: PlannedFault, signal_number: int) -> None:
        self._world, self._names, self._signal = world, targets_of(plan), signal_number
        self._when_busy = random.Random(plan.seed).random() < _WHEN_BUSY_PROBABILITY

    async def inject(self) -> None:
        if self._when_busy:
            await self._until_busy()
        await asyncio.gather(*(self._world.stop(name, self._signal) for name in self._names))

    async def heal(self) -> None:
        # After a fault of all processes at once, the next fault may already affect Sluice's processes while they start.
        for name in self._names:
            await self._world.start(name, wait=name in self._world.stack.processes() or len(self._names) == 1)

    async def _until_busy(self) -> None:
        """Wait briefly until a target runs a stage. Most stages are so short that a random moment would miss them."""
        stages = {stage for stage, spec in GRAPH.items() if f"worker-{spec.worker}" in self._names}
        clock = asyncio.get_running_loop().time
        ends_at = clock() + _BUSY_SECONDS
        with suppress(RedisError):
            while stages and clock() < ends_at and not await self._runs(stages):  # noqa: ASYNC110  # in other processes
                await asyncio.sleep(_POLL_SECONDS)

    async def _runs(self, stages: set[Stage]) -> bool:
        found = await live_stages(self._world.redis, self._world.keys)
        return any(live.stage in stages and live.state is StageState.RUNNING for live in found)


class Pause:
    """Stops a server or a process of Sluice by SIGSTOP; its connections stay open."""

    def __init__(self, world: World, plan: PlannedFault) -> None:
        self._world, self._name = world, plan.target

    async def inject(self) -> None:
        self._world.pause(self._name)

    async def heal(self) -> None:
        self._world.resume(self._name)


class RollBackRedis:
    """Kills Redis and restores its state of one second before, like a machine that lost power."""

    def __init__(self, world: World, plan: PlannedFault) -> None:
        self._world = world
        self._copy_name = f"redis-{plan.seed}"

    async def inject(self) -> None:
        data = Path((await self._world.redis.config_get("dir"))["dir"])
        copy = data.with_name(self._copy_name)
        # The copy sees everything that Redis has written, whether or not it is on the disk yet.
        await asyncio.to_thread(shutil.copytree, data, copy)
        await asyncio.sleep(1.0)
        await self._world.stop("redis", signal.SIGKILL)
        self._world.data_lost()
        await asyncio.to_thread(shutil.rmtree, data)
        await asyncio.to_thread(shutil.move, copy, data)

    async def heal(self) -> None:
        await self._world.start("redis")


class EmptyRedis:
    """Deletes everything in Redis; then runs `sluice recover`, as an operator would."""

    def __init__(self, world: World, plan: PlannedFault) -> None:
        self._world = world

    async def inject(self) -> None:
        await self._world.redis.flushall()
        self._world.total_losses += 1
        self._world.data_lost()

    async def heal(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "deploy.cli", "recover", "--json"),
            env=dict(self._world.environment),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, stderr = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"sluice recover exited with {process.returncode}: {stderr.decode()}")


class DisruptStore:
    """Disrupts the connections to the store."""

    def __init__(self, world: World, plan: PlannedFault, shape: Callable[[random.Random], Shape]) -> None:
        self._shaper, self._shape = world.shaper, shape(random.Random(plan.seed))

    async def inject(self) -> None:
        await self._shaper.set(self._shape)

    async def heal(self) -> None:
        await self._shaper.set(Pass())


class FlipBit:
    """Changes one bit of a temp file. `heal` does nothing: Sluice has to detect and repair it."""

    def __init__(self, world: World, plan: PlannedFault) -> None:
        self._world, self._directory, self._dice = world, world.settings.temp_dir, random.Random(plan.seed)

    async def inject(self) -> None:
        await asyncio.to_thread(self._flip)

    async def heal(self) -> None:
        pass

    def _flip(self) -> None:
        files = sorted(path for path in self._directory.iterdir() if path.suffix == ".data")
        if not files:
            return
        try:
            chosen = self._dice.choice(files)
            self._world.harmed.add(chosen.stem)
            with chosen.open("r+b", buffering=0) as file:
                offset = self._dice.randrange(max(1, file.seek(0, os.SEEK_END)))
                # A disk damages what is on it. Writing into a hole would allocate bytes that nobody has reserved.
                offset = file.seek(offset, os.SEEK_DATA)
                if byte := file.read(1):
                    file.seek(offset)
                    file.write(bytes([byte[0] ^ 1 << self._dice.randrange(8)]))
        except OSError as error:
            # The upload was cleaned up, or its file holds no bytes from there on.
            if error.errno not in (errno.ENOENT, errno.ENXIO):
                raise


_Make = Callable[[World, PlannedFault], Fault]


def _end(signal_number: int) -> _Make:
    return partial(EndProcesses, signal_number=signal_number)


def _disrupt(shape: Callable[[random.Random], Shape]) -> _Make:
    return partial(DisruptStore, shape=shape)


def _change_database(name: str, value: str) -> _Make:
    return lambda world, _: ChangeDatabase(world.settings.database_url.get_secret_value(), name, value)


def _redis(alone: _Make, with_sentinel: _Make) -> _Make:
    """The fault of one Redis server, or of the primary behind Sentinel."""
    return lambda world, plan: (alone if world.cluster is None else with_sentinel)(world, plan)


def _in_redis(name: str) -> _Make:
    return _redis(lambda world, _: RefuseInRedis(world.redis, name), partial(RefuseInPrimary, name=name))


PARSED_RESPONSES = (
    ("GET", "format=json"),
    ("GET", "multipart-manifest=get"),
    ("PUT", "multipart-manifest=put"),
    ("GET", "/info"),
    ("GET", "/auth/v1.0"),
    ("GET", "list-type=2"),
    ("GET", "uploadId="),
    ("POST", "uploads"),
    ("POST", "uploadId="),
    ("HEAD", "/"),
)
"""Requests to Swift and to S3 whose response a client has to read: listings, manifests, limits, the login, multipart
uploads, and the headers of objects. A success of any other request that stores nothing could not be noticed."""


def unparsable_responses(dice: random.Random) -> Unparsable:
    return Unparsable(
        status=dice.choice((200, 201, 202)),
        body=dice.choice((b"", b"<html>Welcome!</html>", b"{", b"\xff\xfe")),
        probability=dice.uniform(0.5, 1),
        kinds=tuple(dice.sample(PARSED_RESPONSES, dice.randint(1, len(PARSED_RESPONSES)))),
    )


FAULTS: Mapping[FaultKind, _Make] = {
    FaultKind.KILL: _end(signal.SIGKILL),
    FaultKind.TERM: _end(signal.SIGTERM),
    FaultKind.KILL_ALL: _end(signal.SIGKILL),
    FaultKind.REDIS_KILL: _redis(_end(signal.SIGKILL), KillPrimary),
    FaultKind.REDIS_PAUSE: _redis(Pause, PausePrimary),
    FaultKind.REDIS_ROLLBACK: RollBackRedis,
    FaultKind.REDIS_FAILOVER: partial(FailOver, behind=False),
    FaultKind.REDIS_FAILOVER_BEHIND: partial(FailOver, behind=True),
    FaultKind.REDIS_EMPTY: EmptyRedis,
    FaultKind.REDIS_FULL: _in_redis("out of memory"),
    FaultKind.REDIS_READ_ONLY: _in_redis("read-only replica"),
    FaultKind.REDIS_UNSAVED: _in_redis("failed save"),
    FaultKind.POSTGRES_KILL: _end(signal.SIGKILL),
    FaultKind.POSTGRES_STOP: _end(signal.SIGINT),
    FaultKind.POSTGRES_CANCEL: _change_database("statement_timeout", "1ms"),
    FaultKind.POSTGRES_FULL: lambda world, _: FillConnections(world.settings.database_url.get_secret_value()),
    FaultKind.POSTGRES_READ_ONLY: _change_database("default_transaction_read_only", "on"),
    FaultKind.SWIFT_KILL: _end(signal.SIGKILL),
    FaultKind.SWIFT_PAUSE: Pause,
    FaultKind.STORE_503: _disrupt(lambda dice: Answer(status=503, probability=dice.uniform(0.3, 1))),
    FaultKind.STORE_429: _disrupt(lambda dice: Answer(status=429, retry_after_seconds=2, probability=0.5)),
    FaultKind.STORE_RESET: _disrupt(lambda dice: Reset(after_bytes=dice.randrange(200_000), probability=0.5)),
    FaultKind.STORE_STALL: _disrupt(lambda dice: Stall()),
    FaultKind.STORE_SLOW: _disrupt(lambda dice: Slow(dice.uniform(50_000, 500_000))),
    FaultKind.STORE_REFUSE: _disrupt(lambda dice: Refuse()),
    FaultKind.STORE_UNPARSABLE: _disrupt(unparsable_responses),
    FaultKind.STORE_CORRUPT: _disrupt(lambda dice: Corrupt(probability=0.3)),
    FaultKind.FLIP: FlipBit,
    FaultKind.PAUSE: Pause,
    FaultKind.READER_KILL: KillReader,
    FaultKind.STORE_LOSES: LoseSegments,
}


async def run_fault(world: World, plan: PlannedFault) -> None:
    """Inject the fault, wait, and heal it. First waits until no other fault holds one of the targets."""
    async with AsyncExitStack() as held:
        for target in sorted(targets_of(plan)):
            await held.enter_async_context(world.locks[target])
        fault = FAULTS[plan.kind](world, plan)
        world.faults[plan.kind] += 1
        try:
            await fault.inject()
            await asyncio.sleep(plan.for_seconds)
        finally:
            await fault.heal()
