"""A repository and a plain connection, both to the same new database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from pipeline.adapters.postgres.contents import PostgresContentRepository


@pytest.fixture
async def contents(database_url: str) -> AsyncIterator[PostgresContentRepository]:
    repository = PostgresContentRepository(database_url, connections=4)
    yield repository
    await repository.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()
