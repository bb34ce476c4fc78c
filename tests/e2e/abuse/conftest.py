"""A cell with authentication for each file, whose limits are low enough to be reached, and its honest clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from deploy.cli.processes import ALL_IN_ONE, GATEWAY
from tests.harness.abuse import abuser, honest
from tests.harness.cell import Cell
from tests.harness.keys import WITH_KEYS, as_caller
from tests.harness.media_samples import long_video
from tests.harness.preloaded import PreloadedProcesses
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers

BUDGET_BYTES = 64 * 1024 * 1024
VIDEO = 3 * 1024 * 1024
SETTINGS: Mapping[str, str | int | float] = {
    **WITH_KEYS,
    "temp_budget_bytes": BUDGET_BYTES,
    "owner_creations_per_second": 1000,
    "owner_requests_per_second": 5000,
    "owner_waiting": 1000,
    "log_level": "info",
}


@dataclass(frozen=True)
class Site:
    """The cell as an operator, an honest client and the abuser see it."""

    cell: Cell
    alice: Cell
    mallory: Cell

    def gateway(self) -> psutil.Process:
        return psutil.Process(self.cell.processes.pids()[GATEWAY])

    def redis_connections(self) -> int:
        """Connections of the gateway to Redis."""
        port = urlsplit(self.cell.settings.redis_url.get_secret_value()).port
        return sum(bool(open_.raddr) and open_.raddr.port == port for open_ in self.gateway().net_connections())

    def log_bytes(self) -> int:
        return self.cell.processes.log_path(GATEWAY).stat().st_size

    async def redis_info(self, name: str) -> int:
        return int((await self.cell.redis.info())[name])

    async def honest(self, count: int = 1, seconds: float = 90) -> None:
        """So many uploads of honest clients become `ready`."""
        data = long_video(VIDEO)
        await asyncio.gather(*(honest(self.alice, data, seconds) for _ in range(count)))


@contextmanager
def guarded(servers: Servers, directory: Path, **more: str | int | float) -> Iterator[CellProcesses]:
    """A cell with authentication, low limits, and `more` settings."""
    settings = {**SETTINGS, **more}
    with cell_processes(servers, directory, workers=ALL_IN_ONE, processes=PreloadedProcesses, **settings) as started:
        yield started


@asynccontextmanager
async def site_of(started: CellProcesses) -> AsyncIterator[Site]:
    async with started.connected() as cell, as_caller(cell, "alice") as alice, abuser(cell) as mallory:
        yield Site(cell, alice, mallory)


@pytest.fixture(scope="module")
def guarded_cell(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    with guarded(servers, tmp_path_factory.mktemp("abuse")) as started:
        yield started


@pytest.fixture
async def site(guarded_cell: CellProcesses) -> AsyncIterator[Site]:
    """Everything of the abuser's is cancelled afterwards."""
    async with site_of(guarded_cell) as site:
        yield site
        await cancel_all(site.mallory)


async def cancel_all(cell: Cell) -> None:
    """Cancel every upload in flight of this owner, and wait until none holds room."""
    for status in ("waiting", "admitted", "receiving"):
        while True:
            _, body, _ = await cell.call("GET", f"/v1/uploads?limit=200&status={status}", expect=200)
            if not body["data"]["items"]:
                break
            await asyncio.gather(*(cell.call("DELETE", f"/v1/uploads/{item['id']}") for item in body["data"]["items"]))
