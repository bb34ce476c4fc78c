"""CORS of every route: pages of a configured origin may send requests and read every response; others may not."""

from __future__ import annotations

import re

import pytest

from gateway.app import ALL_ROUTES
from tests.integration.gateway.conftest import ORIGIN, Gateway

pytestmark = pytest.mark.integration

JSON = {"Content-Type": "application/json"}


async def test_a_preflight_of_every_route(gateway: Gateway) -> None:
    for route in ALL_ROUTES:
        wanted = ["authorization", "x-requested-with", *(header.name.lower() for header in route.request_headers)]
        headers = {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": route.method,
            "Access-Control-Request-Headers": ",".join(wanted),
        }
        path = re.sub(r"{\w+}", "1", route.path)
        response = await gateway.client.request("OPTIONS", path, headers=headers)
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        methods = response.headers["Access-Control-Allow-Methods"].split(", ")
        assert route.method in methods
        assert response.headers["Allow"].split(", ") == methods == response.data["allowed"]
        assert set(wanted) <= set(response.headers["Access-Control-Allow-Headers"].lower().split(", ")), route.path


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("GET", "/healthz", {}, 200),
        ("POST", "/v1/uploads", {"data": b"{", "headers": JSON}, 400),
        ("GET", "/v1/uploads/u", {}, 404),
        ("GET", "/nowhere", {}, 404),
        ("OPTIONS", "/nowhere", {}, 404),
        ("PATCH", "/v1/uploads", {}, 405),
        ("POST", "/v1/uploads", {"data": b" " * 70_000, "headers": JSON}, 413),
        ("POST", "/v1/uploads", {"data": b"{}", "headers": {"Content-Type": "text/plain"}}, 415),
        ("GET", "/v1/uploads?limit=x", {}, 422),
        ("HEAD", "/v1/uploads/u", {}, 404),
    ],
)
async def test_a_page_can_read_every_response(
    gateway: Gateway, method: str, path: str, sent: dict[str, object], status: int
) -> None:
    for origin in (ORIGIN, "http://evil.example", None):
        headers = {**dict(sent.get("headers", {})), **({"Origin": origin} if origin else {})}  # type: ignore[call-overload]  # a literal above
        response = await gateway.client.request(method, path, **{**sent, "headers": headers})
        assert response.status == status
        assert response.headers["Vary"] == "Origin"
        granted = [name for name in response.headers if name.startswith("Access-Control")]
        if origin == ORIGIN:
            assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
            assert "X-Request-Id" in response.headers["Access-Control-Expose-Headers"]
        else:
            assert granted == []


async def test_another_origin_gets_no_preflight(gateway: Gateway) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "PUT"}
    response = await gateway.client.request("OPTIONS", "/v1/uploads", headers=headers)
    assert not [name for name in response.headers if name.startswith("Access-Control")]
    assert response.headers["Vary"] == "Origin"
