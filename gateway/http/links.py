"""The base URL of absolute links to the gateway.

Guarantee: links lead to the gateway at the address that this client used, or at `public_url`. Host headers are used
only in the response to the same request and only if they are valid host names. X-Forwarded-* headers are used only if
the options say that a trusted proxy sets them.
"""

from __future__ import annotations

import re

from aiohttp import web

from gateway.http.state import OPTIONS

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def base_url(request: web.Request) -> str:
    """Scheme and authority of the gateway as the client knows it, without a trailing slash."""
    options = request.app[OPTIONS]
    if options.public_url:
        return options.public_url
    scheme, host = request.scheme, request.headers.get("Host", "")
    if options.trust_forwarded:
        scheme = _first(request, "X-Forwarded-Proto", scheme).lower()
        host = _first(request, "X-Forwarded-Host", host)
    if not _HOST.fullmatch(host):
        host = _own_address(request)
    return f"{scheme if scheme in {'http', 'https'} else request.scheme}://{host}"


def _first(request: web.Request, name: str, otherwise: str) -> str:
    """The first item of a list to which each proxy appends: what the client itself requested."""
    return request.headers.get(name, otherwise).split(",")[0].strip()


def _own_address(request: web.Request) -> str:
    name = request.transport.get_extra_info("sockname") if request.transport else None
    if not name:
        return "localhost"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
