"""Which indexes PostgreSQL uses for lists of contents in a table of 6,000 rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from pipeline.adapters.postgres.content_list import statements
from pipeline.ports.contents import ContentPosition
from schemas.content_list import NEWEST_FIRST, SORT_FIELDS, ContentFilters

pytestmark = pytest.mark.contract

ROWS = 6_000
# Every column has frequent values, nulls, and a value (`rare`, or the largest one) that two rows have.
_FILL = """
INSERT INTO contents (id, filename, content_type, created_at, kind, size_bytes, duration_seconds, width, height, store,
                      container, object_key, etag, thumbnail, media, metadata, owner)
SELECT gen_random_uuid(), 'a', CASE WHEN n % 3000 = 0 THEN 'rare/type' ELSE 'video/mp4' END,
       timestamptz '2026-01-01Z' + make_interval(secs => n), CASE WHEN n % 3000 = 0 THEN 'audio' ELSE 'video' END,
       CASE WHEN n % 3000 = 0 THEN 10000000 ELSE n END,
       CASE WHEN n % 3000 = 0 THEN 10000000 WHEN n % 3 > 0 THEN n END,
       CASE WHEN n % 3000 = 0 THEN 10000000 WHEN n % 3 > 0 THEN 1920 END,
       CASE WHEN n % 3000 = 0 THEN 10000000 WHEN n % 3 > 0 THEN 1080 END,
       'swift', 'c', n::text, 'e', NULL,
       CASE WHEN n % 3000 = 0 THEN $2::jsonb WHEN n % 3 > 0 THEN $3::jsonb ELSE '{}' END, '{}',
       CASE WHEN n % 3000 = 0 THEN 'rare' ELSE 'common' END
FROM generate_series(1, $1::integer) n
"""


def _media(name: str, rate: int, sample_rate: int, rotation: int) -> str:
    picture = {"type": "video", "codec": name, "frame_rate": rate, "rotation": rotation}
    sound = {"type": "audio", "codec": name, "channels": rate, "sample_rate": sample_rate}
    return json.dumps({"container": name, "bit_rate": rate, "streams": [picture, sound]})


@pytest.fixture
async def large(database: asyncpg.Connection) -> asyncpg.Connection:
    await database.execute(_FILL, ROWS, _media("rare", 100, 192_000, 270), _media("common", 25, 48_000, 0))
    await database.execute("VACUUM ANALYZE contents")
    return database


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


async def plans(
    database: asyncpg.Connection, filters: ContentFilters, sort: str, after: ContentPosition | None
) -> list[list[dict[str, Any]]]:
    """The nodes of each statement's plan that belong to the table `contents` or sort."""
    found = []
    for text, arguments in statements(filters, sort, after):
        plan = json.loads(await database.fetchval(f"EXPLAIN (FORMAT JSON) {text}", 50, *arguments))[0]["Plan"]
        found.append(
            [
                node
                for node in nodes(plan)
                if node["Node Type"].endswith("Sort")
                or "contents_" in node.get("Index Name", "")
                or node.get("Relation Name") == "contents"
            ]
        )
    return found


AN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
NOON_US = 1_767_268_800_000_000


def value_of(name: str) -> int | str:
    if name.endswith("codec") or name == "container_format":
        return "common"
    return {"kind": "video", "content_type": "video/mp4"}.get(name, 25)


async def test_each_order_reads_its_index_and_sorts_nothing(large: asyncpg.Connection) -> None:
    """In both directions, from the start, in the middle, and among the contents without a value."""
    for name in SORT_FIELDS:
        index = "contents_newest" if name == "created_at" else f"contents_by_{name}"
        places = [None, ContentPosition(NOON_US, AN_ID, value_of(name))]
        if name not in ("kind", "content_type", "size_bytes"):
            places.append(ContentPosition(NOON_US, AN_ID, None))
        for sort in (name, f"-{name}"):
            for after in places:
                for used in await plans(large, ContentFilters(), sort, after):
                    assert [node.get("Index Name") for node in used] == [index], (sort, after, used)


RARE = {
    "kind": "audio",
    "content_type": "rare/type",
    "owner": "rare",
    "container_format": "rare",
    "video_codec": "rare",
    "audio_codec": "rare",
    "rotation": 270,
    "channels": 100,
    "sample_rate": 192_000,
    "width": 10_000_000,
    "height": 10_000_000,
    "min_width": 10_000_000,
    "min_height": 10_000_000,
    "min_channels": 100,
    "min_sample_rate": 192_000,
    "min_duration_seconds": 10_000_000,
    "min_frame_rate": 100,
    "min_bit_rate": 100,
    "min_size_bytes": 10_000_000,
    "max_width": 1,
    "max_height": 1,
    "max_channels": 1,
    "max_sample_rate": 1,
    "max_duration_seconds": 1,
    "max_frame_rate": 1,
    "max_bit_rate": 1,
    "max_size_bytes": 1,
    "min_created_at": "2026-12-31",
    "max_created_at": "2025-12-31",
}


@pytest.mark.parametrize("sort", [NEWEST_FIRST, "-duration_seconds"])
async def test_each_filter_finds_rare_values_by_its_index(large: asyncpg.Connection, sort: str) -> None:
    """In the order of another field, too: a handful of rows may be sorted, but the table is not read."""
    assert set(RARE) == set(ContentFilters.model_fields)
    for name, value in RARE.items():
        field = name.removeprefix("min_").removeprefix("max_")
        # Among contents without a duration, the index of durations is in the order of their creation.
        fitting = (
            {"contents_newest", "contents_by_duration_seconds"} if field == "created_at" else {f"contents_by_{field}"}
        )
        for used in await plans(large, ContentFilters.model_validate({name: value}), sort, None):
            assert fitting & {node.get("Index Name") for node in used}, (name, used)
            assert "Seq Scan" not in [node["Node Type"] for node in used]


async def test_a_frequent_value_in_the_default_order_is_read_in_order(large: asyncpg.Connection) -> None:
    for name in ("kind", "content_type", "container_format", "video_codec", "audio_codec", "channels", "sample_rate"):
        wanted = {name: 25 if name == "channels" else 48_000 if name == "sample_rate" else value_of(name)}
        [used] = await plans(large, ContentFilters.model_validate(wanted), NEWEST_FIRST, None)
        assert len(used) == 1, used
        assert used[0]["Node Type"] == "Index Scan"
