"""CORS: an origin is allowed character for character or not at all."""

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
def test_anything_near_it_may_not(origin: str) -> None:
    assert cors_headers(origin, ALLOWED) == {"Vary": "Origin"}
    assert preflight_headers(origin, ALLOWED, ["GET"]) == {}


def test_a_cache_is_told_also_when_no_origin_came() -> None:
    assert cors_headers(None, ALLOWED) == {"Vary": "Origin"}


def test_nothing_is_said_where_nothing_is_configured() -> None:
    assert cors_headers("https://app.example", frozenset()) == {}


def test_a_preflight_names_what_may_be_sent() -> None:
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
