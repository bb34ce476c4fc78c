"""Every path with every method: HEAD, OPTIONS, 405, trailing slashes, encoded ids, and `Expect`."""

from __future__ import annotations

import re

import aiohttp
import pytest
from yarl import URL

from gateway.app import ALL_ROUTES
from gateway.routing import methods_of
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.test_contents import keep
from tests.integration.gateway.wire import connect

pytestmark = pytest.mark.integration

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "MKCOL")
PATHS = sorted({route.path for route in ALL_ROUTES})


def filled(path: str) -> str:
    return re.sub(r"{\w+}", "1", path)


async def test_options_and_405_name_the_methods_of_every_path(gateway: Gateway) -> None:
    for path in PATHS:
        allowed = ", ".join(methods_of(ALL_ROUTES, path))
        options = await gateway.client.request("OPTIONS", filled(path))
        assert (options.status, options.headers["Allow"]) == (200, allowed), path
        for method in METHODS:
            if method in allowed.split(", "):
                continue
            response = await gateway.client.request(method, filled(path))
            assert (response.status, response.headers["Allow"]) == (405, allowed), (method, path)
            assert method == "HEAD" or response.code == "METHOD_NOT_ALLOWED"


async def test_no_path_has_a_slash_at_its_end(gateway: Gateway) -> None:
    for path in PATHS:
        for method in ("GET", "POST", "OPTIONS"):
            response = await gateway.client.request(method, f"{filled(path)}/")
            assert (response.status, response.code) == (404, "ROUTE_NOT_FOUND"), path


async def test_head_is_get_without_the_body(gateway: Gateway) -> None:
    """With the same status and headers, errors included. Redirects and downloads: see test_downloads."""
    upload, content = (await gateway.create())["id"], await keep(gateway)
    webhook = await gateway.client.request("POST", "/v1/webhooks", json={"url": "https://backend.example/"})
    for route in ALL_ROUTES:
        if route.method != "GET" or route.streaming or route.path == "/metrics":  # different each time
            continue
        for name in (content if "/contents/" in route.path else upload, "unknown"):
            path = route.path.replace("{id}", name).replace("{number}", "1").replace("{name}", "base.css")
            path = path.replace("{webhook}", name if name == "unknown" else webhook.data["webhook"]["id"])
            get = await gateway.client.request("GET", path)
            head = await gateway.client.request("HEAD", path)
            assert (head.status, head.body) == (get.status, b""), path
            names = set(get.headers) | set(head.headers)
            # The request id of an error is in its body too, but ids have one length.
            different = {name for name in names if get.headers.get(name) != head.headers.get(name)}
            assert different <= {"X-Request-ID", "X-Request-Id", "Date"}, (path, different)


async def test_the_error_of_a_head_request_has_the_headers_of_the_envelope(gateway: Gateway) -> None:
    head = await gateway.client.request("HEAD", "/v1/uploads/u")
    assert (head.status, head.headers["Content-Type"]) == (404, "application/json")
    assert int(head.headers["Content-Length"]) > 0


@pytest.mark.parametrize(
    ("identifier", "status"),
    [
        ("{id}", 200),
        ("{encoded}", 200),  # RFC 3986 section 6.2.2.2: equivalent
        ("{id}%20", 404),
        ("{id}%00", 404),
        ("{id}%2F", 404),
        ("%2e%2e%2fuploads%2f{id}", 404),
        ("%C3%A9", 404),
        ("%FF", 404),
        ("%zz", 404),
        ("a" * 65, 404),
        ("..%2f", 404),
    ],
)
async def test_an_encoded_id(gateway: Gateway, identifier: str, status: int) -> None:
    upload = (await gateway.create())["id"]
    encoded = "".join(f"%{ord(character):02x}" for character in upload)
    url = URL(f"{gateway.url}/v1/uploads/{identifier.format(id=upload, encoded=encoded)}", encoded=True)
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        body = await response.json()
    assert response.status == status
    assert status == 200 or body["error"]["code"] == "UPLOAD_NOT_FOUND"


@pytest.mark.parametrize("number", ["0", "999999999", "-1", "1.0", "%31", "x", "٣", "1%00", "9" * 20])
async def test_an_odd_segment_number(gateway: Gateway, number: str) -> None:
    upload = (await gateway.create())["id"]
    response = await gateway.client.request("PUT", f"/v1/uploads/{upload}/segments/{number}", data=b"x")
    assert response.code in {"VALIDATION_FAILED", "SEGMENT_OUT_OF_RANGE", "SEGMENT_LENGTH_WRONG"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/v1/uploads", {"Content-Type": "text/plain", "Content-Length": "5"}, 415),
        ("POST", "/v1/uploads", {"Content-Type": "application/json", "Content-Length": "70000"}, 413),
        ("PUT", "/v1/uploads/unknown/segments/1", {"Content-Length": "5"}, 404),
        ("PATCH", "/v1/uploads", {"Content-Length": "5"}, 405),
        ("POST", "/nowhere", {"Content-Length": "5"}, 404),
    ],
)
@pytest.mark.parametrize("expect", ["100-continue", "100-Continue"])
async def test_a_refusal_costs_no_body_bytes(
    gateway: Gateway, method: str, path: str, headers: dict[str, str], status: int, expect: str
) -> None:
    async with connect(gateway.url) as wire:
        await wire.begin(method, path, {**headers, "Expect": expect})
        assert (await wire.head()).status == status


@pytest.mark.parametrize(("expect", "first"), [("100-continue", 100), ("100-CONTINUE", 100), ("something-else", 422)])
async def test_a_body_that_is_wanted_is_requested(gateway: Gateway, expect: str, first: int) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": "2", "Expect": expect}
    async with connect(gateway.url) as wire:
        await wire.begin("POST", "/v1/uploads", headers, b"" if first == 100 else b"{}")
        head = await wire.head()
        assert head.status == first
        if first == 100:
            await wire.send(b"{}")
            assert (await wire.head()).status == 422


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("application/json", 422),
        ("Application/JSON", 422),
        ("application/json; charset=utf-8", 422),
        ('application/json;charset="UTF-8"', 422),
        ("text/json", 422),
        ("text/plain", 415),
        ("text/plain; application/json", 415),
        ("text/plain, application/json", 415),
        ("application/json, text/plain", 415),
        ("application/jsonx", 415),
        ("json", 415),
        ("", 415),
        (None, 415),
    ],
)
async def test_the_content_type_of_a_json_body(gateway: Gateway, sent: str | None, status: int) -> None:
    headers = {"Content-Length": "2"} | ({} if sent is None else {"Content-Type": sent})
    async with connect(gateway.url) as wire:
        await wire.begin("POST", "/v1/uploads", headers, b"{}")
        assert (await wire.head()).status == status
