"""A cell whose temp volume has room for one film, and a browser of its own for each test of /upload."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.upload_page.scenes import SEGMENTS
from tests.harness.cell import SEGMENT_BYTES, Cell
from tests.harness.chromium import Browser, chromium
from tests.harness.keys import WITH_KEYS
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers


@pytest.fixture(scope="module")
def guarded(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    """A cell whose temp volume holds one film, with room for one more segment."""
    settings: dict[str, Any] = {
        **WITH_KEYS,
        "temp_budget_bytes": (SEGMENTS + 1) * SEGMENT_BYTES,
        "temp_share": 1,
        "owner_share": 1,
    }
    with cell_processes(servers, tmp_path_factory.mktemp("page"), **settings) as started:
        yield started


@pytest.fixture
async def cell(guarded: CellProcesses) -> AsyncIterator[Cell]:
    async with guarded.connected() as connected:
        yield connected


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with chromium(tmp_path / "profile") as started:
        yield started
