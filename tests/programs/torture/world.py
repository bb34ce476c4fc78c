"""The environment of a run: real servers, a cell with a process for each gateway and worker type, and a proxy between
Sluice and the store that can disrupt connections.

Guarantee: every process ends with the run, also one that is paused. Only processes that this object has started are
signalled. A process that exits unexpectedly is restarted, as a service manager would do, and reported.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from redis.asyncio import Redis

from deploy.cli.processes import SluiceProcesses
from deploy.embedded import EmbeddedStack
from deploy.embedded.errors import ServerFailedError
from deploy.embedded.process import ChildProcess
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.server_runs import server_run
from pipeline.settings import Settings
from tests.harness.faults.shaper import Shaper
from tests.harness.redis_calls import reply
from tests.harness.sentinel import SentinelCluster
from tests.programs.torture.fault_kinds import GATEWAYS, SLUICE

_POLL_SECONDS = 0.1
_RESTART_SECONDS = 1.0


@dataclass
class Downtime:
    """A process or server was unavailable between two times in Unix seconds; `until` None: it still is."""

    since: float
    until: float | None = None


@dataclass
class World:
    """Everything that a fault can affect."""

    stack: EmbeddedStack
    processes: SluiceProcesses
    environment: Mapping[str, str]
    settings: Settings
    shaper: Shaper
    redis: Redis
    """A client of the Redis that Sluice uses."""
    cluster: SentinelCluster | None
    """The servers of Redis, if it has Sentinels; else Redis is in `stack`."""
    faults: Counter[str] = field(default_factory=Counter, init=False)
    """Injected faults by kind."""
    unexpected_exits: list[str] = field(default_factory=list, init=False)
    """A line for each process that exited although no fault had ended it."""
    total_losses: int = field(default=0, init=False)
    """How often Redis has lost everything."""
    data_lost_at: list[float] = field(default_factory=list, init=False)
    """When Redis has lost anything, or may have, in Unix seconds."""
    failovers: int = field(default=0, init=False)
    """How often Sentinels have promoted a replica."""
    is_switching: bool = field(default=False, init=False)
    """Redis may have two primaries now, or another one than before of which not every process knows."""
    deleted_segments: int = field(default=0, init=False)
    """Segments, or sets of parts, that a fault has deleted from the store."""
    damaged: set[str] = field(default_factory=set, init=False)
    """Uploads whose segments were deleted although their manifest had been checked: nobody can repair them."""
    harmed: set[str] = field(default_factory=set, init=False)
    """Uploads of which a fault has damaged or deleted bytes: their clients may have to send segments again."""
    killed_readers: int = field(default=0, init=False)
    """Processes of media readers that a fault has killed."""
    notes: list[str] = field(default_factory=list, init=False)
    """Other unexpected observations."""
    downtimes: dict[str, list[Downtime]] = field(default_factory=lambda: defaultdict(list), init=False)
    """By process or server."""
    locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock), init=False)
    """By target: held by the fault that affects it."""
    should_run: set[str] = field(default_factory=set, init=False)
    """Processes of Sluice that should be running now."""

    @property
    def data_losses(self) -> int:
        """How often Redis has lost anything, or may have."""
        return len(self.data_lost_at)

    def data_lost(self) -> None:
        """Note that Redis has lost something now, or may have."""
        self.data_lost_at.append(time.time())

    @property
    def keys(self) -> Keys:
        return Keys(self.settings.redis_namespace)

    @property
    def gateways(self) -> Sequence[str]:
        return [self.processes.urls[name] for name in GATEWAYS]

    def child(self, name: str) -> ChildProcess:
        """A process of Sluice, or a server."""
        if name in SLUICE:
            return self.processes.child(name)
        of_cluster = [] if self.cluster is None else [*self.cluster.servers, *self.cluster.sentinels]
        return next((child for child in of_cluster if child.name == name), None) or self.stack.child(name)

    async def is_compared(self) -> bool:
        """Whether Redis has everything that the journals have: no fail-over is under way, and this run of Redis has
        been compared with every journal. Raises RedisError, DependencyUnavailable."""
        if self.is_switching:
            return False
        followed = await reply(self.redis.hget(self.keys.volume(self.settings.volume), "followed_run"))
        return bool(followed == await server_run(self.redis, self.keys))

    async def stop(self, name: str, signal_number: int) -> None:
        """Send the signal and wait until the process has ended. After its grace period it is killed, and noted."""
        self.should_run.discard(name)
        self.mark_down(name)
        child = self.child(name)
        began = time.monotonic()
        await asyncio.to_thread(child.stop, signal_number)
        if time.monotonic() - began >= child.stop_seconds:
            self.notes.append(f"{name} was still running {child.stop_seconds:.0f} s after signal {signal_number}")

    async def start(self, name: str, *, wait: bool = True) -> None:
        """Start a process; with `wait`, return once it is ready. Raises ServerFailedError."""
        child = self.child(name)
        child.start()
        if name in SLUICE:
            self.should_run.add(name)
        if wait:
            await self._until_ready(name, child)

    def pause(self, name: str) -> None:
        """Stop a process by SIGSTOP until `resume`."""
        self.mark_down(name)
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._signal(name, signal.SIGCONT)
        self.mark_up(name)

    async def until_ready(self, seconds: float) -> None:
        """Wait until every process of Sluice is ready. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            for name in SLUICE:
                while not await asyncio.to_thread(self.child(name).is_ready):  # noqa: ASYNC110  # in other processes
                    await asyncio.sleep(_POLL_SECONDS)

    async def restart_exited(self) -> None:
        """Restart processes of Sluice that have exited unexpectedly, until cancelled."""
        while True:
            await asyncio.sleep(_RESTART_SECONDS)
            for name in sorted(self.should_run):
                child = self.child(name)
                if child.pid is None and name in self.should_run:
                    self.unexpected_exits.append(f"{name} exited unexpectedly with status {child.exit_status}")
                    self.mark_down(name)
                    await asyncio.to_thread(child.stop)
                    await self.start(name, wait=False)

    async def record_recoveries(self) -> None:
        """Record when processes of Sluice are ready again, until cancelled."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            for name in sorted(self.should_run):
                downtimes = self.downtimes[name]
                if downtimes and downtimes[-1].until is None and await asyncio.to_thread(self._is_up, name):
                    self.mark_up(name)

    def _is_up(self, name: str) -> bool:
        return self.child(name).pid is not None and self.child(name).is_ready()

    async def _until_ready(self, name: str, child: ChildProcess) -> None:
        async with asyncio.timeout(child.ready_seconds):
            while not await asyncio.to_thread(child.is_ready):
                if child.pid is None:
                    raise ServerFailedError(name, f"exited with status {child.exit_status}", child.log_path)
                await asyncio.sleep(_POLL_SECONDS)
        self.mark_up(name)

    def _signal(self, name: str, signal_number: int) -> None:
        pid = self.child(name).pid
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal_number)

    def mark_down(self, name: str) -> None:
        """Note that it is unavailable from now on."""
        downtimes = self.downtimes[name]
        if not downtimes or downtimes[-1].until is not None:
            downtimes.append(Downtime(time.time()))

    def mark_up(self, name: str) -> None:
        """Note that it is available again."""
        downtimes = self.downtimes[name]
        if downtimes and downtimes[-1].until is None:
            downtimes[-1].until = time.time()
