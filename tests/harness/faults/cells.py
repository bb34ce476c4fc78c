"""A cell that reaches its store through a shaper, and the outages that its stages count."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from yarl import URL

from pipeline.adapters.redis.reads import hash_all
from tests.harness.cell import Cell
from tests.harness.faults.shaper import Shaper
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

STALL_SECONDS = 2


@asynccontextmanager
async def shaped_cell(
    servers: Servers, directory: Path, dialect: str, **overrides: Any
) -> AsyncIterator[tuple[Cell, Shaper]]:
    """A cell that reaches its store through a shaper."""
    proxy = URL(servers.swift.proxy_url)
    assert proxy.host is not None
    assert proxy.port is not None
    async with (
        Shaper((proxy.host, proxy.port), http=True, seed=4) as shaper,
        running_cell(
            servers,
            directory,
            store=dialect,
            swift_auth_url=f"{shaper.url}/auth/v1.0",
            s3_endpoint_url=shaper.url,
            store_stall_seconds=STALL_SECONDS,
            **overrides,
        ) as cell,
    ):
        yield cell, shaper


async def outages(cell: Cell) -> int:
    """The number of failed attempts that stages attribute to a dependency."""
    records: list[dict[str, str]] = [
        await hash_all(cell.redis, cell.keys.upload(upload_id)) for upload_id in cell.uploads
    ]
    return sum(int(value) for record in records for name, value in record.items() if name.endswith(".outages"))
