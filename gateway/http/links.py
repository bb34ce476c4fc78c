"""Absolute links to what the gateway serves.

Guarantee: a link leads to the gateway as this client reached it, or as `public_url` says. What a request claims is used
only in the answer to it, only when it looks like a host at all, and X-Forwarded-* only when a proxy that sets both is
known to be in front.
"""

from __future__ import annotations

import re

from aiohttp import web

from gateway.options import OPTIONS
from schemas.uploads import UploadLinks

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def base_url(request: web.Request) -> str:
    """Scheme and authority of the gateway as the client knows it, without a slash at the end."""
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


def upload_links(base: str, upload_id: str, content_id: str | None) -> UploadLinks:
    upload = f"{base}/v1/uploads/{upload_id}"
    return UploadLinks(
        self=upload,
        events=f"{upload}/events",
        segment=f"{upload}/segments/{{number}}",
        content=f"{base}/v1/contents/{content_id}" if content_id else None,
    )


def _first(request: web.Request, name: str, otherwise: str) -> str:
    """The first of a list that each proxy on the way added to: what the client itself asked for."""
    return request.headers.get(name, otherwise).split(",")[0].strip()


def _own_address(request: web.Request) -> str:
    name = request.transport.get_extra_info("sockname") if request.transport else None
    if not name:
        return "localhost"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
