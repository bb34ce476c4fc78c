"""What a run takes place in: real servers, a cell whose gateways and workers are processes of their own, and a shaper
between Sluice and the store.

Guarantee: every process ends with the run, also one that is paused, and no other process is touched: each is known by
the object that started it. A process that ends by itself is started again, as whoever runs Sluice would do it, and is
reported.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis

from deploy.cli.processes import SEPARATE, SluiceProcesses
from deploy.embedded import EmbeddedStack, StackOptions
from deploy.embedded.errors import ServerFailedError
from deploy.embedded.layout import Layout
from deploy.embedded.process import ChildProcess
from pipeline.adapters.redis.keys import Keys
from pipeline.settings import Settings
from tests.harness.faults.shaper import Shaper
from tests.harness.running import cell_settings
from tests.programs.torture.schedule import GATEWAYS, SLUICE

MEBIBYTE = 1024 * 1024
LEASE_SECONDS = 30
_SETTINGS: Mapping[str, int] = {
    # room for a few of the largest files only, so that uploads wait for one another
    "temp_budget_bytes": 12 * MEBIBYTE,
    "lease_seconds": LEASE_SECONDS,
    # shorter than by default, so that a run of minutes meets each of them
    "store_stall_seconds": 8,
    "segment_stall_seconds": 8,
    "shutdown_seconds": 5,
}
SCALES: Mapping[str, int] = {"swift": 1, "s3": 4}
"""How much larger files and budget are, by store: S3 takes no part below 5 MiB."""
_LOOK_SECONDS = 0.1
_START_AGAIN_SECONDS = 1.0
_THREADS = 32


@dataclass
class Absence:
    """Something was away between two moments, in Unix seconds; `until` None: it still is."""

    since: float
    until: float | None = None


@dataclass
class World:
    """Everything that a fault can reach."""

    stack: EmbeddedStack
    processes: SluiceProcesses
    environment: Mapping[str, str]
    settings: Settings
    shaper: Shaper
    redis: Redis
    keys: Keys
    directory: Path
    faults: Counter[str] = field(default_factory=Counter)
    """Injected, by kind."""
    deaths: list[str] = field(default_factory=list)
    """Processes that ended though nobody had asked them to."""
    total_losses: int = 0
    """How often Redis has lost everything."""
    notes: list[str] = field(default_factory=list)
    """What else was strange."""
    absences: dict[str, list[Absence]] = field(default_factory=lambda: defaultdict(list))
    """By process or server."""
    locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """By target: held by the fault that has it."""
    wanted: set[str] = field(default_factory=set)
    """Sluice's processes that shall run now."""

    @property
    def gateways(self) -> Sequence[str]:
        return [self.processes.urls[name] for name in GATEWAYS]

    def child(self, name: str) -> ChildProcess:
        """A process of Sluice's, or a server."""
        return self.processes.child(name) if name in SLUICE else self.stack.child(name)

    async def end(self, name: str, signal_number: int) -> None:
        """Send the signal and wait until it has ended; what outstays its grace is killed, and noted."""
        self.wanted.discard(name)
        self._away(name)
        child = self.child(name)
        began = time.monotonic()
        await asyncio.to_thread(child.stop, signal_number)
        if time.monotonic() - began >= child.stop_seconds:
            self.notes.append(f"{name} had not ended {child.stop_seconds:.0f} s after signal {signal_number}")

    async def start(self, name: str, *, wait: bool = True) -> None:
        """Start it again; with `wait`, until it answers. Raises ServerFailedError."""
        child = self.child(name)
        child.start()
        if name in SLUICE:
            self.wanted.add(name)
        if wait:
            await self._until_ready(name, child)

    def pause(self, name: str) -> None:
        """Stop it where it stands (SIGSTOP), until `resume`."""
        self._away(name)
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._signal(name, signal.SIGCONT)
        self._back(name)

    async def until_up(self, seconds: float) -> None:
        """Wait until all of Sluice answers as being ready. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            for name in SLUICE:
                while not await asyncio.to_thread(self.child(name).is_ready):  # noqa: ASYNC110  # in other processes
                    await asyncio.sleep(_LOOK_SECONDS)

    async def watch_over(self) -> None:
        """Start again whatever has ended by itself, until cancelled."""
        while True:
            await asyncio.sleep(_START_AGAIN_SECONDS)
            for name in sorted(self.wanted):
                child = self.child(name)
                if child.pid is None and name in self.wanted:
                    self.deaths.append(f"{name} ended by itself with exit status {child.exit_status}")
                    self._away(name)
                    await asyncio.to_thread(child.stop)
                    await self.start(name, wait=False)

    async def watch_ready(self) -> None:
        """Note when processes of Sluice's are back, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for name in sorted(self.wanted):
                absences = self.absences[name]
                if absences and absences[-1].until is None and await asyncio.to_thread(self._alive, name):
                    self._back(name)

    def _alive(self, name: str) -> bool:
        return self.child(name).pid is not None and self.child(name).is_ready()

    async def _until_ready(self, name: str, child: ChildProcess) -> None:
        async with asyncio.timeout(child.ready_seconds):
            while not await asyncio.to_thread(child.is_ready):
                if child.pid is None:
                    raise ServerFailedError(name, f"ended with exit status {child.exit_status}", child.log_path)
                await asyncio.sleep(_LOOK_SECONDS)
        self._back(name)

    def _signal(self, name: str, signal_number: int) -> None:
        pid = self.child(name).pid
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal_number)

    def _away(self, name: str) -> None:
        absences = self.absences[name]
        if not absences or absences[-1].until is not None:
            absences.append(Absence(time.time()))

    def _back(self, name: str) -> None:
        absences = self.absences[name]
        if absences and absences[-1].until is None:
            absences[-1].until = time.time()


@contextmanager
def servers(directory: Path) -> Iterator[EmbeddedStack]:
    """Redis with its file, PostgreSQL and Swift, for one run."""
    with EmbeddedStack(StackOptions(directory=directory / "servers", fast=True)) as stack:
        yield stack


@asynccontextmanager
async def open_world(stack: EmbeddedStack, directory: Path, seed: int, store: str = "swift") -> AsyncIterator[World]:
    """The cell upon `stack` and its store (swift or s3), up and ready; gone after the block, whatever state it is in.
    From the main thread."""
    with ThreadPoolExecutor(_THREADS) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        upstream = stack.swift.proxy_url.removeprefix("http://").split(":")
        async with Shaper((upstream[0], int(upstream[1])), http=True, seed=seed) as shaper:
            environment, settings = cell_settings(
                stack,
                directory,
                store=store,
                swift_auth_url=f"{shaper.url}/auth/v1.0",
                s3_endpoint_url=shaper.url,
                **{**_SETTINGS, "temp_budget_bytes": _SETTINGS["temp_budget_bytes"] * SCALES[store]},
            )
            Layout(directory).make()
            processes = SluiceProcesses(directory, environment, workers=SEPARATE, gateways=len(GATEWAYS))
            redis = Redis.from_url(settings.redis_url.get_secret_value(), decode_responses=True, socket_timeout=5)
            keys = Keys(settings.redis_namespace)
            world = World(stack, processes, environment, settings, shaper, redis, keys, directory)
            try:
                for name in SLUICE:
                    await world.start(name, wait=False)
                await world.until_up(90)
                yield world
            finally:
                world.wanted.clear()
                for name in (*SLUICE, *stack.processes()):
                    world.resume(name)
                await asyncio.to_thread(processes.stop)
                await redis.aclose(close_connection_pool=True)
