"""`ports.DeletionRepository` on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
from uuid6 import uuid7

from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.adapters.postgres.deletions import PostgresDeletionRepository
from pipeline.core.errors import RequestError
from pipeline.core.stored_objects import Place
from schemas.deletions import PendingDeletion
from tests.contract.postgres.test_contents import new_record

pytestmark = pytest.mark.contract


@pytest.fixture
async def deletions(contents: PostgresContentRepository) -> PostgresDeletionRepository:
    return PostgresDeletionRepository(contents.pool)


@pytest.fixture
async def database(database_url: str, direct_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(direct_url)
    await connection.execute("DELETE FROM leftovers")
    yield connection
    await connection.close()


async def make_due(database: asyncpg.Connection, *ids: str) -> None:
    await database.execute("UPDATE leftovers SET due_at = now() WHERE content_id = ANY($1::uuid[])", ids)


async def listed(deletions: PostgresDeletionRepository) -> list[PendingDeletion]:
    return list(await deletions.page(None, 100))


async def test_beginning_a_deletion_removes_the_content_and_records_it(
    contents: PostgresContentRepository, deletions: PostgresDeletionRepository, database: asyncpg.Connection
) -> None:
    record = new_record(segments=3)
    saved = await contents.save(record)
    assert [segment.etag for segment in await contents.segments(record.content_id)] == ["etag-1", "etag-2", "etag-3"]
    begun = await deletions.begin(record.content_id, 60, None)
    assert begun.object == saved.object.model_copy(update={"etag": ""})
    assert begun.thumbnail == saved.thumbnail
    assert (begun.attempts, begun.error_code) == (0, None)
    assert await listed(deletions) == [begun]
    assert await contents.segments(record.content_id) == []
    for again in (contents.get(record.content_id, None), deletions.begin(record.content_id, 60, None)):
        with pytest.raises(RequestError) as missing:
            await again
        assert missing.value.code == "CONTENT_NOT_FOUND"


async def test_a_deletion_knows_under_which_ids_segments_are_stored(
    contents: PostgresContentRepository, deletions: PostgresDeletionRepository, database: asyncpg.Connection
) -> None:
    record = new_record(segments=3)
    first, second = str(uuid7()), str(uuid7())
    places = (Place(first, 1), Place(first, 2), Place(second, 1))
    segments = tuple(replace(item, place=place) for item, place in zip(record.stored.segments, places, strict=True))
    await contents.save(replace(record, stored=replace(record.stored, segments=segments)))
    assert tuple(item.place for item in await contents.segments(record.content_id)) == places
    begun = await deletions.begin(record.content_id, 60, None)
    assert sorted(begun.parts) == sorted((first, second))
    assert await listed(deletions) == [begun]


async def test_of_concurrent_deletions_of_a_content_one_begins(
    contents: PostgresContentRepository, deletions: PostgresDeletionRepository, database: asyncpg.Connection
) -> None:
    record = new_record()
    await contents.save(record)
    outcomes = await asyncio.gather(
        *(deletions.begin(record.content_id, 60, None) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(outcome, PendingDeletion) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, RequestError) for outcome in outcomes) == 7


async def test_a_late_persist_does_not_recreate_a_deleted_content(
    contents: PostgresContentRepository, deletions: PostgresDeletionRepository, database: asyncpg.Connection
) -> None:
    record = new_record()
    await contents.save(record)
    await deletions.begin(record.content_id, 60, None)
    for done in (False, True):
        if done:
            await deletions.finish(record.content_id)
        with pytest.raises(RequestError):
            await contents.save(record)
        assert not await database.fetchval("SELECT count(*) FROM contents WHERE id = $1", record.content_id)


async def test_a_deletion_is_claimed_by_one_caller_until_its_lease_ends(
    contents: PostgresContentRepository, deletions: PostgresDeletionRepository, database: asyncpg.Connection
) -> None:
    records = [new_record() for _ in range(20)]
    for record in records:
        await contents.save(record)
        await deletions.begin(record.content_id, 60, None)
    assert await deletions.claim(100, 60) == []  # each is leased to the caller that began it
    names = {record.content_id for record in records}
    await make_due(database, *names)
    claimed = await asyncio.gather(*(deletions.claim(4, 60) for _ in range(8)))
    found = [item.content_id for batch in claimed for item in batch]
    assert sorted(found) == sorted(set(found))
    found += [item.content_id for item in await deletions.claim(100, 60)]
    assert set(found) == names
    assert await deletions.claim(100, 60) == []
    await make_due(database, found[0])
    assert [item.content_id for item in await deletions.claim(100, 60)] == [found[0]]


async def test_attempts_are_counted_and_the_last_error_is_kept(
    contents: PostgresContentRepository, deletions: PostgresDeletionRepository, database: asyncpg.Connection
) -> None:
    record = new_record()
    await contents.save(record)
    begun = await deletions.begin(record.content_id, 60, None)
    for attempt in (1, 2):
        await deletions.defer(record.content_id, ("STORE_UNAVAILABLE", f"attempt {attempt}"), 0)
    (shown,) = await listed(deletions)
    assert (shown.attempts, shown.error_code, shown.error) == (2, "STORE_UNAVAILABLE", "attempt 2")
    assert shown.deleted_at == begun.deleted_at
    assert [item.attempts for item in await deletions.claim(10, 60)] == [2]
    await deletions.finish(record.content_id)
    await deletions.finish(record.content_id)
    assert await listed(deletions) == []
    await deletions.defer(record.content_id, ("STORE_UNAVAILABLE", "late"), 0)  # from a caller whose lease had ended
    assert await listed(deletions) == []
    assert await deletions.claim(10, 60) == []
    await deletions.purge(3600)
    assert await database.fetchval("SELECT count(*) FROM leftovers") == 1
    await deletions.purge(0)
    assert await database.fetchval("SELECT count(*) FROM leftovers") == 0


async def test_pages_list_every_pending_deletion_once(
    contents: PostgresContentRepository, deletions: PostgresDeletionRepository, database: asyncpg.Connection
) -> None:
    names: list[str] = []
    for _ in range(5):
        record = new_record()
        await contents.save(record)
        names.append((await deletions.begin(record.content_id, 60, None)).content_id)
    seen: list[str] = []
    before: tuple[int, str] | None = None
    while page := await deletions.page(before, 2):
        seen += [item.content_id for item in page]
        before = (round(page[-1].deleted_at.timestamp() * 1_000_000), page[-1].content_id)
    assert seen == names[::-1]


async def test_beginning_raises_not_found_for_unknown_and_malformed_ids(deletions: PostgresDeletionRepository) -> None:
    for name in ("nope", str(uuid7())):
        with pytest.raises(RequestError) as missing:
            await deletions.begin(name, 60, None)
        assert missing.value.code == "CONTENT_NOT_FOUND"


async def test_the_backlog_counts_what_is_pending_and_knows_the_age_of_the_oldest(
    contents: PostgresContentRepository, deletions: PostgresDeletionRepository, database: asyncpg.Connection
) -> None:
    assert await deletions.backlog() == (0, 0.0)
    for age_seconds, done in ((7200, True), (3600, False), (60, False)):
        record = new_record()
        await contents.save(record)
        await deletions.begin(record.content_id, 60, None)
        await database.execute(
            "UPDATE leftovers SET deleted_at = now() - make_interval(secs => $2) WHERE content_id = $1::uuid",
            record.content_id,
            age_seconds,
        )
        if done:
            await deletions.finish(record.content_id)
    pending, oldest_seconds = await deletions.backlog()
    assert pending == 2
    assert 3600 <= oldest_seconds < 7200
