"""Migrations on a real PostgreSQL: each once, however many processes start at one moment."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from pipeline.adapters.postgres import migrate as module
from pipeline.adapters.postgres.migrate import known_migrations, migrate, pending_migrations
from pipeline.core.errors import DependencyUnavailable

pytestmark = pytest.mark.contract


async def test_migrations_are_applied_once_and_in_order(empty_database_url: str) -> None:
    names = list(known_migrations())
    assert names == sorted(names)
    assert await pending_migrations(empty_database_url) == names
    assert await migrate(empty_database_url) == names
    assert await migrate(empty_database_url) == []
    assert await pending_migrations(empty_database_url) == []


async def test_looking_changes_nothing(empty_database_url: str) -> None:
    await pending_migrations(empty_database_url)
    connection = await asyncpg.connect(empty_database_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    finally:
        await connection.close()


async def test_of_many_that_start_at_one_moment_one_migrates(empty_database_url: str) -> None:
    answers = await asyncio.gather(*(migrate(empty_database_url) for _ in range(8)))
    assert sorted(answers, key=len) == [[]] * 7 + [list(known_migrations())]


async def test_a_migration_that_fails_leaves_nothing_of_itself(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {**known_migrations(), "9999_broken": "CREATE TABLE half (); SELECT 1 / 0"}
    monkeypatch.setattr(module, "known_migrations", lambda: broken)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_database_url)
    assert await pending_migrations(empty_database_url) == ["9999_broken"], "those before it stand"
    monkeypatch.setattr(module, "known_migrations", lambda: {**broken, "9999_broken": "CREATE TABLE half ()"})
    assert await migrate(empty_database_url) == ["9999_broken"]


async def test_a_database_that_is_away_is_named_as_such() -> None:
    for call in (migrate, pending_migrations):
        with pytest.raises(DependencyUnavailable):
            await call("postgresql://sluice@127.0.0.1:1/sluice")
