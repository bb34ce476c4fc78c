"""CORS: an origin is allowed only if it equals a configured one exactly."""

from __future__ import annotations

import pytest

from gateway.http.cors import cors_headers, preflight_headers

pytestmark = pytest.mark.unit

ALLOWED = frozenset({"https://app.example"})


def test_a_configured_origin_may_call_and_read() -> None:
    headers = cors_headers("https://app.example", ALLOWED)
    assert headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert {"Retry-After", "X-Request-Id", "Location"} <= set(headers["Access-Control-Expose-Headers"].split(", "))
    assert headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin",
    [
        "https://APP.example",
        "http://app.example",
        "https://app.example:444",
        "https://app.example.evil",
        "null",
        "*",
        "",
    ],
)
def test_a_similar_origin_may_not(origin: str) -> None:
    assert cors_headers(origin, ALLOWED) == {"Vary": "Origin"}
    assert preflight_headers(origin, ALLOWED, ["GET"]) == {}


def test_vary_is_sent_without_an_origin_too() -> None:
    assert cors_headers(None, ALLOWED) == {"Vary": "Origin"}


def test_no_headers_without_configured_origins() -> None:
    assert cors_headers("https://app.example", frozenset()) == {}


def test_a_preflight_lists_the_allowed_methods_and_headers() -> None:
    headers = preflight_headers("https://app.example", ALLOWED, ["PUT", "OPTIONS"])
    assert headers["Access-Control-Allow-Methods"] == "PUT, OPTIONS"
    sent = {"Content-MD5", "Content-Digest", "Idempotency-Key", "X-Request-Id", "Content-Type"}
    assert sent <= set(headers["Access-Control-Allow-Headers"].split(", "))
    assert int(headers["Access-Control-Max-Age"]) > 0


def test_credentials_are_never_allowed() -> None:
    both = {
        **cors_headers("https://app.example", ALLOWED),
        **preflight_headers("https://app.example", ALLOWED, ["PUT"]),
    }
    assert "Access-Control-Allow-Credentials" not in both
