"""The fault of a media reader whose host process, or whose sandboxed child, is killed."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import psutil

from tests.programs.torture.schedule import PlannedFault
from tests.programs.torture.world import World

_WAIT_SECONDS = 3.0
_POLL_SECONDS = 0.005
_CHILD_PROBABILITY = 0.6


class KillReader:
    """Kills a process below a worker: its reader's host, or a child that reads a file at this moment. `heal` does
    nothing: the worker has to start another one."""

    def __init__(self, world: World, plan: PlannedFault) -> None:
        self._world, self._name, self._dice = world, plan.target, random.Random(plan.seed)

    async def inject(self) -> None:
        pid = self._world.child(self._name).pid
        if pid is None:
            return
        with suppress(psutil.NoSuchProcess):  # whatever ends by itself needs no signal
            worker = psutil.Process(pid)
            child = await self._busy_child(worker) if self._dice.random() < _CHILD_PROBABILITY else None
            hosts = worker.children()
            victim = child or (self._dice.choice(hosts) if hosts else None)
            if victim is not None:
                victim.kill()
                self._world.killed_readers += 1

    async def heal(self) -> None:
        pass

    async def _busy_child(self, worker: psutil.Process) -> psutil.Process | None:
        """A process below the host, which lives as long as it reads one file; None: none appeared."""
        clock = asyncio.get_running_loop().time
        ends_at = clock() + _WAIT_SECONDS
        while clock() < ends_at:
            hosts = {process.pid for process in worker.children()}
            below = [process for process in worker.children(recursive=True) if process.pid not in hosts]
            if below:
                return self._dice.choice(below)
            await asyncio.sleep(_POLL_SECONDS)
        return None
