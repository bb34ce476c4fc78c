"""Every test here runs twice: on a direct connection, and through PgBouncer in transaction mode."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.embedded import EmbeddedStack
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
