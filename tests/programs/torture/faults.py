"""The faults: how each is injected, and how it is mended.

Guarantee: `inject` leaves the world in a state that `heal` mends, also when it is cut off half-way; nothing is broken
that the plan does not name. A new kind of fault is a row in `FAULTS`, and a rule in `schedule.py`; for what must not
happen beside anything else `schedule.targets_of` names all targets.
"""

from __future__ import annotations

import asyncio
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
from tests.harness.faults.kinds import Answer, Corrupt, Pass, Refuse, Reset, Slow, Stall
from tests.harness.faults.kinds import Fault as Shape
from tests.programs.torture.board import signs
from tests.programs.torture.schedule import FaultKind, PlannedFault, targets_of
from tests.programs.torture.world import World

_WHEN_BUSY = 0.7
_BUSY_SECONDS = 3.0
_LOOK_SECONDS = 0.01


class Fault(Protocol):
    """One fault, once."""

    async def inject(self) -> None: ...
    async def heal(self) -> None: ...


class Ended:
    """Processes get a signal, all of them at once, and are started again."""

    def __init__(self, world: World, plan: PlannedFault, signal_number: int) -> None:
        self._world, self._names, self._signal = world, targets_of(plan), signal_number
        self._when_busy = random.Random(plan.seed).random() < _WHEN_BUSY

    async def inject(self) -> None:
        if self._when_busy:
            await self._until_busy()
        await asyncio.gather(*(self._world.end(name, self._signal) for name in self._names))

    async def heal(self) -> None:
        # A server's restart is over when it answers; Sluice's own processes may well be struck again while they start.
        for name in self._names:
            await self._world.start(name, wait=name in self._world.stack.processes() or len(self._names) == 1)

    async def _until_busy(self) -> None:
        """Wait a moment until one of them runs a stage: most stages are so short that a blow at random would miss."""
        stages = {stage for stage, spec in GRAPH.items() if f"worker-{spec.worker}" in self._names}
        clock = asyncio.get_running_loop().time
        ends_at = clock() + _BUSY_SECONDS
        with suppress(RedisError):
            while stages and clock() < ends_at and not await self._runs(stages):  # noqa: ASYNC110  # in other processes
                await asyncio.sleep(_LOOK_SECONDS)

    async def _runs(self, stages: set[Stage]) -> bool:
        found = await signs(self._world.redis, self._world.keys)
        return any(sign.stage in stages and sign.state is StageState.RUNNING for sign in found)


class Paused:
    """A server stops where it stands, with every connection open."""

    def __init__(self, world: World, plan: PlannedFault) -> None:
        self._world, self._name = world, plan.target

    async def inject(self) -> None:
        self._world.pause(self._name)

    async def heal(self) -> None:
        self._world.resume(self._name)


class Behind:
    """Redis comes back as it was a second before it died: a fail-over to a replica that was behind."""

    def __init__(self, world: World, plan: PlannedFault) -> None:
        self._world = world
        self._copy = world.directory / f"redis-{plan.seed}"

    async def inject(self) -> None:
        data = Path((await self._world.redis.config_get("dir"))["dir"])
        # What Redis has written to its file, the kernel has: no need to wait for the disk.
        await asyncio.to_thread(shutil.copytree, data, self._copy)
        await asyncio.sleep(1.0)
        await self._world.end("redis", signal.SIGKILL)
        await asyncio.to_thread(shutil.rmtree, data)
        await asyncio.to_thread(shutil.move, self._copy, data)

    async def heal(self) -> None:
        await self._world.start("redis")


class Emptied:
    """Redis loses everything; the operator notices, and runs `sluice recover`."""

    def __init__(self, world: World, plan: PlannedFault) -> None:
        self._world = world

    async def inject(self) -> None:
        await self._world.redis.flushall()
        self._world.total_losses += 1

    async def heal(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "deploy.cli", "recover", "--json"),
            env=dict(self._world.environment),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"sluice recover ended with {process.returncode}: {said.decode()}")


class Shaped:
    """The way to the store is broken."""

    def __init__(self, world: World, plan: PlannedFault, shape: Callable[[random.Random], Shape]) -> None:
        self._shaper, self._shape = world.shaper, shape(random.Random(plan.seed))

    async def inject(self) -> None:
        await self._shaper.set(self._shape)

    async def heal(self) -> None:
        await self._shaper.set(Pass())


class Flipped:
    """A bit of a temp file changes. Nothing to mend: that is for Sluice."""

    def __init__(self, world: World, plan: PlannedFault) -> None:
        self._directory, self._dice = world.settings.temp_dir, random.Random(plan.seed)

    async def inject(self) -> None:
        await asyncio.to_thread(self._flip)

    async def heal(self) -> None:
        pass

    def _flip(self) -> None:
        files = sorted(path for path in self._directory.iterdir() if path.suffix == ".data")
        if not files:
            return
        try:
            with self._dice.choice(files).open("r+b", buffering=0) as file:
                offset = self._dice.randrange(max(1, file.seek(0, 2)))
                file.seek(offset)
                if byte := file.read(1):
                    file.seek(offset)
                    file.write(bytes([byte[0] ^ 1 << self._dice.randrange(8)]))
        except FileNotFoundError:  # cleaned up meanwhile
            return


_Make = Callable[[World, PlannedFault], Fault]


def _ended(signal_number: int) -> _Make:
    return partial(Ended, signal_number=signal_number)


def _shaped(shape: Callable[[random.Random], Shape]) -> _Make:
    return partial(Shaped, shape=shape)


FAULTS: Mapping[FaultKind, _Make] = {
    FaultKind.KILL: _ended(signal.SIGKILL),
    FaultKind.TERM: _ended(signal.SIGTERM),
    FaultKind.KILL_ALL: _ended(signal.SIGKILL),
    FaultKind.REDIS_KILL: _ended(signal.SIGKILL),
    FaultKind.REDIS_PAUSE: Paused,
    FaultKind.REDIS_BEHIND: Behind,
    FaultKind.REDIS_EMPTY: Emptied,
    FaultKind.POSTGRES_KILL: _ended(signal.SIGKILL),
    FaultKind.POSTGRES_STOP: _ended(signal.SIGINT),
    FaultKind.SWIFT_KILL: _ended(signal.SIGKILL),
    FaultKind.SWIFT_PAUSE: Paused,
    FaultKind.STORE_503: _shaped(lambda dice: Answer(status=503, probability=dice.uniform(0.3, 1))),
    FaultKind.STORE_429: _shaped(lambda dice: Answer(status=429, retry_after_seconds=2, probability=0.5)),
    FaultKind.STORE_RESET: _shaped(lambda dice: Reset(after_bytes=dice.randrange(200_000), probability=0.5)),
    FaultKind.STORE_STALL: _shaped(lambda dice: Stall()),
    FaultKind.STORE_SLOW: _shaped(lambda dice: Slow(dice.uniform(50_000, 500_000))),
    FaultKind.STORE_REFUSE: _shaped(lambda dice: Refuse()),
    FaultKind.STORE_CORRUPT: _shaped(lambda dice: Corrupt(probability=0.3)),
    FaultKind.FLIP: Flipped,
}


async def strike(world: World, plan: PlannedFault) -> None:
    """Inject, wait, mend. Waits while another fault still has one of the targets."""
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
