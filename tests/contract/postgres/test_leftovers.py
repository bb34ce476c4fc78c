"""`ports.DeletionRepository` on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from uuid6 import uuid7

from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.adapters.postgres.deletions import PostgresDeletionRepository
from pipeline.core.errors import RequestError
from schemas.deletions import PendingDeletion
from tests.contract.postgres.test_contents import new_record

pytestmark = pytest.mark.contract


@pytest.fixture
async def contents(database_url: str) -> AsyncIterator[PostgresContentRepository]:
    repository = PostgresContentRepository(database_url, connections=8)
    yield repository
    await repository.close()


@pytest.fixture
async def leftovers(contents: PostgresContentRepository) -> PostgresDeletionRepository:
    return PostgresDeletionRepository(contents.pool)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    await connection.execute("DELETE FROM leftovers")
    yield connection
    await connection.close()


async def make_due(database: asyncpg.Connection, *ids: str) -> None:
    await database.execute("UPDATE leftovers SET due_at = now() WHERE content_id = ANY($1::uuid[])", ids)


async def listed(leftovers: PostgresDeletionRepository) -> list[PendingDeletion]:
    return list(await leftovers.page(None, 100))


async def test_a_content_becomes_a_leftover(
    contents: PostgresContentRepository, leftovers: PostgresDeletionRepository, database: asyncpg.Connection
) -> None:
    record = new_record(segments=3)
    saved = await contents.save(record)
    assert [segment.etag for segment in await contents.segments(record.content_id)] == ["etag-1", "etag-2", "etag-3"]
    left = await leftovers.leave(record.content_id, 60)
    assert left.object == saved.object.model_copy(update={"etag": ""})
    assert left.thumbnail == saved.thumbnail
    assert (left.attempts, left.error_code) == (0, None)
    assert await listed(leftovers) == [left]
    assert await contents.segments(record.content_id) == []
    for again in (contents.get(record.content_id), leftovers.leave(record.content_id, 60)):
        with pytest.raises(RequestError) as missing:
            await again
        assert missing.value.code == "CONTENT_NOT_FOUND"


async def test_the_same_object_s_key_can_be_left_only_once_at_a_time(
    contents: PostgresContentRepository, leftovers: PostgresDeletionRepository, database: asyncpg.Connection
) -> None:
    record = new_record()
    await contents.save(record)
    outcomes = await asyncio.gather(*(leftovers.leave(record.content_id, 60) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(outcome, PendingDeletion) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, RequestError) for outcome in outcomes) == 7


async def test_a_late_persist_does_not_bring_it_back(
    contents: PostgresContentRepository, leftovers: PostgresDeletionRepository, database: asyncpg.Connection
) -> None:
    record = new_record()
    await contents.save(record)
    await leftovers.leave(record.content_id, 60)
    for done in (False, True):
        if done:
            await leftovers.finish(record.content_id)
        with pytest.raises(RequestError):
            await contents.save(record)
        assert not await database.fetchval("SELECT count(*) FROM contents WHERE id = $1", record.content_id)


async def test_each_is_claimed_by_one_and_again_when_its_lease_ends(
    contents: PostgresContentRepository, leftovers: PostgresDeletionRepository, database: asyncpg.Connection
) -> None:
    records = [new_record() for _ in range(20)]
    for record in records:
        await contents.save(record)
        await leftovers.leave(record.content_id, 60)
    assert await leftovers.claim(100, 60) == []  # each is its deleter's for a minute
    names = {record.content_id for record in records}
    await make_due(database, *names)
    claimed = await asyncio.gather(*(leftovers.claim(4, 60) for _ in range(8)))
    found = [item.content_id for batch in claimed for item in batch]
    assert sorted(found) == sorted(set(found))
    found += [item.content_id for item in await leftovers.claim(100, 60)]
    assert set(found) == names
    assert await leftovers.claim(100, 60) == []
    await make_due(database, found[0])
    assert [item.content_id for item in await leftovers.claim(100, 60)] == [found[0]]


async def test_attempts_are_counted_and_the_last_error_kept(
    contents: PostgresContentRepository, leftovers: PostgresDeletionRepository, database: asyncpg.Connection
) -> None:
    record = new_record()
    await contents.save(record)
    left = await leftovers.leave(record.content_id, 60)
    for attempt in (1, 2):
        await leftovers.defer(record.content_id, ("STORE_UNAVAILABLE", f"away {attempt}"), 0)
    (shown,) = await listed(leftovers)
    assert (shown.attempts, shown.error_code, shown.error) == (2, "STORE_UNAVAILABLE", "away 2")
    assert shown.deleted_at == left.deleted_at
    assert [item.attempts for item in await leftovers.claim(10, 60)] == [2]
    await leftovers.finish(record.content_id)
    await leftovers.finish(record.content_id)
    assert await listed(leftovers) == []
    await leftovers.defer(record.content_id, ("STORE_UNAVAILABLE", "late"), 0)  # somebody whose lease had ended
    assert await listed(leftovers) == []
    assert await leftovers.claim(10, 60) == []
    await leftovers.forget(3600)
    assert await database.fetchval("SELECT count(*) FROM leftovers") == 1
    await leftovers.forget(0)
    assert await database.fetchval("SELECT count(*) FROM leftovers") == 0


async def test_pages_lead_through_every_leftover_once(
    contents: PostgresContentRepository, leftovers: PostgresDeletionRepository, database: asyncpg.Connection
) -> None:
    names: list[str] = []
    for _ in range(5):
        record = new_record()
        await contents.save(record)
        names.append((await leftovers.leave(record.content_id, 60)).content_id)
    seen: list[str] = []
    before: tuple[int, str] | None = None
    while page := await leftovers.page(before, 2):
        seen += [item.content_id for item in page]
        before = (round(page[-1].deleted_at.timestamp() * 1_000_000), page[-1].content_id)
    assert seen == names[::-1]


async def test_what_is_no_id_is_not_there(leftovers: PostgresDeletionRepository) -> None:
    for name in ("nope", str(uuid7())):
        with pytest.raises(RequestError) as missing:
            await leftovers.leave(name, 60)
        assert missing.value.code == "CONTENT_NOT_FOUND"
