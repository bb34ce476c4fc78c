"""The limits and the end of an upload, as the two protocols announce them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import format_datetime

from aiohttp import web

from gateway.http.state import OPTIONS
from gateway.protocols.dialects import Dialect
from pipeline.uploads.lookup import UploadDetail


def limit_field(request: web.Request, dialect: Dialect, detail: UploadDetail | None) -> str:
    """Upload-Limit of the draft. `detail`: of the upload that the response is about. An empty file is no media, so the
    smallest upload has one byte."""
    members = {"min-size": 1}
    if most := request.app[OPTIONS].append_limit_bytes:
        members["max-append-size"] = most
    if detail is not None and detail.upload.deferred is not None:
        members["max-size"] = detail.upload.most_bytes
    if detail is not None and detail.expires_at_ms is not None:
        name = "expires" if dialect.is_early else "max-age"
        members[name] = max(0, detail.expires_at_ms // 1000 - int(time.time()))
    return ", ".join(f"{name}={value}" for name, value in members.items())


def expires_header(detail: UploadDetail) -> dict[str, str]:
    """Upload-Expires of tus, while the upload expects bytes of its client."""
    if detail.expires_at_ms is None:
        return {}
    return {"Upload-Expires": format_datetime(datetime.fromtimestamp(detail.expires_at_ms // 1000, UTC), usegmt=True)}
