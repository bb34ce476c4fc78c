"""Cross-origin requests: the headers that let a page of another origin call the gateway (WHATWG Fetch, section "CORS
protocol").

Guarantee: an origin gets these headers only if it equals a configured one, character for character. Credentials are
never allowed, since the gateway uses no cookies. While any origin is configured, every response says `Vary: Origin`, so
that no cache gives one origin's response to another.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

ALLOWED_HEADERS = (
    "Content-Type",
    "Content-MD5",
    "Content-Digest",
    "Idempotency-Key",
    "If-None-Match",
    "If-Range",
    "Last-Event-ID",
    "Range",
    "X-Request-Id",
)
"""Request headers that the API reads and that a page may send across origins only after a preflight."""

EXPOSED_HEADERS = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Length",
    "Content-Range",
    "ETag",
    "Location",
    "Retry-After",
    "X-Request-Id",
)
"""Response headers that a page must be able to read."""

MAX_AGE_SECONDS = 7200
"""How long a browser may cache a preflight: the longest time that Chromium accepts."""


def cors_headers(origin: str | None, allowed: Collection[str]) -> Mapping[str, str]:
    """Headers of every response to a request from `origin`."""
    if not allowed:
        return {}
    if origin is None or origin not in allowed:
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": ", ".join(EXPOSED_HEADERS),
    }


def preflight_headers(origin: str | None, allowed: Collection[str], methods: Collection[str]) -> Mapping[str, str]:
    """Additional headers of the response to a preflight. Empty for an origin that is not allowed, which makes the
    browser refuse the request."""
    if origin is None or origin not in allowed:
        return {}
    return {
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": ", ".join(ALLOWED_HEADERS),
        "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
    }
