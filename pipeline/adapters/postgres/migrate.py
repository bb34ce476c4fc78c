"""Schema migrations: numbered .sql files, each applied once, in order, in its own transaction.

Guarantee: several processes may migrate at once; an advisory lock lets one migration be applied while the others wait.
Applied migrations are recorded by name. The lock belongs to the transaction, so that a pooler never keeps it. Where
nothing is to be applied, nothing is written: a user without the right to create tables, or a standby, suffices.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources

import asyncpg

from pipeline.adapters.postgres.connecting import Hosts
from pipeline.adapters.postgres.errors import translated

_CLOSE_SECONDS = 5.0
# Limits that suit requests do not suit a migration, which may rewrite a table. They end with the transaction.
_BEGIN = """
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SELECT pg_advisory_xact_lock(x'536C75696365'::bigint);  -- "Sluice"
CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
"""


def known_migrations() -> dict[str, str]:
    """Migration name -> SQL, in the order in which they are applied."""
    folder = resources.files(__package__) / "migrations"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)
    return {item.name.removesuffix(".sql"): item.read_text("utf-8") for item in files}


@asynccontextmanager
async def connected(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection for the block, which runs its statements in transactions; see `adapters.postgres.pool`."""
    connection = await Hosts(database_url).connect(statement_cache_size=0)
    try:
        yield connection
    except BaseException:
        connection.terminate()
        raise
    await connection.close(timeout=_CLOSE_SECONDS)


async def migrate(database_url: str) -> list[str]:
    """Apply every pending migration; returns the names of those applied. Raises DependencyUnavailable."""
    applied: list[str] = []
    with translated():
        async with connected(database_url) as connection:
            while await _pending(connection):
                if name := await _apply_next(connection):
                    applied.append(name)
    return applied


async def pending_migrations(database_url: str) -> list[str]:
    """Names of the migrations that `migrate` would apply. Changes nothing. Raises DependencyUnavailable."""
    with translated():
        async with connected(database_url) as connection:
            return await _pending(connection)


async def _apply_next(connection: asyncpg.Connection) -> str | None:
    """Apply one migration, unless another process has applied the last one meanwhile."""
    async with connection.transaction():
        await connection.execute(_BEGIN)
        done = await _done(connection)
        for name, sql in known_migrations().items():
            if name not in done:
                await connection.execute(sql)
                await connection.execute("INSERT INTO schema_migrations (name) VALUES ($1)", name)
                return name
    return None


async def _pending(connection: asyncpg.Connection) -> list[str]:
    async with connection.transaction():
        exists = await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL")
        done = await _done(connection) if exists else set()
    return [name for name in known_migrations() if name not in done]


async def _done(connection: asyncpg.Connection) -> set[str]:
    return {row["name"] for row in await connection.fetch("SELECT name FROM schema_migrations")}
