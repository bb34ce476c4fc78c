"""Faults of a real PostgreSQL: settings, limits, privileges, locks, triggers and killed sessions, made and undone.

The cell connects as a user that is no superuser, since limits and privileges do not hold for superusers.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg

_UNLIMITED = {"statement_timeout": "0", "lock_timeout": "0", "default_transaction_read_only": "off"}
_KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND usename = $2"


@dataclass(frozen=True)
class LimitedDatabase:
    """A database that belongs to `role`. `url` is that user's, `admin_url` a superuser's."""

    name: str
    role: str
    url: str
    admin_url: str

    async def execute(self, *commands: str) -> None:
        """As superuser, inside the database."""
        connection = await asyncpg.connect(self.admin_url, server_settings=_UNLIMITED)
        try:
            for command in commands:
                await connection.execute(command.format(name=self.name, role=self.role))
        finally:
            await connection.close()

    async def end_sessions(self) -> None:
        """End the user's sessions: settings of users and databases hold for new sessions only."""
        connection = await asyncpg.connect(self.admin_url, server_settings=_UNLIMITED)
        try:
            await connection.execute(_KILL, self.name, self.role)
        finally:
            await connection.close()


async def limited_database(server_url: str) -> LimitedDatabase:
    """Create a database and its owner; both stay until the server's directory is removed."""
    name, password = f"limited_{secrets.token_hex(4)}", urlsplit(server_url).password
    base, _, _ = server_url.rpartition("/")
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        await connection.execute(f"CREATE DATABASE {name} OWNER {name}")
    finally:
        await connection.close()
    return LimitedDatabase(name, name, f"{base}/{name}".replace("//sluice:", f"//{name}:"), f"{base}/{name}")


Fault = Callable[[LimitedDatabase], AbstractAsyncContextManager[None]]


def commands(make: tuple[str, ...], undo: tuple[str, ...]) -> Fault:
    """A fault that SQL makes and undoes, in sessions that begin afterwards."""

    @asynccontextmanager
    async def fault(database: LimitedDatabase) -> AsyncIterator[None]:
        await database.execute(*make)
        await database.end_sessions()
        try:
            yield
        finally:
            await database.execute(*undo)
            await database.end_sessions()

    return fault


def locked(setting: str) -> Fault:
    """The tables are locked by another session, and `setting` cancels what waits for them."""

    @asynccontextmanager
    async def fault(database: LimitedDatabase) -> AsyncIterator[None]:
        holder = await asyncpg.connect(database.admin_url)
        await holder.execute("BEGIN; LOCK TABLE contents, leftovers IN ACCESS EXCLUSIVE MODE")
        setting_of = commands(
            ("ALTER DATABASE {name} SET " + setting + " = '1ms'",), ("ALTER DATABASE {name} RESET " + setting,)
        )
        async with setting_of(database):
            try:
                yield
            finally:
                await holder.close()

    return fault


@asynccontextmanager
async def sessions_killed(database: LimitedDatabase) -> AsyncIterator[None]:
    """Every session of the user is ended a few milliseconds after it began, since none may wait for a locked table."""
    holder = await asyncpg.connect(database.admin_url)
    await holder.execute("BEGIN; LOCK TABLE contents, leftovers IN ACCESS EXCLUSIVE MODE")
    stop = asyncio.Event()

    async def kill() -> None:
        connection = await asyncpg.connect(database.admin_url)
        while not stop.is_set():
            await connection.execute(_KILL, database.name, database.role)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.02)
        await connection.close()

    killing = asyncio.create_task(kill())
    try:
        yield
    finally:
        stop.set()
        await killing
        await holder.close()


def trigger(sqlstate: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """SQL that makes the server raise `sqlstate` for every row that is written to contents, and SQL that ends it."""
    body = f"RAISE EXCEPTION USING ERRCODE = '{sqlstate}', MESSAGE = 'made by a test';"
    make = (
        f"CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
        "CREATE TRIGGER refuse BEFORE INSERT OR DELETE ON contents FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    return make, ("DROP TRIGGER IF EXISTS refuse ON contents",)


_RAISE = "RAISE EXCEPTION USING ERRCODE = left(NEW.filename, 5), MESSAGE = 'made by a test';"
NAMED_BY_FILE = (
    f"CREATE OR REPLACE FUNCTION named() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_RAISE} END $$",
    "CREATE TRIGGER named BEFORE INSERT ON contents FOR EACH ROW EXECUTE FUNCTION named()",
)
"""SQL that makes the server raise the SQLSTATE with which a file's name begins."""
NAMED_BY_FILE_ENDS = ("DROP TRIGGER named ON contents",)
