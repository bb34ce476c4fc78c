"""Filters, orders and positions of `ContentRepository.page`, against the same lists made in Python."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from pipeline.adapters.postgres.content_list import statements
from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.core.errors import RequestError
from pipeline.core.model import ContentRecord
from pipeline.core.stored_objects import StoredObject
from pipeline.ports.contents import ContentPosition
from schemas.content import Content
from schemas.content_list import NEWEST_FIRST, SORT_FIELDS, ContentFilters, sort_value
from schemas.media import AudioStream, MediaMetadata, VideoStream

pytestmark = pytest.mark.contract

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RECORDED = "video/webm;codecs=vp9"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """What a content is expected to be listed by."""

    content_id: str
    values: dict[str, Any]

    def key(self, name: str) -> tuple[Any, ...]:
        value = self.values[name]
        sorted_by = value.partition(";")[0] if name == "content_type" else value
        return (sorted_by, self.values["created_at"], self.content_id)


def random_media(chance: random.Random) -> MediaMetadata:
    """Few values, so that many rows are equal; many of them unknown; streams in any order; some only cover art."""
    streams: list[dict[str, Any]] = []
    for index in range(chance.randint(0, 4)):
        common = {"index": index, "default": chance.random() < 0.3}
        if chance.random() < 0.5:
            width, height = chance.choice([(320, 240), (1920, 1080), (1080, 1920)])
            streams.append(
                common
                | {"type": "video", "codec": chance.choice(["h264", "vp9", "mjpeg"]), "width": width, "height": height}
                | {"coded_width": width, "coded_height": height, "rotation": chance.choice([0, 90, 180, 270])}
                | {"frame_rate": chance.choice([None, 25.0, 29.97003, 59.94006])}
                | {"attached_picture": chance.random() < 0.2}
            )
        else:
            streams.append(
                common
                | {"type": "audio", "codec": chance.choice(["aac", "opus"]), "channels": chance.choice([None, 1, 2, 6])}
                | {"sample_rate": chance.choice([None, 8000, 44100, 48000])}
            )
    return MediaMetadata.model_validate(
        {
            "kind": chance.choice(["video", "image", "audio"]),
            "container": chance.choice(["mp4", "webm", "mp3", "jpeg"]),
            "duration_seconds": chance.choice([None, 0.04, 2.5, 7200.1]),
            "bit_rate": chance.choice([None, 0, 128_000, 2**31, 2**63 - 1]),
            "size_bytes": 10,
            "streams": streams,
        }
    )


def expected(media: MediaMetadata) -> dict[str, Any]:
    """The columns that come from `media`."""
    pictures = [item for item in media.streams if isinstance(item, VideoStream) and not item.attached_picture]
    sounds = [item for item in media.streams if isinstance(item, AudioStream)]
    picture = min(pictures, key=lambda item: (not item.default, item.index), default=None)
    sound = min(sounds, key=lambda item: (not item.default, item.index), default=None)
    return {
        "kind": media.kind,
        "container_format": media.container,
        "bit_rate": media.bit_rate,
        "duration_seconds": media.duration_seconds,
        "video_codec": picture and picture.codec,
        "width": picture and picture.width,
        "height": picture and picture.height,
        "rotation": None if picture is None else picture.rotation,
        "frame_rate": picture and picture.frame_rate,
        "audio_codec": sound and sound.codec,
        "channels": sound and sound.channels,
        "sample_rate": sound and sound.sample_rate,
    }


async def fill(
    contents: PostgresContentRepository, database: asyncpg.Connection, chance: random.Random, count: int
) -> list[Row]:
    """`count` random contents; many have the same creation time."""
    rows = []
    for _ in range(count):
        media = random_media(chance)
        content_id = f"{chance.getrandbits(128):032x}"
        content_id = "-".join((content_id[:8], content_id[8:12], content_id[12:16], content_id[16:20], content_id[20:]))
        size = chance.choice([1, 2**31, 2**53])
        content_type = chance.choice(["audio/mpeg", "image/jpeg", "video/mp4", "video/webm", RECORDED])
        stored = StoredObject("swift", "c", f"contents/{content_id}/original", size, "etag")
        owner = chance.choice(["alice", "bob", "zoe"])
        await contents.save(
            ContentRecord(content_id, "a", content_type, stored, None, media.model_dump(mode="json"), {}, owner)
        )
        created = NOON + timedelta(microseconds=chance.randint(0, 20))
        await database.execute("UPDATE contents SET created_at = $1 WHERE id = $2", created, content_id)
        values = expected(media) | {"created_at": created, "content_type": content_type, "size_bytes": size}
        values["owner"] = owner
        rows.append(Row(content_id, values))
    return rows


def in_order(rows: Iterable[Row], sort: str) -> list[str]:
    """Ids in the order of `sort`: with a value first, in both directions."""
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    valued = sorted((row for row in rows if row.values[name] is not None), key=lambda row: row.key(name))
    others = sorted((row for row in rows if row.values[name] is None), key=lambda row: row.key("created_at"))
    if descending:
        valued.reverse()
        others.reverse()
    return [row.content_id for row in valued + others]


def matches(row: Row, wanted: dict[str, Any]) -> bool:
    for name, bound in wanted.items():
        operator, field = (name[:4], name[4:]) if name[:4] in ("min_", "max_") else ("", name)
        value = row.values[field]
        if value is None:
            return False
        if field == "content_type" and ";" not in bound:
            value = value.partition(";")[0]
        if not (value >= bound if operator == "min_" else value <= bound if operator == "max_" else value == bound):
            return False
    return True


def position(content: Content, sort: str) -> ContentPosition:
    created_us = (content.created_at - EPOCH) // timedelta(microseconds=1)
    return ContentPosition(created_us, content.id, sort_value(content, sort))


async def walk(
    contents: PostgresContentRepository, filters: ContentFilters, sort: str, limit: int
) -> Sequence[Content]:
    """The contents on every page, as a client follows cursors."""
    found: list[Content] = []
    after: ContentPosition | None = None
    while page := await contents.page(filters, sort, after, limit):
        assert len(page) <= limit
        found += page
        after = position(page[-1], sort)
    return found


def ids(found: Sequence[Content]) -> list[str]:
    return [content.id for content in found]


@pytest.fixture
def chance() -> random.Random:
    return random.Random(20260131)


SORTS = [sign + field for field in SORT_FIELDS for sign in ("", "-")]


async def test_every_order_lists_each_content_once_with_unknown_values_last(
    contents: PostgresContentRepository, database: asyncpg.Connection, chance: random.Random
) -> None:
    rows = await fill(contents, database, chance, 80)
    for sort in SORTS:
        for limit in (7, 200):
            found = await walk(contents, ContentFilters(), sort, limit)
            assert ids(found) == in_order(rows, sort), (sort, limit)
    for name in SORT_FIELDS:
        if name not in ("created_at", "kind", "content_type", "container_format", "size_bytes"):
            assert {None} < {row.values[name] for row in rows}, name


async def test_the_values_of_a_content_are_those_of_its_media(
    contents: PostgresContentRepository, database: asyncpg.Connection, chance: random.Random
) -> None:
    rows = {row.content_id: row for row in await fill(contents, database, chance, 80)}
    for content in await walk(contents, ContentFilters(), NEWEST_FIRST, 200):
        assert {name: getattr(content, name) for name in expected(content.media)} == expected(content.media)
        assert content == await contents.get(content.id, None)
        assert content.id in rows


async def test_filters_are_combined_with_and(
    contents: PostgresContentRepository, database: asyncpg.Connection, chance: random.Random
) -> None:
    """Every filter alone with every value that occurs, then pairs and triples of them in a random order."""
    rows = await fill(contents, database, chance, 80)
    choices: list[tuple[str, Any]] = []
    for name in ContentFilters.model_fields:
        field = name.removeprefix("min_").removeprefix("max_")
        choices += [(name, value) for value in {row.values[field] for row in rows} if value is not None]
    assert {name for name, _ in choices} == set(ContentFilters.model_fields)
    wanted = [{name: value} for name, value in choices]
    wanted += [dict(chance.sample(choices, number)) for number in (2, 3) for _ in range(40)]
    lengths = set()
    for some in wanted:
        sort = chance.choice(SORTS)
        found = await walk(contents, ContentFilters.model_validate(some), sort, 50)
        assert ids(found) == in_order([row for row in rows if matches(row, some)], sort), (some, sort)
        lengths.add(min(len(found), 2))
    assert lengths == {0, 1, 2}


async def test_a_page_continues_after_a_position_whose_content_was_deleted(
    contents: PostgresContentRepository, database: asyncpg.Connection, chance: random.Random
) -> None:
    rows = await fill(contents, database, chance, 30)
    for sort in ("-bit_rate", "frame_rate", "-created_at"):
        order = in_order(rows, sort)
        everything = await contents.page(ContentFilters(), sort, None, 200)
        for at in (3, 15, 19):
            await contents.delete(order[at])
            rest = await contents.page(ContentFilters(), sort, position(everything[at], sort), 200)
            assert ids(rest) == order[at + 1 :]
            rows = [row for row in rows if row.content_id != order[at]]
            order, everything = in_order(rows, sort), await contents.page(ContentFilters(), sort, None, 200)


ID = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.mark.parametrize("value", [True, "x", 2**63, -(2**64), 1.5, "1", float("nan"), float("inf")])
@pytest.mark.parametrize("sort", ["bit_rate", "-size_bytes", "width", "-rotation"])
async def test_a_forged_position_of_an_integer_is_refused(
    contents: PostgresContentRepository, sort: str, value: Any
) -> None:
    with pytest.raises(RequestError) as refused:
        await contents.page(ContentFilters(), sort, ContentPosition(1, ID, value), 10)
    assert refused.value.code == "CURSOR_INVALID"


@pytest.mark.parametrize(
    ("sort", "value"),
    [
        ("width", 2**31),
        ("kind", None),
        ("kind", 1),
        ("size_bytes", None),
        ("content_type", "a\x00"),
        ("video_codec", "a" * 256),
        ("frame_rate", "25"),
        ("duration_seconds", float("inf")),
        ("duration_seconds", True),
        ("duration_seconds", 10**400),
    ],
)
async def test_other_forged_positions_are_refused(contents: PostgresContentRepository, sort: str, value: Any) -> None:
    with pytest.raises(RequestError) as refused:
        await contents.page(ContentFilters(), sort, ContentPosition(1, ID, value), 10)
    assert refused.value.code == "CURSOR_INVALID"


def test_no_value_of_a_client_is_part_of_a_statement() -> None:
    hostile = "'; DROP TABLE contents; --"
    filters = ContentFilters(content_type=hostile, video_codec=hostile, min_width=987654)
    for sort in SORTS:
        name = sort.removeprefix("-")
        value = 7654321 if "codec" not in name and name not in ("kind", "content_type", "container_format") else hostile
        for text, arguments in statements(filters, sort, ContentPosition(5, ID, value)):
            assert not any(part in text for part in ("DROP", "drop", "987654", "7654321", ID))
            assert {hostile, hostile.lower(), 987654} <= set(arguments)
