"""Servers that refuse: the fault acts at once, also on open connections, and nothing of it stays."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tests.harness.cell import eventually
from tests.harness.faults.kinds import Unparsable
from tests.programs.torture.faults import PARSED_RESPONSES, Fault, unparsable_responses
from tests.programs.torture.refusals import ChangeDatabase, FillConnections, RefuseInRedis

pytestmark = pytest.mark.integration

_SECONDS = 20.0


@asynccontextmanager
async def _injected(fault: Fault) -> AsyncIterator[None]:
    try:
        await fault.inject()
        yield
    finally:
        await fault.heal()


async def _works(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url)
    except asyncpg.TooManyConnectionsError:
        return False
    try:
        await connection.execute("CREATE TEMPORARY TABLE example (); SELECT pg_sleep(0.05)")
    finally:
        await connection.close()
    return True


@pytest.mark.parametrize(
    ("name", "value", "statement", "error"),
    [
        ("statement_timeout", "1ms", "SELECT pg_sleep(0.05)", asyncpg.QueryCanceledError),
        ("default_transaction_read_only", "on", "CREATE TABLE example ()", asyncpg.ReadOnlySQLTransactionError),
    ],
)
async def test_a_setting_of_the_database_acts_on_new_sessions_and_ends_old_ones(
    empty_database_url: str, name: str, value: str, statement: str, error: type[Exception]
) -> None:
    before = await asyncpg.connect(empty_database_url)
    async with _injected(ChangeDatabase(empty_database_url, name, value)):
        await eventually(_closed(before), _SECONDS, lambda: "the old session to end")
        during = await asyncpg.connect(empty_database_url)
        with pytest.raises(error):
            await during.execute(statement)
    await eventually(_closed(during), _SECONDS, lambda: "the session of the fault to end")
    assert await _works(empty_database_url)


def _closed(connection: asyncpg.Connection) -> Callable[[], Awaitable[bool]]:
    async def is_closed() -> bool:
        return connection.is_closed()

    return is_closed


async def test_no_connection_is_left(empty_database_url: str) -> None:
    async with _injected(FillConnections(empty_database_url)):
        with pytest.raises(asyncpg.TooManyConnectionsError):
            await asyncpg.connect(empty_database_url)
    await eventually(lambda: _works(empty_database_url), _SECONDS, lambda: "connections to be accepted again")


@pytest.mark.parametrize("name", ["out of memory", "read-only replica", "failed save"])
async def test_redis_refuses_writes(redis_url: str, redis_namespace: str, name: str) -> None:
    redis: Redis = Redis.from_url(redis_url, decode_responses=True)
    key = f"{redis_namespace}:example"
    try:
        async with _injected(RefuseInRedis(redis, name)):
            with pytest.raises(ResponseError):
                await redis.set(key, "x")
        assert await redis.set(key, "x")
    finally:
        await redis.aclose()


def test_responses_that_cannot_be_parsed_differ_from_seed_to_seed() -> None:
    drawn = [unparsable_responses(random.Random(seed)) for seed in range(50)]
    assert all(isinstance(fault, Unparsable) and fault.kinds and 200 <= fault.status < 300 for fault in drawn)
    assert {kind for fault in drawn for kind in fault.kinds} == set(PARSED_RESPONSES)
    assert b"" in {fault.body for fault in drawn}
