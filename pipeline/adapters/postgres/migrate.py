"""Schema migrations: numbered .sql files, each applied once, in order, in its own transaction.

Guarantee: several processes may migrate at once; an advisory lock lets one of them do it while the others wait. Applied
migrations are recorded by name.
"""

from __future__ import annotations

from importlib import resources

import asyncpg

from pipeline.adapters.postgres.errors import translated

_LOCK = 0x536C75696365  # "Sluice"
_MIGRATIONS_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())
"""


def known_migrations() -> dict[str, str]:
    """Migration name -> SQL, in the order in which they are applied."""
    folder = resources.files(__package__) / "migrations"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)
    return {item.name.removesuffix(".sql"): item.read_text("utf-8") for item in files}


async def migrate(database_url: str) -> list[str]:
    """Apply every pending migration; returns the names of those applied. Raises DependencyUnavailable."""
    applied: list[str] = []
    with translated():
        connection = await asyncpg.connect(database_url, timeout=10)
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
            await connection.execute(_MIGRATIONS_TABLE)
            done = {row["name"] for row in await connection.fetch("SELECT name FROM schema_migrations")}
            for name, sql in known_migrations().items():
                if name not in done:
                    async with connection.transaction():
                        await connection.execute(sql)
                        await connection.execute("INSERT INTO schema_migrations (name) VALUES ($1)", name)
                    applied.append(name)
        finally:
            await connection.close()
    return applied


async def pending_migrations(database_url: str) -> list[str]:
    """Names of the migrations that `migrate` would apply. Changes nothing. Raises DependencyUnavailable."""
    with translated():
        connection = await asyncpg.connect(database_url, timeout=10)
        try:
            if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
                return list(known_migrations())
            done = {row["name"] for row in await connection.fetch("SELECT name FROM schema_migrations")}
        finally:
            await connection.close()
    return [name for name in known_migrations() if name not in done]
