"""One database for all tests of replays, each of which empties it."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest

from deploy.embedded import EmbeddedStack
from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.adapters.postgres.migrate import migrate
from pipeline.adapters.postgres.replays import PostgresReplays
from tests.contract.postgres.conftest import DIRECT


@pytest.fixture(scope="module")
def shared_database(database_server: EmbeddedStack) -> str:
    """A database for all tests here, each of which empties it."""
    name = f"replays_{secrets.token_hex(4)}"
    url = f"{database_server.database_url.rpartition('/')[0]}/{name}"

    async def prepare() -> None:
        connection = await asyncpg.connect(database_server.database_url)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        await migrate(url)

    with ThreadPoolExecutor(1) as thread:  # this one may run an event loop
        thread.submit(asyncio.run, prepare()).result()
    return url


@pytest.fixture
def direct_url(shared_database: str) -> str:
    return shared_database


@pytest.fixture
def database_url(shared_database: str, way: str, request: pytest.FixtureRequest) -> str:
    if way == DIRECT:
        return shared_database
    base: str = request.getfixturevalue("pgbouncer_url")
    return f"{base}/{shared_database.rpartition('/')[2]}"


@pytest.fixture
async def replays(contents: PostgresContentRepository, database: asyncpg.Connection) -> PostgresReplays:
    """Replays, and contents, of which there are none yet."""
    await database.execute("TRUNCATE contents, replays, webhooks, webhook_events CASCADE")
    return PostgresReplays(contents.pool)


async def expire(database: asyncpg.Connection) -> None:
    """End every lease, as time does when a runner has died."""
    await database.execute("UPDATE replay_contents SET due_at = clock_timestamp() WHERE code IS NULL")
