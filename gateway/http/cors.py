"""Cross-origin requests: which headers let a browser's page talk to the gateway (WHATWG Fetch, section "CORS
protocol").

Guarantee: an origin gets them only when it stands, character for character, in the configuration. No credentials are
ever allowed: the gateway takes no cookies. Answers say `Vary: Origin` whenever any origin is configured, so that no
cache hands one origin's answer to another.
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
"""Request headers that the API reads and that a page may not send across origins unasked."""

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
"""Answer headers that a page must be able to read."""

MAX_AGE_SECONDS = 7200
"""How long a browser may remember a preflight: the most that Chromium keeps."""


def answer_headers(origin: str | None, allowed: Collection[str]) -> Mapping[str, str]:
    """What every answer to a request from `origin` carries."""
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
    """What the answer to a preflight carries besides: nothing for an origin that is not allowed, and the browser
    then refuses."""
    if origin is None or origin not in allowed:
        return {}
    return {
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": ", ".join(ALLOWED_HEADERS),
        "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
    }
