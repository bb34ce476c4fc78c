"""A cell that the end-to-end tests of one pytest worker share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from deploy.embedded import EmbeddedStack, StackOptions
from tests.harness.cell import Cell
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers


@pytest.fixture(scope="module")
def own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """Redis, PostgreSQL and Swift for the tests of one file, to be stopped, paused or emptied. A test leaves them
    running."""
    with EmbeddedStack(StackOptions(directory=tmp_path_factory.mktemp("servers"), fast=True)) as stack:
        yield stack


@pytest.fixture(scope="module")
def store_settings() -> dict[str, Any]:
    """More settings of `store_cell`. A file that has some overrides it."""
    return {}


@pytest.fixture(scope="module", params=["swift", "s3", "filesystem"])
def store_cell(
    request: pytest.FixtureRequest,
    servers: Servers,
    tmp_path_factory: pytest.TempPathFactory,
    store_settings: dict[str, Any],
) -> Iterator[CellProcesses]:
    """A cell for the tests of one file, on each store in turn."""
    directory = tmp_path_factory.mktemp(f"on-{request.param}")
    with cell_processes(servers, directory, store=request.param, **store_settings) as started:
        yield started


@pytest.fixture
async def cell_of_store(store_cell: CellProcesses) -> AsyncIterator[Cell]:
    """`store_cell`, as one test sees it."""
    async with store_cell.connected() as connected:
        yield connected
        await connected.cancel_unfinished()


@pytest.fixture(scope="session")
def shared_cell(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    """A cell with room for everything."""
    with cell_processes(servers, tmp_path_factory.mktemp("cell")) as started:
        yield started


@pytest.fixture
async def cell(shared_cell: CellProcesses) -> AsyncIterator[Cell]:
    """The shared cell, as one test sees it."""
    async with shared_cell.connected() as connected:
        yield connected
        await connected.cancel_unfinished()
