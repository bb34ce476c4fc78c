"""Contents over HTTP with a real database."""

from __future__ import annotations

import pytest
from uuid6 import uuid7

from pipeline.core.model import ContentRecord
from pipeline.core.stored_objects import StoredObject
from schemas.media import MediaMetadata
from tests.integration.gateway.conftest import Gateway

pytestmark = pytest.mark.integration


async def keep(gateway: Gateway, kind: str = "image") -> str:
    """Store a content as the stage `persist` does; returns its id."""
    name = str(uuid7())
    stored = StoredObject("swift", "c", f"contents/{name}/original", 10, "etag")
    media = MediaMetadata.model_validate({"kind": kind, "container": "jpeg", "size_bytes": 10})
    await gateway.services.contents.save(
        ContentRecord(name, "a.jpg", "image/jpeg", stored, None, media.model_dump(mode="json"), {"k": "v"})
    )
    return name


async def test_a_content_is_shown(gateway: Gateway) -> None:
    name = await keep(gateway)
    response = await gateway.client.request("GET", f"/v1/contents/{name}")
    assert response.status == 200
    assert (response.data["id"], response.data["kind"], response.data["object"]["key"]) == (
        name,
        "image",
        f"contents/{name}/original",
    )


async def test_pages_contain_every_content_once(gateway: Gateway) -> None:
    kept = [await keep(gateway, kind) for kind in ("video", "audio", "audio", "audio", "video")]
    seen: list[str] = []
    query = "?limit=2&kind=audio"
    while query and not set(kept[1:4]) <= set(seen):
        page = (await gateway.client.request("GET", f"/v1/contents{query}")).data
        assert {item["kind"] for item in page["items"]} == {"audio"}
        seen += [item["id"] for item in page["items"]]
        query = f"?limit=2&kind=audio&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert [name for name in seen if name in kept] == kept[3:0:-1]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("name", ["nope", "0198c1f2-0000-7000-8000-000000000000", "a%2Fb"])
async def test_an_unknown_content(gateway: Gateway, name: str) -> None:
    response = await gateway.client.request("GET", f"/v1/contents/{name}")
    assert (response.status, response.code) == (404, "CONTENT_NOT_FOUND")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("kind=text", 422, "VALIDATION_FAILED"),
        ("cursor=x", 400, "CURSOR_INVALID"),
        ("cursor=MTp4", 400, "CURSOR_INVALID"),  # base64, but no position
    ],
)
async def test_a_wrong_query_is_refused(gateway: Gateway, query: str, status: int, code: str) -> None:
    response = await gateway.client.request("GET", f"/v1/contents?{query}")
    assert response.status == status
    assert not code or response.code == code
