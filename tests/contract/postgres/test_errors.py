"""Errors of PostgreSQL and its driver, as the adapter translates them: those of a real server, and all names."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
import structlog
from uuid6 import uuid7

from pipeline.adapters.postgres import health as health_module
from pipeline.adapters.postgres import pool as pool_module
from pipeline.adapters.postgres.conditions import condition
from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.adapters.postgres.deletions import PostgresDeletionRepository
from pipeline.adapters.postgres.errors import translated, values_translated
from pipeline.adapters.postgres.health import DatabaseHealth
from pipeline.adapters.postgres.inspection import inspect_database
from pipeline.adapters.postgres.migrate import migrate
from pipeline.adapters.postgres.pool import LazyPool
from pipeline.core.errors import DatabaseRejected, DependencyUnavailable, RequestError, SluiceError
from pipeline.ports.contents import ContentPosition
from schemas.content_list import NEWEST_FIRST, ContentFilters
from tests.contract.postgres.conftest import POOLED
from tests.contract.postgres.test_contents import new_record
from tests.harness.cell import eventually

pytestmark = pytest.mark.contract

# The standard's names, which PostgreSQL gives to more than one SQLSTATE, and one that newer servers no longer have.
_AMBIGUOUS = {"38002", "38003", "38004", "39004", "72000"}


async def test_conditions_have_the_names_that_the_server_knows(database: asyncpg.Connection) -> None:
    wrong = []
    kinds = [kind for kind in vars(asyncpg.exceptions).values() if isinstance(kind, type)]
    known = {
        kind.sqlstate: kind for kind in kinds if issubclass(kind, asyncpg.PostgresError) and "sqlstate" in vars(kind)
    }
    assert len(known) > 200
    for code, kind in known.items():
        if code in _AMBIGUOUS:
            continue
        name = condition(kind("-"))
        raised = ""
        try:
            await database.execute(f"DO $$ BEGIN RAISE {name}; END $$")
        except asyncpg.PostgresError as error:
            raised = error.sqlstate or ""
        if raised != code:
            wrong.append((code, name, raised))
    assert wrong == []


@pytest.mark.parametrize(
    "code", ["57014", "40001", "53300", "25006", "42501", "XX001", "0A000", "P0001", "ZZ999", "2200H"]
)
async def test_an_error_is_postgresqls_unless_a_value_causes_it(contents: PostgresContentRepository, code: str) -> None:
    with pytest.raises(DependencyUnavailable, match=code) as raised:
        async with contents.pool.connection() as connection:
            await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")
    assert raised.value.code == "DATABASE_UNAVAILABLE"
    assert raised.value.detail["sqlstate"] == code
    assert await contents.page(ContentFilters(), NEWEST_FIRST, None, 1) == [], "the connection works again"


@pytest.mark.parametrize("code", ["22001", "22003", "22021", "22P05", "23502", "23505", "23514"])
async def test_a_refused_value_is_not_retried(contents: PostgresContentRepository, code: str) -> None:
    with pytest.raises(DatabaseRejected, match=code) as raised:
        async with contents.pool.connection() as connection:
            await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")
    assert not raised.value.retryable
    assert 400 <= raised.value.http_status < 500


async def test_a_column_that_a_newer_schema_requires_is_not_the_uploads_fault(
    contents: PostgresContentRepository, database: asyncpg.Connection
) -> None:
    await database.execute("ALTER TABLE contents ADD COLUMN newer integer NOT NULL")
    with pytest.raises(DependencyUnavailable, match="23502 not_null_violation"):
        await contents.save(new_record())
    await database.execute("ALTER TABLE contents DROP COLUMN newer")
    await contents.save(new_record())


BAD_VALUES: dict[str, dict[str, Any]] = {
    "NUL in text": {"filename": "a\0b"},
    "NUL in jsonb": {"metadata": {"a": "b\0"}},
    "surrogate in text": {"filename": "a\ud800"},
    "surrogate in jsonb": {"metadata": {"a": "\udfff"}},
}


@pytest.mark.parametrize("name", BAD_VALUES)
async def test_a_value_that_cannot_be_stored_is_refused(contents: PostgresContentRepository, name: str) -> None:
    with pytest.raises(DatabaseRejected):
        await contents.save(new_record(**BAD_VALUES[name]))
    assert await contents.page(ContentFilters(), NEWEST_FIRST, None, 1) == []


@pytest.mark.parametrize("moment", [-(10**17), 10**18, 10**30])
async def test_a_cursor_out_of_range_is_refused(contents: PostgresContentRepository, moment: int) -> None:
    last = str(uuid7())
    pages = (
        contents.page(ContentFilters(), NEWEST_FIRST, ContentPosition(moment, last), 10),
        PostgresDeletionRepository(contents.pool).page((moment, last), 10),
    )
    for page in pages:
        with pytest.raises(RequestError) as refused:
            await page
        assert refused.value.code == "CURSOR_INVALID"


async def test_any_error_of_a_store_can_be_recorded(
    contents: PostgresContentRepository, database: asyncpg.Connection
) -> None:
    """Its text may be part of a response that is no text."""
    deletions = PostgresDeletionRepository(contents.pool)
    record = new_record()
    await contents.save(record)
    await deletions.begin(record.content_id, 60, None)
    await deletions.defer(record.content_id, ("STORE_UNAVAILABLE", "a\0b\ud800c"), 1e18)
    [pending] = await deletions.page(None, 10)
    assert (pending.attempts, pending.error_code, pending.error) == (1, "STORE_UNAVAILABLE", "a\ufffdb?c")
    assert pending.due_at > datetime.now(UTC)


async def test_a_row_that_cannot_be_read_is_postgresqls_fault(
    contents: PostgresContentRepository, database: asyncpg.Connection
) -> None:
    record = new_record()
    await contents.save(record)
    await database.execute("UPDATE contents SET media = '{}'")
    with structlog.testing.capture_logs() as logs:
        for use in (contents.get(record.content_id, None), contents.page(ContentFilters(), NEWEST_FIRST, None, 1)):
            with pytest.raises(DependencyUnavailable, match="ValidationError"):
                await use
    assert [log["event"] for log in logs] == ["database.unexpected_error"] * 2


async def test_errors_of_driver_and_socket_are_translated_and_cancellation_passes() -> None:
    errors = [
        asyncpg.InterfaceError("x"),
        asyncpg.InternalClientError("x"),
        asyncpg.ProtocolError("x"),
        asyncpg.ClientConfigurationError("x"),
        OSError("x"),
        ConnectionResetError("x"),
        TimeoutError(),
        EOFError("x"),
        BufferError("x"),
        UnicodeError("x"),
        RuntimeError("can't start new thread"),
        MemoryError(),
    ]
    for error in errors:
        with structlog.testing.capture_logs(), pytest.raises(DependencyUnavailable) as raised, translated():
            raise error
        assert raised.value.__cause__ is error
    for passing in (asyncio.CancelledError(), KeyboardInterrupt()):
        with pytest.raises(type(passing)), values_translated():
            raise passing
    with pytest.raises(RequestError), values_translated():
        raise RequestError("CURSOR_INVALID")


async def test_an_error_while_another_is_handled_is_not_mistaken_for_it(
    contents: PostgresContentRepository, database: asyncpg.Connection
) -> None:
    try:
        raise SluiceError("STORE_UNAVAILABLE", reason="first")
    except SluiceError:
        with pytest.raises(DependencyUnavailable, match="08003 connection_does_not_exist"):
            async with contents.pool.connection() as connection:
                await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")


async def test_no_session_keeps_a_lock_or_a_statement(
    contents: PostgresContentRepository, database_url: str, database: asyncpg.Connection
) -> None:
    """A pooler would hand it to another client."""
    await migrate(database_url)
    await contents.save(new_record())
    assert await database.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    async with contents.pool.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM pg_prepared_statements") == 0
        changed = await connection.fetch("SELECT name FROM pg_settings WHERE source = 'session'")
        # PgBouncer passes the client's encoding on; asyncpg turns `jit` off while it reads the types, and on again.
        assert {row["name"] for row in changed} <= {"client_encoding", "jit"}


async def test_many_clients_share_few_sessions(database_url: str) -> None:
    """Of several repositories, with different statements, in any order."""
    repositories = [PostgresContentRepository(database_url, connections=4) for _ in range(5)]
    records = [new_record() for _ in range(20)]

    async def one(index: int) -> None:
        contents, record = repositories[index % 5], records[index]
        saved = await contents.save(record)
        assert await contents.get(record.content_id, None) == saved
        assert len(await contents.segments(record.content_id)) == 3
        await contents.page(ContentFilters(kind="video"), NEWEST_FIRST, None, 3)
        with suppress(RequestError):
            await contents.get(str(uuid7()), None)

    await asyncio.gather(*map(one, range(20)))
    for repository in repositories:
        await repository.close()


async def test_callers_of_an_unavailable_database_wait_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """One attempt to open the pool serves all of them."""
    attempts = 0

    async def slow(url: str) -> list[str]:
        nonlocal attempts
        attempts += 1
        await asyncio.sleep(0.2)
        raise DependencyUnavailable("DATABASE_UNAVAILABLE", reason="-")

    monkeypatch.setattr(pool_module, "migrate", slow)
    lazy = LazyPool("postgresql://sluice@127.0.0.1:1/sluice", 1, migrates=True)

    async def use() -> None:
        with pytest.raises(DependencyUnavailable):
            async with lazy.connection():
                pass

    await asyncio.gather(*(use() for _ in range(20)))
    assert attempts == 1
    await use()
    assert attempts == 2


def _is_known(health: DatabaseHealth) -> Callable[[], Awaitable[bool]]:
    async def known() -> bool:
        await health.problem()
        return health._asking is None

    return known


async def test_a_health_check_writes_nothing_and_asks_seldom(
    contents: PostgresContentRepository, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_module, "_SECONDS", 30)
    monkeypatch.setattr(health_module, "_KEPT_SECONDS", 60)
    health, later = DatabaseHealth(contents.pool), DatabaseHealth(contents.pool)
    assert await asyncio.gather(*(health.problem() for _ in range(20))) == [None] * 20
    await eventually(_is_known(health), 60, lambda: "PostgreSQL to respond")
    for table in ("contents", "content_segments", "leftovers"):
        assert await database.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608  # a constant
    await database.execute("ALTER TABLE leftovers RENAME TO gone")
    assert await health.problem() is None, "the response is kept for a few seconds"

    async def named() -> bool:
        return "42P01 undefined_table" in (await later.problem() or "")

    await eventually(named, 60, lambda: "the problem to be named")
    await later.aclose()
    await database.execute("ALTER TABLE gone RENAME TO leftovers")


async def test_an_inspection_tells_whether_a_pooler_is_in_between(database_url: str, way: str) -> None:
    facts = await inspect_database(database_url)
    assert facts.pooled is (way == POOLED)
    assert facts.encoding == "UTF8"
    assert not facts.standby
    assert json.dumps(dict(facts.settings))
