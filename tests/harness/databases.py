"""Databases for tests, as copies of files: of an empty database, or of one in which every migration is applied.

By default PostgreSQL writes a copy block by block to its log, which takes six times the processor time, and each
database would apply every migration again.
"""

from __future__ import annotations

import asyncpg

from pipeline.adapters.postgres.migrate import migrate

_MIGRATED = "migrated"


async def create_database(server_url: str, name: str, *, migrated: bool) -> str:
    """Create a database, without a table or with every migration applied; its URL. `server_url` names the server and a
    database that exists."""
    connection = await asyncpg.connect(server_url)
    try:
        if migrated:
            await _make_template(connection, server_url)
        await _copy(connection, _MIGRATED if migrated else "template1", name)
    finally:
        await connection.close()
    return _url(server_url, name)


async def drop_database(server_url: str, name: str) -> None:
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


async def _make_template(connection: asyncpg.Connection, server_url: str) -> None:
    """Create the database that migrated ones are copies of, unless the server has it. One caller does it for all."""
    await connection.execute("SELECT pg_advisory_lock(1)")  # until the connection is closed
    if await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", _MIGRATED):
        return
    unfinished = f"{_MIGRATED}_unfinished"
    await connection.execute(f"DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")
    await _copy(connection, "template1", unfinished)
    await migrate(_url(server_url, unfinished))
    await connection.execute(f"ALTER DATABASE {unfinished} RENAME TO {_MIGRATED}")


async def _copy(connection: asyncpg.Connection, template: str, name: str) -> None:
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")


def _url(server_url: str, name: str) -> str:
    return f"{server_url.rpartition('/')[0]}/{name}"
