"""CORS: which origins, request headers and credentials are allowed, and what a page may read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.http.cors import API_HEADERS, cors_headers, preflight_headers
from gateway.options import GatewayOptions
from pipeline.settings import Settings

pytestmark = pytest.mark.unit

ORIGIN = "https://app.example"
OPTIONS = GatewayOptions(
    cors_origins=frozenset({ORIGIN, "https://*.many.example", "http://*.many.example:8080"}),
    cors_headers=Settings.model_fields["cors_headers"].default,
)
ANY = replace(OPTIONS, cors_origins=frozenset({"*"}))


def preflight(
    origin: str, options: GatewayOptions = OPTIONS, *, headers: str = "", private: bool = False
) -> dict[str, str]:
    sent = {"Origin": origin, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": headers}
    if private:
        sent["Access-Control-Request-Private-Network"] = "true"
    return dict(preflight_headers(sent, options, ["OPTIONS", "PUT"]))


def names(value: str) -> set[str]:
    return {name.lower() for name in value.split(", ")}


@pytest.mark.parametrize(
    "origin", [ORIGIN, "https://a.many.example", "https://a.b.many.example", "http://a.many.example:8080"]
)
def test_a_configured_origin_may_call_and_read(origin: str) -> None:
    headers = cors_headers(origin, OPTIONS)
    assert headers["Access-Control-Allow-Origin"] == origin
    assert headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in headers
    assert preflight(origin)["Access-Control-Allow-Methods"] == "OPTIONS, PUT"


@pytest.mark.parametrize(
    "header",
    [
        "ETag",
        "Location",
        "Retry-After",
        "Content-Range",
        "Accept-Ranges",
        "Last-Modified",
        "Content-Disposition",
        "Content-Length",
        "Content-Digest",
        "Repr-Digest",
        "X-Request-Id",
        "Allow",
    ],
)
def test_a_page_may_read(header: str) -> None:
    assert header.lower() in names(cors_headers(ORIGIN, OPTIONS)["Access-Control-Expose-Headers"])


@pytest.mark.parametrize(
    "header",
    [
        "Authorization",
        "X-Requested-With",
        "Content-Type",
        "Content-Digest",
        "Content-MD5",
        "Idempotency-Key",
        "Range",
        "If-Match",
        "If-None-Match",
        "If-Modified-Since",
        "If-Unmodified-Since",
        "If-Range",
        "Last-Event-ID",
        "X-Request-Id",
        "traceparent",
    ],
)
def test_a_page_may_send(header: str) -> None:
    assert header.lower() in names(preflight(ORIGIN, headers=header)["Access-Control-Allow-Headers"])


@pytest.mark.parametrize(
    "origin",
    [
        "https://APP.example",
        "http://app.example",
        "https://app.example:444",
        "https://app.example.evil",
        "https://evil-app.example",
        "https://app.example/",
        "https://many.example",
        "https://.many.example",
        "https://a.many.example:8080",
        "https://amany.example",
        "https://a.many.example.evil",
        "http://a.many.example",
        "https://*.many.example.evil",
        "null",
        "*",
        "",
    ],
)
def test_a_similar_origin_may_not(origin: str) -> None:
    assert cors_headers(origin, OPTIONS) == {"Vary": "Origin"}
    assert preflight(origin) == {}


def test_vary_is_sent_without_an_origin_too() -> None:
    assert cors_headers(None, OPTIONS) == {"Vary": "Origin"}


def test_no_headers_without_configured_origins() -> None:
    assert cors_headers(ORIGIN, GatewayOptions()) == {}
    assert preflight(ORIGIN, GatewayOptions()) == {}


@pytest.mark.parametrize("origin", [ORIGIN, "http://anything.example:1", "null"])
def test_every_page_is_allowed_by_a_star(origin: str) -> None:
    assert cors_headers(origin, ANY)["Access-Control-Allow-Origin"] == "*"
    assert "authorization" in names(preflight(origin, ANY)["Access-Control-Allow-Headers"])


def test_credentials_are_allowed_to_named_origins_only_if_the_operator_says_so() -> None:
    options = replace(OPTIONS, cors_credentials=True)
    headers = cors_headers(ORIGIN, options)
    assert headers["Access-Control-Allow-Credentials"] == "true"
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert cors_headers("https://evil.example", options) == {"Vary": "Origin"}


def test_the_operator_names_more_headers() -> None:
    allowed = preflight(ORIGIN, replace(OPTIONS, cors_headers=("X-Api-Key",)))["Access-Control-Allow-Headers"]
    assert names(allowed) == names(", ".join([*API_HEADERS, "X-Api-Key"]))


@pytest.mark.parametrize(
    ("requested", "allowed"),
    [
        ("authorization,x-anything", "authorization,x-anything"),
        ("x-a, x-b", "x-a, x-b"),
        ("", ", ".join(API_HEADERS)),
        ("x-a\r\nx: y", ", ".join(API_HEADERS)),
        ("x-a x-b", ", ".join(API_HEADERS)),
        ("*, é", ", ".join(API_HEADERS)),
    ],
)
def test_every_header_is_allowed_by_a_star(requested: str, allowed: str) -> None:
    options = replace(OPTIONS, cors_headers=("*",))
    assert preflight(ORIGIN, options, headers=requested)["Access-Control-Allow-Headers"] == allowed


def test_a_preflight_may_be_cached() -> None:
    assert int(preflight(ORIGIN)["Access-Control-Max-Age"]) > 0


def test_a_page_on_the_internet_may_call_a_private_network() -> None:
    name = "Access-Control-Allow-Private-Network"
    assert preflight(ORIGIN, private=True)[name] == "true"
    assert name not in preflight(ORIGIN)
    assert preflight("https://evil.example", private=True) == {}
