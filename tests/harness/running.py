"""Starts cells: a gateway and workers as real processes on embedded servers.

Each cell has a Redis namespace, a database, a temp volume and containers of its own.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import asyncpg
from redis.asyncio import Redis

from deploy.cli.processes import ALL_IN_ONE, SluiceProcesses
from deploy.embedded.layout import Layout
from pipeline.adapters.redis.connecting import open_pool
from pipeline.adapters.redis.keys import Keys
from pipeline.bootstrap import open_store
from pipeline.core.stages import WorkerType
from pipeline.settings import Settings
from tests.harness.cell import SEGMENT_BYTES, Cell
from tests.harness.databases import create_database, drop_database
from tests.harness.preloaded import PreloadedProcesses
from tests.harness.shared_stack import Servers

T = TypeVar("T")


def apart(kind: str, count: int = 1) -> dict[str, Sequence[str]]:
    """Workers of a cell where this type has `count` processes of its own, `worker-KIND`, `worker-KIND-2`, and one
    process, `worker-rest`, runs all other types."""
    names = [f"worker-{kind}", *(f"worker-{kind}-{number}" for number in range(2, count + 1))]
    return {**{name: [kind] for name in names}, "worker-rest": [other for other in WorkerType if other != kind]}


@dataclass(frozen=True)
class CellProcesses:
    """The processes of a cell, which may serve many tests. Each test connects itself (`connected`)."""

    processes: SluiceProcesses
    environment: Mapping[str, str]
    settings: Settings

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Cell]:
        async with AsyncExitStack() as exits:
            http = await exits.enter_async_context(aiohttp.ClientSession())
            store = await exits.enter_async_context(open_store(self.settings))
            url = self.settings.redis_url.get_secret_value()
            redis = Redis(connection_pool=open_pool(url, max_connections=1000, decode_responses=True))
            exits.push_async_callback(redis.aclose, close_connection_pool=True)
            keys = Keys(self.settings.redis_namespace)
            yield Cell(self.processes, self.environment, self.settings, http, redis, store, keys)


def cell_settings(stack: Servers, directory: Path, **overrides: str | int | float) -> tuple[dict[str, str], Settings]:
    """The environment of a cell with names of its own, and the same as settings. Creates the cell's database.

    Cells share no database, since workers process all pending deletions in theirs with their own settings.
    `overrides` are settings, by the names of `Settings`.
    """
    name = f"t{secrets.token_hex(4)}"
    database_url = _run_in_thread(create_database(stack.database_url, name, migrated=True))
    environment = {
        **stack.environment(),
        "SLUICE_DATABASE_URL": database_url,
        "SLUICE_REDIS_NAMESPACE": name,
        "SLUICE_VOLUME": name,
        "SLUICE_SWIFT_CONTAINER": name,
        "SLUICE_S3_BUCKET": f"{name}-s3",
        "SLUICE_FILESYSTEM_DIR": str(directory / "store"),
        "SLUICE_TEMP_DIR": str(directory / "temp"),
        "SLUICE_SEGMENT_BYTES": str(SEGMENT_BYTES),
        "SLUICE_TEMP_HEADROOM_BYTES": "0",
        **{f"SLUICE_{key.upper()}": str(value) for key, value in overrides.items()},
    }
    values = {key.removeprefix("SLUICE_").lower(): value for key, value in environment.items()}
    settings = Settings.model_validate(values)
    return environment, settings


def _run_in_thread(work: Coroutine[Any, Any, T]) -> T:
    """The caller may run an event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def drop_cell_database(stack: Servers, settings: Settings) -> None:
    """The database that `cell_settings` has created."""
    database = settings.database_url.get_secret_value().rpartition("/")[2]
    with suppress(OSError, asyncpg.PostgresError):  # a test may have stopped the server
        _run_in_thread(drop_database(stack.database_url, database))


@contextmanager
def cell_processes(
    stack: Servers,
    directory: Path,
    *,
    workers: Mapping[str, Sequence[str]] = ALL_IN_ONE,
    processes: type[SluiceProcesses] = PreloadedProcesses,
    **overrides: str | int | float,
) -> Iterator[CellProcesses]:
    """Start a cell; `overrides` as for `cell_settings`."""
    environment, settings = cell_settings(stack, directory, **overrides)
    Layout(directory).make()
    running = processes(directory, environment, workers=workers)
    try:
        running.start()
        yield CellProcesses(running, environment, settings)
    finally:
        running.stop()
        drop_cell_database(stack, settings)


@asynccontextmanager
async def running_cell(
    stack: Servers,
    directory: Path,
    *,
    workers: Mapping[str, Sequence[str]] = ALL_IN_ONE,
    processes: type[SluiceProcesses] = PreloadedProcesses,
    **overrides: str | int | float,
) -> AsyncIterator[Cell]:
    """A cell for one test, with settings of its own. `processes` says how its processes start: by default they share
    the work of importing their modules (`preloaded`); `SluiceProcesses` runs the command `sluice` for each."""
    with cell_processes(stack, directory, workers=workers, processes=processes, **overrides) as started:
        async with started.connected() as cell:
            yield cell
