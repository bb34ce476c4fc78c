"""Starts what a run needs: the servers, a proxy in front of the store, and the cell's processes.

Guarantee: everything that was started ends with the block, whatever its state.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from redis.asyncio import Redis

from deploy.cli.processes import SEPARATE, SluiceProcesses
from deploy.embedded import EmbeddedStack, StackOptions
from deploy.embedded.layout import Layout
from pipeline.adapters.redis.connecting import open_pool
from tests.harness.faults.shaper import Shaper
from tests.harness.keys import WITH_KEYS
from tests.harness.running import cell_settings
from tests.harness.sentinel import SentinelCluster, sentinel_cluster
from tests.programs.torture.fault_kinds import GATEWAYS, SLUICE
from tests.programs.torture.world import World

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
_THREADS = 32
# So long a busy machine does not keep a server from responding.
_DOWN_AFTER_MS = 2000


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
