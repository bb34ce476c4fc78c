"""API keys for tests, made in the database as `sluice key create` does, and cells that require them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import aiohttp

from pipeline.access.key_ring import new_key
from pipeline.bootstrap.access import api_keys
from pipeline.core.access import Scope
from pipeline.settings import Settings
from tests.harness.cell import Cell

WITH_KEYS: Final[Mapping[str, str]] = {"auth": "required", "signing_secret": "0123456789abcdef" * 4}
"""Settings of a cell that requires authentication."""

CLIENT: Final = (Scope.UPLOAD, Scope.READ)
"""What the key of a client permits."""


async def make_key(
    settings: Settings, owner: str, *scopes: Scope, expires_in_seconds: float | None = None
) -> tuple[str, str]:
    """The id of a new key, and the key."""
    key_id, text, digest = new_key()
    until = None if expires_in_seconds is None else datetime.now(UTC) + timedelta(seconds=expires_in_seconds)
    async with api_keys(settings) as keys:
        await keys.add(key_id, owner, frozenset(scopes), "", digest, until)
    return key_id, text


def bearer(key: str) -> dict[str, str]:
    """The header that sends a key or a token."""
    return {"Authorization": f"Bearer {key}"}


@asynccontextmanager
async def as_caller(cell: Cell, owner: str, *scopes: Scope, address: str | None = None) -> AsyncIterator[Cell]:
    """The cell as a caller with a key of its own sees it; without `scopes`, as a client does. `address`: the loopback
    address that its connections come from."""
    _, key = await make_key(cell.settings, owner, *(scopes or CLIENT))
    connector = aiohttp.TCPConnector(limit=0, local_addr=None if address is None else (address, 0))
    async with aiohttp.ClientSession(headers=bearer(key), connector=connector) as http:
        yield replace(cell, http=http, uploads=[])
