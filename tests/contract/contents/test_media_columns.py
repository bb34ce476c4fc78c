"""The typed columns of `contents`: in rows of every older version, whatever their jsonb holds, and in rows that
processes of an older version still write."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from uuid6 import uuid7

from pipeline.adapters.postgres import migrate as module
from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.adapters.postgres.migrate import known_migrations, migrate
from schemas.content_list import NEWEST_FIRST, ContentFilters

pytestmark = pytest.mark.contract

COLUMNS = (
    "container_format", "video_codec", "audio_codec", "bit_rate", "frame_rate", "channels", "sample_rate", "rotation",
)  # fmt: skip

# How every version up to 0003 writes a content.
OLD_INSERT = """
INSERT INTO contents (id, filename, content_type, kind, size_bytes, duration_seconds, width, height,
                      store, container, object_key, etag, thumbnail, media, metadata)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT DO NOTHING
RETURNING id
"""

VIDEO = {"type": "video", "index": 0, "codec": "h264", "width": 640, "height": 360}
VIDEO |= {"coded_width": 640, "coded_height": 360, "rotation": 90, "frame_rate": 29.97003}
AUDIO = {"type": "audio", "index": 1, "codec": "aac", "channels": 2, "sample_rate": 48000}
FILE = {"kind": "video", "container": "mp4", "bit_rate": 800_000, "size_bytes": 10, "streams": [VIDEO, AUDIO]}
WHOLE = ("mp4", "h264", "aac", 800_000, 29.97003, 2, 48000, 90)
NOTHING = (None,) * 8


def video(**fields: Any) -> dict[str, Any]:
    return {**FILE, "streams": [{**VIDEO, **fields}]}


def audio(**fields: Any) -> dict[str, Any]:
    return {**FILE, "streams": [{**AUDIO, **fields}]}


# Name -> (media as JSON, what the columns that are named hold; the others are not compared)
ODD: Mapping[str, tuple[str, dict[str, Any]]] = {
    "empty": ("{}", dict(zip(COLUMNS, NOTHING, strict=True))),
    "null": ("null", dict(zip(COLUMNS, NOTHING, strict=True))),
    "text": ('"h264"', dict(zip(COLUMNS, NOTHING, strict=True))),
    "number": ("1e400", dict(zip(COLUMNS, NOTHING, strict=True))),
    "list": ("[]", dict(zip(COLUMNS, NOTHING, strict=True))),
    "no streams": ('{"container": "mp4"}', {"container_format": "mp4", "video_codec": None, "channels": None}),
    "streams null": ('{"streams": null}', {"video_codec": None, "audio_codec": None}),
    "streams a text": ('{"streams": "h264"}', {"video_codec": None}),
    "streams of nothing": ('{"streams": [null, 1, "x", [], {}]}', {"video_codec": None, "audio_codec": None}),
    "nulls": (
        '{"container": null, "bit_rate": null, "streams": [{"type": "video", "codec": null, "frame_rate": null}]}',
        dict(zip(COLUMNS, NOTHING, strict=True)),
    ),
    "texts for numbers": (json.dumps(video(frame_rate="25", rotation="90")), {"frame_rate": None, "rotation": None}),
    "numbers for texts": (json.dumps({**video(codec=264), "container": 4}), {"video_codec": None}),
    "text for a bit rate": ('{"bit_rate": "800000"}', {"bit_rate": None}),
    "a long codec": (json.dumps(audio(codec="x" * 9000)), {"audio_codec": "x" * 64}),
    "a long format": (json.dumps({**FILE, "container": "é" * 9000}), {"container_format": "é" * 64}),
    "bit rate beyond int4": ('{"bit_rate": 2147483648}', {"bit_rate": 2**31}),
    "largest bit rate": ('{"bit_rate": 9223372036854775807}', {"bit_rate": 2**63 - 1}),
    "bit rate beyond int8": ('{"bit_rate": 9223372036854775808}', {"bit_rate": None}),
    "negative bit rate": ('{"bit_rate": -1}', {"bit_rate": None}),
    "bit rate zero": ('{"bit_rate": 0}', {"bit_rate": 0}),
    "huge bit rate": ('{"bit_rate": 1e1000}', {"bit_rate": None}),
    "fraction of a bit": ('{"bit_rate": 1.5}', {"bit_rate": 2}),
    "frame rate of 30000/1001, unrounded": (json.dumps(video(frame_rate=30000 / 1001)), {"frame_rate": 29.97003}),
    "frame rate zero": (json.dumps(video(frame_rate=0)), {"frame_rate": None}),
    "negative frame rate": (json.dumps(video(frame_rate=-25)), {"frame_rate": None}),
    "huge frame rate": ('{"streams": [{"type": "video", "frame_rate": 1e500}]}', {"frame_rate": None}),
    "tiny frame rate": ('{"streams": [{"type": "video", "frame_rate": 1e-500}]}', {"frame_rate": None}),
    "fraction as a text": (json.dumps(video(frame_rate="0/0")), {"frame_rate": None}),
    "no channels": (json.dumps(audio(channels=0)), {"channels": None, "audio_codec": "aac"}),
    "channels beyond int4": (json.dumps(audio(channels=2**31)), {"channels": None}),
    "sample rate beyond int4": (json.dumps(audio(sample_rate=2**40)), {"sample_rate": None}),
    "sample rate true": (json.dumps(audio(sample_rate=True)), {"sample_rate": None}),
    "a crooked rotation": (json.dumps(video(rotation=45)), {"rotation": None}),
    "rotation 0": (json.dumps(video(rotation=0)), {"rotation": 0}),
    "only cover art": (json.dumps(video(attached_picture=True)), {"video_codec": None, "frame_rate": None}),
    "cover art first": (
        json.dumps({**FILE, "streams": [{**VIDEO, "codec": "mjpeg", "attached_picture": True}, {**VIDEO, "index": 5}]}),
        {"video_codec": "h264"},
    ),
    "the default streams": (
        json.dumps(
            {
                **FILE,
                "streams": [
                    {**VIDEO, "codec": "vp9"},
                    {**AUDIO, "channels": 1},
                    {**VIDEO, "codec": "av1", "index": 3, "default": True},
                    {**AUDIO, "channels": 6, "index": 4, "default": True},
                ],
            }
        ),
        {"video_codec": "av1", "channels": 6},
    ),
    "the lowest index": (
        json.dumps({**FILE, "streams": [{**AUDIO, "index": 10}, {**AUDIO, "index": 9, "codec": "opus"}]}),
        {"audio_codec": "opus"},
    ),
    "odd indexes": (
        json.dumps({**FILE, "streams": [{**AUDIO, "index": "1"}, {**AUDIO, "index": 1e300, "codec": "opus"}]}),
        {"audio_codec": "opus"},
    ),
}


async def insert(database: asyncpg.Connection, media: str, **more: Any) -> UUID:
    """A content as an older version writes it."""
    content_id = UUID(str(uuid7()))
    fields = {"content_type": "video/mp4", "etag": "etag", **more}
    await database.execute(
        OLD_INSERT, content_id, "a.mp4", fields["content_type"], "video", 10, 2.5, 640, 360,
        "swift", "c", f"contents/{content_id}/original", fields["etag"], None, media, "{}",
    )  # fmt: skip
    return content_id


async def columns(database: asyncpg.Connection, content_id: UUID) -> dict[str, Any]:
    row = await database.fetchrow("SELECT * FROM contents WHERE id = $1", content_id)
    assert row is not None
    return {name: row[name] for name in COLUMNS}


@pytest.fixture
async def old_database(empty_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A database without a schema."""
    connection = await asyncpg.connect(empty_database_url)
    yield connection
    await connection.close()


