"""Links in responses: they use the address that the client used, wherever they appear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.options import GatewayOptions
from tests.integration.gateway.conftest import OPTIONS, Gateway
from tests.integration.gateway.test_contents import keep

pytestmark = pytest.mark.integration

FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "up.example"}
HOST = {"Host": "other.example:81"}


@pytest.fixture
def options(request: pytest.FixtureRequest) -> GatewayOptions:
    return replace(OPTIONS, **request.param)


def urls(links: dict[str, Any]) -> Iterator[str]:
    return (url for url in links.values() if url is not None)


@pytest.mark.parametrize(
    ("options", "headers", "expected"),
    [
        ({}, HOST, "http://other.example:81/v1/"),
        ({}, {**HOST, **FORWARDED}, "http://other.example:81/v1/"),
        ({"trust_forwarded": True}, FORWARDED, "https://up.example/v1/"),
        ({"public_url": "https://public.example/sluice"}, FORWARDED, "https://public.example/sluice/v1/"),
    ],
    indirect=["options"],
)
async def test_every_link_uses_the_address_of_the_client(
    gateway: Gateway, headers: dict[str, str], expected: str
) -> None:
    body = {"filename": "a.mp4", "size": 10, "content_type": "video/mp4"}
    created = await gateway.client.request("POST", "/v1/uploads", json=body, headers=headers)
    shown = await gateway.client.request("GET", f"/v1/uploads/{created.data['id']}", headers=headers)
    listed = await gateway.client.request("GET", "/v1/uploads", headers=headers)
    cancelled = await gateway.client.request("DELETE", f"/v1/uploads/{created.data['id']}", headers=headers)
    content = await gateway.client.request("GET", f"/v1/contents/{await keep(gateway)}", headers=headers)
    contents = await gateway.client.request("GET", "/v1/contents?limit=1", headers=headers)
    views = [created.data, shown.data, *listed.data["items"], cancelled.data, content.data, *contents.data["items"]]
    for view in views:
        found = list(urls(view["links"]))
        assert found
        assert all(url.startswith(expected) for url in found), found
    assert created.headers["Location"] == created.data["links"]["self"]
    assert cancelled.data["links"]["segment"] is None


@pytest.mark.parametrize("options", [{}], indirect=True)
async def test_a_content_without_a_thumbnail_has_no_link_to_one(gateway: Gateway) -> None:
    content = (await gateway.client.request("GET", f"/v1/contents/{await keep(gateway)}")).data
    assert content["links"]["thumbnail"] is None
    assert (await gateway.client.request("GET", content["links"]["self"])).data == content
