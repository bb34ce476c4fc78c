"""Migrations on a real PostgreSQL: each is applied once, however many processes start at the same time."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import asyncpg
import pytest

from pipeline.adapters.postgres import migrate as module
from pipeline.adapters.postgres.migrate import known_migrations, migrate, pending_migrations
from pipeline.adapters.postgres.pool import LazyPool
from pipeline.core.errors import DependencyUnavailable

pytestmark = pytest.mark.contract


async def test_migrations_are_applied_once_and_in_order(empty_database_url: str) -> None:
    names = list(known_migrations())
    assert names == sorted(names)
    assert await pending_migrations(empty_database_url) == names
    assert await migrate(empty_database_url) == names
    assert await migrate(empty_database_url) == []
    assert await pending_migrations(empty_database_url) == []


async def test_listing_pending_migrations_changes_nothing(empty_database_url: str, direct_url: str) -> None:
    await pending_migrations(empty_database_url)
    connection = await asyncpg.connect(direct_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    finally:
        await connection.close()


async def test_concurrent_callers_apply_each_migration_once(empty_database_url: str) -> None:
    applied = await asyncio.gather(*(migrate(empty_database_url) for _ in range(8)))
    assert sorted(name for names in applied for name in names) == list(known_migrations())


async def test_a_failed_migration_is_rolled_back(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {**known_migrations(), "9999_broken": "CREATE TABLE half (); SELECT 1 / 0"}
    monkeypatch.setattr(module, "known_migrations", lambda: broken)
    with pytest.raises(DependencyUnavailable, match="22012 division_by_zero"):
        await migrate(empty_database_url)
    assert await pending_migrations(empty_database_url) == ["9999_broken"], "the earlier migrations stay applied"
    monkeypatch.setattr(module, "known_migrations", lambda: {**broken, "9999_broken": "CREATE TABLE half ()"})
    assert await migrate(empty_database_url) == ["9999_broken"]


async def test_an_unreachable_database_raises_unavailable() -> None:
    for call in (migrate, pending_migrations):
        with pytest.raises(DependencyUnavailable):
            await call("postgresql://sluice@127.0.0.1:1/sluice")


async def test_a_pool_migrates_before_its_first_use(empty_database_url: str) -> None:
    pools = [LazyPool(empty_database_url, 2, migrates=True) for _ in range(3)]

    async def use(pool: LazyPool) -> int:
        async with pool.connection() as connection:
            count: int = await connection.fetchval("SELECT count(*) FROM contents")
            return count

    try:
        assert await asyncio.gather(*map(use, pools + pools)) == [0] * 6
    finally:
        for pool in pools:
            pool.terminate()


async def test_a_pool_without_permission_to_migrate_says_so(direct_url: str) -> None:
    role = f"reader_{direct_url.rpartition('/')[2]}"
    owner = await asyncpg.connect(direct_url)
    pool = LazyPool(direct_url.replace("//sluice:", f"//{role}:"), 1, migrates=True)
    try:
        await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{urlsplit(direct_url).password}'")
        await owner.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        with pytest.raises(DependencyUnavailable, match="permission denied"):
            async with pool.connection():
                pass
    finally:
        pool.terminate()
        await owner.execute(f"DROP ROLE {role}")
        await owner.close()
