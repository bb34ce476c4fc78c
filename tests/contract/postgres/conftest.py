"""Every test here runs twice: on a direct connection, and through PgBouncer in transaction mode."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from deploy.embedded import EmbeddedStack
from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.adapters.postgres.deletions import PostgresDeletionRepository
from pipeline.adapters.postgres.webhooks import PostgresOutbox, PostgresWebhooks
from tests.contract.postgres.outbox import Scene
from tests.harness.pgbouncer import PGBOUNCER, pgbouncer

DIRECT, POOLED = "direct", "pgbouncer"


@pytest.fixture(scope="session")
def pgbouncer_url(database_server: EmbeddedStack) -> Iterator[str]:
    """PgBouncer's URL, without a database."""
    with pgbouncer(database_server.database_url) as url:
        yield url


@pytest.fixture(params=[DIRECT, POOLED])
def way(request: pytest.FixtureRequest) -> str:
    """How the repositories reach PostgreSQL."""
    name: str = request.param
    if name == POOLED and PGBOUNCER is None:
        pytest.skip("needs the Debian package pgbouncer")
    return name


@pytest.fixture
def empty_database_url(way: str, empty_database_url: str, request: pytest.FixtureRequest) -> str:
    """A new database without a table in it, as the repositories reach it."""
    if way == DIRECT:
        return empty_database_url
    base: str = request.getfixturevalue("pgbouncer_url")
    return f"{base}/{empty_database_url.rpartition('/')[2]}"


@pytest.fixture
def direct_url(empty_database_url: str, database_server: EmbeddedStack) -> str:
    """The test's database, for the test's own statements."""
    return f"{database_server.database_url.rpartition('/')[0]}/{empty_database_url.rpartition('/')[2]}"


@pytest.fixture
async def contents(database_url: str) -> AsyncIterator[PostgresContentRepository]:
    repository = PostgresContentRepository(database_url, connections=8)
    yield repository
    await repository.close()


@pytest.fixture
async def database(database_url: str, direct_url: str) -> AsyncIterator[asyncpg.Connection]:
    """For the test's own statements."""
    connection = await asyncpg.connect(direct_url)
    yield connection
    await connection.close()


@pytest.fixture
async def scene(contents: PostgresContentRepository, database: asyncpg.Connection) -> Scene:
    """Webhooks, of which there are none yet."""
    await database.execute("TRUNCATE webhooks, webhook_events CASCADE")
    pool = contents.pool
    return Scene(contents, PostgresDeletionRepository(pool), PostgresWebhooks(pool), PostgresOutbox(pool), database)
