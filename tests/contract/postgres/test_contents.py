"""`ports.ContentRepository` on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from pydantic import ValidationError
from uuid6 import uuid7

from deploy.embedded import EmbeddedStack
from deploy.embedded.ports import ReservedPort
from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.core.errors import DatabaseRejected, DependencyUnavailable, RequestError
from pipeline.core.model import ContentRecord
from pipeline.core.stored_objects import StoredObject, StoredSegment, object_key, thumbnail_key
from pipeline.ports.contents import ContentPosition
from schemas.content_list import NEWEST_FIRST, ContentFilters
from schemas.media import MediaMetadata
from schemas.uploads import CreateUpload

pytestmark = pytest.mark.contract

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def media(kind: str = "video", **more: Any) -> dict[str, Any]:
    """The result of a probe, as the board stores it."""
    stream = {"index": 0, "codec": "h264", "type": "video", "width": 720, "height": 1280}
    fields = {
        "kind": kind,
        "container": "mp4",
        "duration_seconds": 2.5,
        "size_bytes": 25,
        "streams": [stream | {"coded_width": 1280, "coded_height": 720, "rotation": 90}],
    }
    return MediaMetadata.model_validate(fields | more).model_dump(mode="json")


def new_record(segments: int = 3, **more: Any) -> ContentRecord:
    content_id = str(uuid7())
    stored = StoredObject(
        "swift",
        "sluice",
        object_key(content_id),
        25,
        "etag",
        tuple(StoredSegment(number, 10, f"etag-{number}") for number in range(1, segments + 1)),
    )
    thumbnail = StoredObject("swift", "sluice", thumbnail_key(content_id), 5, "thumb")
    record = ContentRecord(content_id, "a.mp4", "video/mp4", stored, thumbnail, media(), {})
    return replace(record, **more)


async def test_a_content_is_read_as_it_was_saved(contents: PostgresContentRepository) -> None:
    metadata = {"títle": 'a "b" \\ 日本 😀', "empty": ""}
    record = new_record(filename="Ünïcödé 'quoted'.mp4", metadata=metadata)
    saved = await contents.save(record)
    assert saved == await contents.get(record.content_id, None)
    assert (saved.id, saved.filename, saved.content_type) == (record.content_id, record.filename, "video/mp4")
    assert (saved.kind, saved.metadata) == ("video", metadata)
    assert saved.media == MediaMetadata.model_validate(record.media)
    other = ("segments", "content_type", "crc32c")
    fields = {name: value for name, value in asdict(record.stored).items() if name not in other}
    assert saved.object.model_dump() == fields | {"segment_count": 3}
    assert saved.thumbnail is not None
    assert (saved.thumbnail.key, saved.thumbnail.segment_count) == (thumbnail_key(record.content_id), 1)
    assert abs((saved.created_at - datetime.now(UTC)).total_seconds()) < 60


def nasty_texts() -> Iterator[str]:
    """Each ASCII character, and texts that are known to cause trouble in databases."""
    yield from map(chr, range(128))
    yield from ("\x80\x9f", "\u200b\u202e", "\ufffe\uffff", "\U0010ffff", "\\u0000", "'; --", '{"a": 1}', "%s $1")


async def test_the_database_stores_any_text_that_the_api_accepts(contents: PostgresContentRepository) -> None:
    taken = {}
    for index, text in enumerate(nasty_texts()):
        try:
            CreateUpload(filename="a", size=1, content_type="a/b", metadata={text: text})
        except ValidationError:
            continue
        taken[text] = f"{index}{text}"
    assert "\x00" not in taken
    assert len(taken) > 100
    assert (await contents.save(new_record(metadata=taken))).metadata == taken


async def test_optional_fields_may_be_missing(contents: PostgresContentRepository) -> None:
    silent = media("audio", duration_seconds=None, streams=[], container="mp3")
    saved = await contents.save(new_record(segments=0, thumbnail=None, media=silent))
    assert saved.thumbnail is None
    assert saved.media.duration_seconds is None
    assert saved.object.segment_count == 1


async def test_width_and_height_are_those_of_the_displayed_picture(
    contents: PostgresContentRepository, database: asyncpg.Connection
) -> None:
    """Cover art does not count: a song has no width and height."""
    cover = {"index": 1, "codec": "mjpeg", "type": "video", "width": 500, "height": 400, "attached_picture": True}
    cover |= {"coded_width": 500, "coded_height": 400}
    sizes = []
    real = media()["streams"][0] | {"index": 2}
    for streams in ([real], [cover, real], [cover], []):
        record = new_record(media=media(streams=streams))
        await contents.save(record)
        row = await database.fetchrow("SELECT width, height FROM contents WHERE id = $1", record.content_id)
        assert row is not None
        sizes.append(tuple(row))
    assert sizes == [(720, 1280), (720, 1280), (None, None), (None, None)]


async def test_saving_twice_writes_one_content(
    contents: PostgresContentRepository, database: asyncpg.Connection
) -> None:
    record = new_record()
    first = await contents.save(record)
    assert await contents.save(record) == first
    assert await contents.save(replace(record, filename="other.mp4", stored=new_record(5).stored)) == first
    assert await database.fetchval("SELECT count(*) FROM content_segments") == 3


async def test_saving_from_many_workers_at_once_writes_one_content(
    database_url: str, database: asyncpg.Connection
) -> None:
    """Repeated often, because microseconds decide whether two inserts conflict on the id or on the object's key."""
    workers = [PostgresContentRepository(database_url, connections=1) for _ in range(8)]
    for _ in range(50):
        record = new_record()
        saved = await asyncio.gather(*(worker.save(record) for worker in workers))
        assert all(content == saved[0] for content in saved)
    assert await database.fetchval("SELECT count(*) FROM contents") == 50
    assert await database.fetchval("SELECT count(*) FROM content_segments") == 150
    for worker in workers:
        await worker.close()