async def migrate_to(url: str, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apply the first `version` migrations."""
    first = dict(list(known_migrations().items())[:version])
    with monkeypatch.context() as patch:
        patch.setattr(module, "known_migrations", lambda: first)
        assert len(await migrate(url)) == version


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
async def test_rows_of_an_older_version_are_filled(
    version: int, empty_database_url: str, old_database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the columns exist already: a migration that was interrupted."""
    await migrate_to(empty_database_url, version, monkeypatch)
    kept = {await insert(old_database, media): wanted for media, wanted in ODD.values()}
    kept[await insert(old_database, json.dumps(FILE))] = dict(zip(COLUMNS, WHOLE, strict=True))
    await insert(old_database, json.dumps(FILE), content_type="é" * 9000)
    await migrate(empty_database_url)
    for content_id, wanted in kept.items():
        found = await columns(old_database, content_id)
        assert {name: found[name] for name in wanted} == wanted


@pytest.mark.parametrize("name", ODD)
async def test_a_process_of_an_older_version_fills_the_columns_too(name: str, database: asyncpg.Connection) -> None:
    media, wanted = ODD[name]
    found = await columns(database, await insert(database, media))
    assert {column: found[column] for column in wanted} == wanted


async def test_the_columns_follow_media_and_nothing_else(database: asyncpg.Connection) -> None:
    content_id = await insert(database, json.dumps(FILE))
    await database.execute("UPDATE contents SET video_codec = 'wrong', bit_rate = 1 WHERE id = $1", content_id)
    assert tuple((await columns(database, content_id)).values()) == WHOLE
    await database.execute("UPDATE contents SET media = $2 WHERE id = $1", content_id, json.dumps(audio(codec="opus")))
    found = await columns(database, content_id)
    assert (found["video_codec"], found["audio_codec"], found["rotation"]) == (None, "opus", None)


async def test_the_trigger_works_with_any_search_path(database: asyncpg.Connection) -> None:
    """As a restored dump or an administrator's session has it."""
    await database.execute("SET search_path = ''")
    statement = OLD_INSERT.replace("INTO contents", "INTO public.contents")
    arguments = ("a", "b/c", "video", 1, None, None, None, "s", "c", "k", "e", None, json.dumps(FILE), "{}")
    await database.execute(statement, uuid7(), *arguments)
    assert await database.fetchval("SELECT video_codec FROM public.contents") == "h264"


async def test_processes_of_the_older_version_work_before_during_and_after(
    empty_database_url: str, old_database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One session, with its prepared statements, inserts, lists and deletes while another process migrates."""
    await migrate_to(empty_database_url, 3, monkeypatch)
    expected: set[UUID] = set()
    migrating: asyncio.Task[list[str]] | None = None
    while migrating is None or not migrating.done() or len(expected) < 60:
        if len(expected) == 20 and migrating is None:
            migrating = asyncio.create_task(migrate(empty_database_url))
        expected.add(await insert(old_database, json.dumps(FILE)))
        gone = await insert(old_database, json.dumps(FILE))
        rows = await old_database.fetch("SELECT c.* FROM contents c ORDER BY c.created_at DESC LIMIT $1", 2000)
        assert {row["id"] for row in rows} == expected | {gone}
        await old_database.execute("DELETE FROM contents WHERE id = $1", gone)
    assert len(await migrating) == len(known_migrations()) - 3
    for content_id in expected:
        assert tuple((await columns(old_database, content_id)).values()) == WHOLE
    contents = PostgresContentRepository(empty_database_url, 1)
    page = await contents.page(ContentFilters(video_codec="h264", channels=2), NEWEST_FIRST, None, 2000)
    assert {UUID(content.id) for content in page} == expected
    await contents.close()


async def test_reads_and_inserts_go_on_while_rows_are_filled(
    empty_database_url: str, old_database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction of 0005 is held open: nothing but the deletion of an existing row waits for it."""
    await migrate_to(empty_database_url, 4, monkeypatch)
    first = await insert(old_database, json.dumps(FILE))
    other = await asyncpg.connect(empty_database_url)
    async with other.transaction():
        await other.execute(known_migrations()["0005_fill_media_columns"])
        await old_database.execute("SET lock_timeout = '1s'")
        second = await insert(old_database, json.dumps(FILE))
        assert await old_database.fetchval("SELECT count(*) FROM contents") == 2
    await other.close()
    assert await columns(old_database, first) == await columns(old_database, second)


async def test_a_long_query_does_not_make_everybody_wait_for_the_migration(
    empty_database_url: str, old_database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers of the table would wait behind the waiting migration, so it gives up."""
    await migrate_to(empty_database_url, 3, monkeypatch)
    await insert(old_database, json.dumps(FILE))
    reader = await asyncpg.connect(empty_database_url)
    async with reader.transaction():
        await reader.execute("SELECT FROM contents")
        with pytest.raises(Exception, match="lock timeout"):
            await migrate(empty_database_url)
    await reader.close()
    assert len(await migrate(empty_database_url)) == len(known_migrations()) - 3


async def test_a_statement_timeout_does_not_stop_a_long_migration(
    empty_database_url: str, old_database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate_to(empty_database_url, 4, monkeypatch)
    await insert(old_database, json.dumps(FILE))
    await old_database.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(1); RETURN NEW; END$$;"
        "CREATE TRIGGER slow BEFORE UPDATE ON contents FOR EACH ROW EXECUTE FUNCTION slow()"
    )
    name = empty_database_url.rpartition("/")[2]
    await old_database.execute(f"ALTER DATABASE {name} SET statement_timeout = '800ms'")
    assert len(await migrate(empty_database_url)) == len(known_migrations()) - 4
