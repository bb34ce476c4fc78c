"""Cross-origin requests: the headers that let a page of another origin call the gateway (WHATWG Fetch, section "CORS
protocol").

Guarantee: a page gets these headers only if its origin is configured: by name, by a wildcard for subdomains, or by `*`.
Origins are compared as browsers send them; the settings bring configured ones into that form. Cookies are allowed only
if the options say so. While any origin is configured, every response says `Vary: Origin`, so that no cache gives one
origin's response to another.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from gateway.options import GatewayOptions

API_HEADERS = (
    "Cache-Control",
    "Content-Digest",
    "Content-Disposition",
    "Content-MD5",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Last-Event-ID",
    "Range",
    "Repr-Digest",
    "Tus-Resumable",
    "Upload-Checksum",
    "Upload-Complete",
    "Upload-Concat",
    "Upload-Defer-Length",
    "Upload-Draft-Interop-Version",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "X-HTTP-Method-Override",
    "X-Request-Id",
)
"""Request headers that the API reads, or that clients of event streams send, and that need a preflight."""

EXPOSED_HEADERS = (
    "Accept-Ranges",
    "Allow",
    "Content-Digest",
    "Content-Disposition",
    "Content-Length",
    "Content-Range",
    "Date",
    "ETag",
    "Last-Modified",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Repr-Digest",
    "Retry-After",
    "Sluice-Upload-Id",
    "Sluice-Upload-Token",
    "Tus-Checksum-Algorithm",
    "Tus-Extension",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Complete",
    "Upload-Concat",
    "Upload-Defer-Length",
    "Upload-Draft-Interop-Version",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Limit",
    "Upload-Metadata",
    "Upload-Offset",
    "WWW-Authenticate",
    "X-Request-Id",
)
"""Response headers that a page must be able to read, whether the gateway or a proxy in front of it sends them."""

MAX_AGE_SECONDS = 7200
"""How long a browser may cache a preflight: the longest time that Chromium accepts."""

_ANY = "*"
_NAMES = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*,[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+)*")


def cors_headers(origin: str | None, options: GatewayOptions) -> Mapping[str, str]:
    """Headers of every response to a request from `origin`."""
    if not options.cors_origins:
        return {}
    if not _is_allowed(origin, options.cors_origins):
        return {"Vary": "Origin"}
    found = {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": _ANY if _ANY in options.cors_origins else str(origin),
        "Access-Control-Expose-Headers": ", ".join(EXPOSED_HEADERS),
    }
    return found | ({"Access-Control-Allow-Credentials": "true"} if options.cors_credentials else {})


def preflight_headers(
    request_headers: Mapping[str, str], options: GatewayOptions, methods: Collection[str]
) -> Mapping[str, str]:
    """Additional headers of the response to a preflight. Empty for an origin that is not allowed, which makes the
    browser refuse the request."""
    if not _is_allowed(request_headers.get("Origin"), options.cors_origins):
        return {}
    found = {
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": _allowed_headers(request_headers, options.cors_headers),
        "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
    }
    # A page on the internet that calls a gateway in a private network (WICG, "Private Network Access").
    if request_headers.get("Access-Control-Request-Private-Network") == "true":
        found["Access-Control-Allow-Private-Network"] = "true"
    return found


def _is_allowed(origin: str | None, allowed: Collection[str]) -> bool:
    if origin is None or not allowed:
        return False
    if origin in allowed or _ANY in allowed:
        return True
    scheme, _, host = origin.partition("://")
    # `https://*.a.example:8443` allows every origin of that scheme that ends with `.a.example:8443`.
    return any(
        pattern.startswith(f"{scheme}://*.") and host.endswith(pattern.partition("*")[2]) and not host.startswith(".")
        for pattern in allowed
    )


def _allowed_headers(request_headers: Mapping[str, str], more: Collection[str]) -> str:
    if _ANY not in more:
        return ", ".join(dict.fromkeys([*API_HEADERS, *more]))
    # The wildcard of the Fetch standard excludes Authorization, so the names are repeated.
    requested = request_headers.get("Access-Control-Request-Headers", "").strip(" \t")
    return requested if _NAMES.fullmatch(requested) else ", ".join(API_HEADERS)
