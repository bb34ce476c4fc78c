"""Filters, orders and cursors of `GET /v1/contents`, over HTTP with a real database."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from uuid6 import uuid7

from gateway.api.contents import ContentQuery
from gateway.http.cursors import Position, encode, query_digest
from pipeline.core.model import ContentRecord
from pipeline.core.stored_objects import StoredObject
from schemas.media import MediaMetadata
from tests.integration.gateway.conftest import Gateway

pytestmark = pytest.mark.integration


async def keep(gateway: Gateway, content_type: str, number: int) -> str:
    """A content with values that grow with `number`; every third one has no picture and no bit rate."""
    name = str(uuid7())
    picture = {"type": "video", "index": 0, "codec": "h264" if number % 2 else "vp9", "frame_rate": 24 + number % 4}
    picture |= {"width": 100 * number + 1, "height": 1080, "coded_width": 10, "coded_height": 10}
    sound = {"type": "audio", "index": 1, "codec": "aac", "channels": 1 + number % 2, "sample_rate": 48000}
    media = MediaMetadata.model_validate(
        {
            "kind": "video" if number % 3 else "audio",
            "container": "mp4",
            "size_bytes": 10,
            "bit_rate": 2**31 * number if number % 3 else None,
            "streams": [picture, sound] if number % 3 else [sound],
        }
    )
    stored = StoredObject("swift", "c", f"contents/{name}/original", 10, "etag")
    await gateway.services.contents.save(
        ContentRecord(name, "a", content_type, stored, None, media.model_dump(mode="json"), {})
    )
    return name


@pytest.fixture
def content_type() -> str:
    """The database is shared: the contents of one test have a content type of their own."""
    return f"video/x-{uuid.uuid4().hex}"


async def get(gateway: Gateway, **query: Any) -> Any:
    return await gateway.client.request("GET", f"/v1/contents?{urlencode(query)}")


async def walk(gateway: Gateway, **query: Any) -> list[dict[str, Any]]:
    """The items of every page."""
    found: list[dict[str, Any]] = []
    more: dict[str, Any] = {}
    while True:
        response = await get(gateway, **query, **more)
        assert response.status == 200, response.body
        found += response.data["items"]
        if response.data["next_cursor"] is None:
            return found
        assert len(response.data["items"]) == query["limit"]
        more = {"cursor": response.data["next_cursor"]}


async def test_contents_show_their_typed_values(gateway: Gateway, content_type: str) -> None:
    name = await keep(gateway, content_type, 1)
    shown = (await gateway.client.request("GET", f"/v1/contents/{name}")).data
    expected = {
        "kind": "video", "container_format": "mp4", "video_codec": "h264", "audio_codec": "aac", "width": 101,
        "height": 1080, "rotation": 0, "bit_rate": 2**31, "frame_rate": 25.0, "channels": 2, "sample_rate": 48000,
        "duration_seconds": None,
    }  # fmt: skip
    assert {field: shown[field] for field in expected} == expected
    assert shown["media"]["streams"][0]["codec"] == "h264"
    assert [item["id"] for item in await walk(gateway, content_type=content_type, limit=5)] == [name]


async def test_lists_are_filtered_sorted_and_paged(gateway: Gateway, content_type: str) -> None:
    names = [await keep(gateway, content_type, number) for number in range(1, 13)]
    numbers = {name: number for number, name in enumerate(names, 1)}

    async def listed(**query: Any) -> list[int]:
        return [numbers[item["id"]] for item in await walk(gateway, content_type=content_type, **query)]

    for limit in (1, 5, 200):
        assert await listed(limit=limit) == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
        assert await listed(limit=limit, sort="created_at") == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
        assert await listed(limit=limit, sort="-bit_rate") == [11, 10, 8, 7, 5, 4, 2, 1, 12, 9, 6, 3]
        assert await listed(limit=limit, sort="bit_rate") == [1, 2, 4, 5, 7, 8, 10, 11, 3, 6, 9, 12]
        assert await listed(limit=limit, sort="frame_rate") == [4, 8, 1, 5, 2, 10, 7, 11, 3, 6, 9, 12]
        assert await listed(limit=limit, sort="-video_codec") == [10, 8, 4, 2, 11, 7, 5, 1, 12, 9, 6, 3]
    assert await listed(limit=3, video_codec="h264", min_width=500) == [11, 7, 5]
    assert await listed(limit=3, kind="audio", channels=2) == [9, 3]
    assert await listed(limit=3, min_bit_rate=2**31 * 4, max_bit_rate=2**31 * 8, sort="width") == [4, 5, 7, 8]
    assert await listed(limit=3, min_frame_rate="50/2", max_frame_rate=26, sort="-width") == [10, 5, 2, 1]
    assert await listed(limit=3, min_sample_rate=48001) == []
    created = (await walk(gateway, content_type=content_type, limit=200))[5]["created_at"]
    assert await listed(limit=3, min_created_at=created, sort="created_at") == [7, 8, 9, 10, 11, 12]
    assert await listed(limit=3, max_created_at=created) == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("min_width=x", "min_width"),
        ("min_width=NaN", "min_width"),
        ("max_bit_rate=9223372036854775808", "max_bit_rate"),
        ("min_frame_rate=0/0", "min_frame_rate"),
        ("min_duration_seconds=-1", "min_duration_seconds"),
        ("min_duration_seconds=1e999", "min_duration_seconds"),
        ("min_created_at=0001-01-01T00:00:00%2B14:00", "min_created_at"),
        ("min_created_at=", "min_created_at"),
        ("video_codec=", "video_codec"),
        ("video_codec=a%00", "video_codec"),
        ("content_type=a%00", "content_type"),
        ("kind=text", "kind"),
        ("rotation=45", "rotation"),
        ("sort=-size", "sort"),
        ("sort=", "sort"),
        ("widht=1", "widht"),
        ("min_codec=h264", "min_codec"),
        ("VIDEO_CODEC=h264", "VIDEO_CODEC"),
        ("kind=video&kind=audio", "kind"),
        ("min_width=1&min_width=1", "min_width"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("kind=video&min_width=1&max_height=x", "max_height"),
    ],
)
async def test_a_wrong_filter_is_named(gateway: Gateway, query: str, field: str) -> None:
    response = await gateway.client.request("GET", f"/v1/contents?{query}")
    assert (response.status, response.code) == (422, "VALIDATION_FAILED")
    assert [item["field"] for item in response.detail["fields"]] == [field]


async def test_text_that_matches_nothing_is_not_an_error(gateway: Gateway, content_type: str) -> None:
    await keep(gateway, content_type, 1)
    for value in ("'; DROP TABLE contents; --", "日本", "%", "\\", "{0}", "$1", "\ufffd"):
        assert await walk(gateway, content_type=content_type, video_codec=value, limit=5) == []
    response = await gateway.client.request("GET", "/v1/contents?video_codec=%FF%FE&limit=5")
    assert response.status in (200, 422)
    assert len(await walk(gateway, content_type=content_type, limit=5)) == 1


async def test_a_cursor_belongs_to_its_filters_and_its_order(gateway: Gateway, content_type: str) -> None:
    for number in range(1, 5):
        await keep(gateway, content_type, number)
    query = {"content_type": content_type, "sort": "-width", "min_height": 1, "limit": 1}
    cursor = (await get(gateway, **query)).data["next_cursor"]
    assert cursor
    for same in (query, query | {"limit": 2}, query | {"min_height": "001"}):
        assert (await get(gateway, **same, cursor=cursor)).status == 200
    without_sort = {name: value for name, value in query.items() if name != "sort"}
    for other in (
        query | {"sort": "width"},
        query | {"sort": "-height"},
        query | {"min_height": 2},
        query | {"kind": "video"},
        without_sort,
        {"limit": 1},
    ):
        response = await get(gateway, **other, cursor=cursor)
        assert (response.status, response.code) == (400, "CURSOR_INVALID"), other
    for path in ("/v1/uploads", "/v1/leftovers"):
        response = await gateway.client.request("GET", f"{path}?cursor={quote(cursor)}")
        assert (response.status, response.code) == (400, "CURSOR_INVALID")


@pytest.mark.parametrize("value", [2**31, 2**63 - 1, -1, 1.5, "1", None])
async def test_a_forged_position_is_refused_or_harmless(gateway: Gateway, value: Any) -> None:
    name = "0198c1f2-0000-7000-8000-000000000000"
    for sort in ("width", "kind", "bit_rate", "-frame_rate", "video_codec", "created_at"):
        cursor = encode(Position(253_402_300_799_999_999, name, value), query_digest(ContentQuery(sort=sort)))
        response = await get(gateway, sort=sort, cursor=cursor)
        assert response.status == 200 or response.code == "CURSOR_INVALID"
    wrong = encode(Position(1, "no-uuid", 1), query_digest(ContentQuery(sort="width")))
    assert (await get(gateway, sort="width", cursor=wrong)).code == "CURSOR_INVALID"


async def test_the_longest_content_type_fits_into_a_cursor(gateway: Gateway) -> None:
    long = f"video/{uuid.uuid4().hex}{'é' * 300}"
    names = [await keep(gateway, long, number) for number in (1, 2)]
    await keep(gateway, f"{long}x", 3)  # differs after the characters that are indexed
    for sort, wanted in (("content_type", names), ("-content_type", names[::-1])):
        assert [item["id"] for item in await walk(gateway, content_type=long, sort=sort, limit=1)] == wanted


async def test_a_media_type_matches_with_any_parameters(gateway: Gateway, content_type: str) -> None:
    plain = await keep(gateway, content_type, 1)
    recorded = await keep(gateway, f'{content_type};codecs="vp9,opus"', 2)
    await keep(gateway, f"{content_type}2", 3)
    for wanted, query in (
        ([recorded, plain], content_type),
        ([recorded], f'{content_type};codecs="vp9,opus"'),
        ([], f"{content_type};codecs=vp8"),
        ([], f"{content_type};"),
    ):
        assert [item["id"] for item in await walk(gateway, content_type=query, limit=1)] == wanted
