"""What is sent as a credential and is none: it is refused as such, whatever its bytes are."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from pipeline.settings import Settings
from tests.integration.gateway.conftest import OPTIONS
from tests.integration.gateway.site import Site, running_site
from tests.integration.gateway.wire import connect

pytestmark = pytest.mark.integration


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    async with running_site(settings, replace(OPTIONS, events_token=SecretStr("e" * 32))) as running:
        yield running


def token(header: bytes) -> bytes:
    """A token with this header, a payload and a signature that is wrong."""
    return base64.urlsafe_b64encode(header).rstrip(b"=") + b".e30.AA"


async def code_of(site: Site, method: str, path: str, *credentials: bytes) -> tuple[int, str]:
    """Status and code of the response to a request with these Authorization fields, byte for byte."""
    fields = b"".join(b"Authorization: " + text + b"\r\n" for text in credentials)
    async with connect(site.client.url) as connection:
        await connection.send(f"{method} {path} HTTP/1.1\r\nHost: test\r\n".encode() + fields + b"\r\n")
        head = await connection.head()
        return head.status, (await connection.body(head))["error"]["code"]


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe.a.b",
        "é.a.b".encode(),
        token(b'{"alg":"HS256","typ":["sluice-upload"]}'),
        token(b'{"alg":"HS256","typ":{"a":1}}'),
        token(b'{"alg":"HS256","typ":"sluice-upload","kid":[1]}'),
        token(b'{"alg":["HS256"]}'),
        token(b"[" * 3000),
        token(b'{"alg":' + b"9" * 3000 + b"}"),
        b"sluice_0123456789abcdef_\xff" + b"a" * 42,
        b"x" * 8000,
    ],
    ids=lambda text: repr(text[:24]),
)
async def test_bytes_that_are_no_key_and_no_token(site: Site, text: bytes) -> None:
    assert await code_of(site, "GET", "/v1/uploads", b"Bearer " + text) == (401, "CREDENTIAL_INVALID")
    in_url = f"/v1/uploads/0/events?token={quote(text[:3000])}"
    assert await code_of(site, "GET", in_url) == (401, "CREDENTIAL_INVALID")


@pytest.mark.parametrize("text", ["é".encode(), b"\xff", b"====", base64.b64encode(b"a:\xff"), base64.b64encode(b"a")])
async def test_basic_that_is_none(site: Site, text: bytes) -> None:
    assert await code_of(site, "GET", "/docs", b"Basic " + text) == (401, "CREDENTIAL_INVALID")


@pytest.mark.parametrize("text", [b"Bearer \xff", b"Basic \xff", b"Basic " + base64.b64encode(b"a:\xff"), b"e" * 32])
async def test_a_notification_with_bytes_that_are_not_its_secret(site: Site, text: bytes) -> None:
    assert await code_of(site, "POST", "/v1/events/storage", text) == (401, "EVENTS_TOKEN_WRONG")


async def test_a_request_has_one_credential(site: Site) -> None:
    """Which of several counts would depend on what is in front of the gateway."""
    mine, theirs = (
        b"Bearer " + (site.credentials[column] or "").encode()
        for column in ("key of the owner", "key of another owner")
    )
    for credentials in ((mine, theirs), (mine, mine), (mine, b"Bearer wrong"), (b"", mine)):
        assert await code_of(site, "GET", "/v1/uploads", *credentials) == (401, "CREDENTIAL_INVALID")
    secret = b"Bearer " + b"e" * 32
    for credentials in ((secret, secret), (secret, mine)):
        assert await code_of(site, "POST", "/v1/events/storage", *credentials) == (401, "EVENTS_TOKEN_WRONG")


@pytest.mark.parametrize(
    ("method", "path", "scheme"),
    [
        ("GET", "/v1/uploads", "Bearer"),
        ("PUT", "/v1/uploads/0/segments/1", "Bearer"),
        ("PATCH", "/files/0", "Bearer"),
        ("POST", "/s3/multipart", "Bearer"),
        ("GET", "/docs", "Basic"),
        ("POST", "/v1/events/storage", "Basic"),
    ],
)
async def test_a_browser_asks_for_a_password_only_where_one_is_accepted(
    site: Site, method: str, path: str, scheme: str
) -> None:
    """A challenge of Basic opens a browser's own dialog, also for a request that a script has sent."""
    for credential in ({}, {"Authorization": "Bearer wrong"}):
        response = await site.client.request(method, path, headers=credential)
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].split(" ")[0] == scheme
