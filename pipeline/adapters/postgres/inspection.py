"""What `sluice doctor` reports of PostgreSQL: its version, limits and settings, and whether contents can be written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg

from pipeline.adapters.postgres.errors import translated
from pipeline.adapters.postgres.health import attempt
from pipeline.adapters.postgres.migrate import connected
from pipeline.adapters.postgres.pool import query


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """`pooled`: a pooler such as PgBouncer is in between. `connections`: what is limited -> how many there are, and the
    limit, which is -1 where there is none. `settings`: name -> value, of the timeouts in milliseconds. `overrides`:
    names of settings that ALTER DATABASE or ALTER ROLE has set -> whether it was for the role."""

    version: tuple[int, int]
    pooled: bool
    standby: bool
    database: str
    role: str
    encoding: str
    connections: Mapping[str, tuple[int, int]]
    settings: Mapping[str, str]
    overrides: Mapping[str, bool]

    def milliseconds(self, setting: str) -> int:
        """A timeout; 0: none, or unknown to this version."""
        return int(self.settings.get(setting, "0"))

    def reset_command(self, setting: str) -> str:
        """The SQL that undoes a setting where it was made."""
        for_role = self.overrides.get(setting)
        if for_role is None:
            return f"ALTER SYSTEM RESET {setting}; SELECT pg_reload_conf()"
        return (
            f'ALTER ROLE "{self.role}" RESET {setting}'
            if for_role
            else f'ALTER DATABASE "{self.database}" RESET {setting}'
        )


async def inspect_database(database_url: str) -> DatabaseFacts:
    """Only reads. Raises DependencyUnavailable."""
    with translated():
        async with connected(database_url) as connection, connection.transaction():
            # This transaction must not meet what it is to report.
            await connection.execute("SET LOCAL statement_timeout = 0")
            row = await connection.fetchrow(query("inspect"))
            return _facts(connection, row)


async def attempt_write(database_url: str) -> None:
    """Write as persist and a deletion do, and roll back. Raises DependencyUnavailable."""
    with translated():
        async with connected(database_url) as connection:
            transaction = connection.transaction()
            await transaction.start()
            await attempt(connection)
            await transaction.rollback()


def _facts(connection: asyncpg.Connection, row: asyncpg.Record | None) -> DatabaseFacts:
    assert row is not None  # noqa: S101  # this user and this database exist
    version = connection.get_server_version()
    overrides: dict[str, bool] = {}
    for item, for_role in json.loads(row["overrides"]):
        name = item.partition("=")[0]
        overrides[name] = overrides.get(name, False) or for_role
    return DatabaseFacts(
        version=(version.major, version.minor),
        # A pooler sends a key of its own by which its clients cancel statements: no server process has its number.
        pooled=connection.get_server_pid() != row["backend_pid"],
        standby=row["standby"],
        database=row["database"],
        role=row["role"],
        encoding=row["encoding"],
        connections={
            "max_connections": (row["connections"], row["most_connections"]),
            "CONNECTION LIMIT of the user": (row["role_connections"], row["role_limit"]),
            "CONNECTION LIMIT of the database": (row["database_connections"], row["database_limit"]),
        },
        settings=json.loads(row["settings"]),
        overrides=overrides,
    )
