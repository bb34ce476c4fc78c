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
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis

from deploy.cli.processes import SEPARATE, SluiceProcesses
from deploy.embedded import EmbeddedStack, StackOptions
from deploy.embedded.errors import ServerFailedError
from deploy.embedded.layout import Layout
from deploy.embedded.process import ChildProcess
from pipeline.adapters.redis.connecting import open_pool
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.server_runs import server_run
from pipeline.settings import Settings
from tests.harness.faults.shaper import Shaper
from tests.harness.keys import WITH_KEYS
from tests.harness.redis_calls import reply
from tests.harness.running import cell_settings
from tests.harness.sentinel import SentinelCluster, sentinel_cluster
from tests.programs.torture.fault_kinds import GATEWAYS, SLUICE

MEBIBYTE = 1024 * 1024
LEASE_SECONDS = 60
"""Longer than a machine that has much else to do needs to start every process again."""
# Room for only a few of the largest files, so that uploads wait for one another.
_BUDGET_BYTES = 12 * MEBIBYTE
_SETTINGS: Mapping[str, int | float | str] = {
    **WITH_KEYS,
    # Files of more than five segments have a window.
    "temp_share": 0.1,
    # Shorter than the defaults, so that each limit is reached within minutes.
    "store_stall_seconds": 8,
    "segment_stall_seconds": 8,
    "shutdown_seconds": 5,
    # For direct uploads, which are cleaned up once more when their last grant has expired.
    "upload_grant_seconds": 20,
    # So long may a client hold grants of a direct upload that Redis has lost and recovery has restored.
    "direct_seconds": 45,
    "swift_tempurl_key": "torture",
    # Longer than a run: the audit reads the record of every upload, also of those that have received no byte.
    "retention_empty_seconds": 3600,
    "webhook_networks": "127.0.0.0/8",
    "webhook_retry_seconds": 0.2,
    "webhook_timeout_seconds": 3,
}
SCALES: Mapping[str, int] = {"swift": 1, "s3": 4}
"""The factor for file sizes and the budget, by store: S3 accepts no part below 5 MiB."""
_POLL_SECONDS = 0.1
_RESTART_SECONDS = 1.0
_THREADS = 32
# So long a busy machine does not keep a server from responding.
_DOWN_AFTER_MS = 2000


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


@contextmanager
def servers(directory: Path, *, sentinel: bool) -> Iterator[tuple[EmbeddedStack, SentinelCluster | None]]:
    """PostgreSQL, Swift and Redis with persistence, for one run; with `sentinel`, Redis as the cluster. Skips the test
    then where Redis or Sentinel is not installed."""
    options = StackOptions(directory=directory / "servers", fast=True, redis=not sentinel)
    with ExitStack() as exits:
        cluster = None
        if sentinel:
            cluster = exits.enter_context(sentinel_cluster(directory / "redis", down_after_ms=_DOWN_AFTER_MS))
        yield exits.enter_context(EmbeddedStack(options)), cluster


@asynccontextmanager
async def open_world(
    stack: EmbeddedStack,
    cluster: SentinelCluster | None,
    directory: Path,
    seed: int,
    store: str = "swift",
    lease_seconds: int = LEASE_SECONDS,
) -> AsyncIterator[World]:
    """A cell on these servers with `store` (swift or s3), ready. Everything it started is stopped after the block,
    whatever its state. Call it from the main thread."""
    with ThreadPoolExecutor(_THREADS) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        upstream = stack.swift.proxy_url.removeprefix("http://").split(":")
        async with Shaper((upstream[0], int(upstream[1])), http=True, seed=seed) as shaper:
            redis_url = {} if cluster is None else {"redis_url": cluster.url}
            environment, settings = cell_settings(
                stack,
                directory,
                **redis_url,
                store=store,
                swift_auth_url=f"{shaper.url}/auth/v1.0",
                s3_endpoint_url=shaper.url,
                lease_seconds=lease_seconds,
                **{**_SETTINGS, "temp_budget_bytes": _BUDGET_BYTES * SCALES[store]},
            )
            Layout(directory).make()
            processes = SluiceProcesses(directory, environment, workers=SEPARATE, gateways=len(GATEWAYS))
            url = settings.redis_url.get_secret_value()
            redis = Redis(
                connection_pool=open_pool(url, max_connections=_THREADS, decode_responses=True, socket_timeout=5)
            )
            world = World(stack, processes, environment, settings, shaper, redis, cluster)
            try:
                for name in SLUICE:
                    await world.start(name, wait=False)
                await world.until_ready(90)
                yield world
            finally:
                world.should_run.clear()
                for name in (*SLUICE, *stack.processes()):
                    world.resume(name)
                await asyncio.to_thread(processes.stop)
                await redis.aclose(close_connection_pool=True)