async def test_a_failure_during_saving_leaves_no_rows(
    contents: PostgresContentRepository, database: asyncpg.Connection
) -> None:
    await database.execute("ALTER TABLE content_segments ADD CONSTRAINT broken CHECK (number < 3)")
    record = new_record()
    with pytest.raises(DatabaseRejected, match="23514 check_violation"):
        await contents.save(record)
    assert await database.fetchval("SELECT count(*) FROM contents") == 0
    await database.execute("ALTER TABLE content_segments DROP CONSTRAINT broken")
    assert (await contents.save(record)).object.segment_count == 3


@pytest.mark.parametrize("content_id", ["01890a5d-ac96-774b-bcce-b302099a8057", "not-a-uuid", ""])
async def test_an_unknown_content_raises_not_found(contents: PostgresContentRepository, content_id: str) -> None:
    with pytest.raises(RequestError) as refused:
        await contents.get(content_id, None)
    assert refused.value.code == "CONTENT_NOT_FOUND"


async def test_deleting_removes_all_rows_and_is_idempotent(
    contents: PostgresContentRepository, database: asyncpg.Connection
) -> None:
    gone, kept = new_record(), new_record()
    for record in (gone, kept):
        await contents.save(record)
    for _ in range(2):
        await contents.delete(gone.content_id)
    assert [content.id for content in await contents.page(ContentFilters(), NEWEST_FIRST, None, 10)] == [
        kept.content_id
    ]
    assert await database.fetchval("SELECT count(*) FROM content_segments") == 3


# Lists


async def walk(contents: PostgresContentRepository, kind: str | None, limit: int) -> list[str]:
    """The ids on every page, following cursors to the end as a client does."""
    found: list[str] = []
    filters = ContentFilters.model_validate({"kind": kind})
    after: ContentPosition | None = None
    while page := await contents.page(filters, NEWEST_FIRST, after, limit):
        assert len(page) <= limit
        found += [content.id for content in page]
        after = ContentPosition((page[-1].created_at - EPOCH) // timedelta(microseconds=1), page[-1].id)
    return found


async def dated(
    contents: PostgresContentRepository, database: asyncpg.Connection, moments: Sequence[datetime], kind: str
) -> list[tuple[datetime, str]]:
    made: list[tuple[datetime, str]] = []
    for moment in moments:
        record = new_record(media=media(kind))
        await contents.save(record)
        await database.execute("UPDATE contents SET created_at = $1 WHERE id = $2", moment, record.content_id)
        made.append((moment, record.content_id))
    return made


@pytest.mark.parametrize("limit", [1, 4, 100])
async def test_pages_list_each_content_once_even_with_equal_timestamps(
    contents: PostgresContentRepository, database: asyncpg.Connection, limit: int
) -> None:
    now = datetime(2026, 1, 1, 12, 0, 0, 123_457, tzinfo=UTC)
    tick = timedelta(microseconds=1)
    videos = await dated(contents, database, [now] * 5 + [now + tick, now - tick] + [now] * 2, "video")
    images = await dated(contents, database, [now] * 3 + [now + tick], "image")
    assert await walk(contents, None, limit) == [name for _, name in sorted(videos + images, reverse=True)]
    assert await walk(contents, "video", limit) == [name for _, name in sorted(videos, reverse=True)]
    assert await walk(contents, "image", limit) == [name for _, name in sorted(images, reverse=True)]
    assert await walk(contents, "audio", limit) == []


async def test_a_cursor_with_a_malformed_id_is_refused(contents: PostgresContentRepository) -> None:
    with pytest.raises(RequestError) as refused:
        await contents.page(ContentFilters(), NEWEST_FIRST, ContentPosition(1, "not-a-uuid"), 10)
    assert refused.value.code == "CURSOR_INVALID"


# The database is unavailable


def uses(contents: PostgresContentRepository) -> list[Awaitable[object]]:
    record = new_record()
    return [
        contents.save(record),
        contents.get(record.content_id, None),
        contents.page(ContentFilters(), NEWEST_FIRST, None, 10),
        contents.delete(record.content_id),
    ]


async def all_unavailable(contents: PostgresContentRepository) -> None:
    for use in uses(contents):
        with pytest.raises(DependencyUnavailable) as raised:
            await use
        assert raised.value.code == "DATABASE_UNAVAILABLE"
        assert raised.value.retryable


async def test_a_refused_connection_raises_unavailable() -> None:
    port = ReservedPort()
    try:
        contents = PostgresContentRepository(f"postgresql://sluice@127.0.0.1:{port.number}/sluice", 2)
        await all_unavailable(contents)
        await contents.close()
    finally:
        port.release()


async def test_a_missing_or_unmigrated_database_raises_unavailable(empty_database_url: str) -> None:
    for url in (empty_database_url, f"{empty_database_url}_missing"):
        contents = PostgresContentRepository(url, 2)
        await all_unavailable(contents)
        await contents.close()


async def test_a_pool_works_again_after_a_restart(
    contents: PostgresContentRepository, database_server: EmbeddedStack
) -> None:
    if "postgres" not in database_server.processes():
        pytest.skip("this PostgreSQL was not started by the tests")
    record = new_record()
    await contents.save(record)
    database_server.stop_process("postgres")
    try:
        await all_unavailable(contents)
    finally:
        database_server.start_process("postgres")
    async with asyncio.timeout(10):
        while True:
            try:
                assert (await contents.get(record.content_id, None)).id == record.content_id
                break
            except DependencyUnavailable:  # a pooled connection that died
                continue
