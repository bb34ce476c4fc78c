"""Requests that create uploads, and the permits for them."""

from __future__ import annotations

from typing import Any

from tests.integration.gateway.site import Site
from tests.integration.gateway.truth import Response

FILE = {"filename": "a.mp4", "size": 150_000, "content_type": "video/mp4"}


async def permit(site: Site, **limits: Any) -> str:
    response = await site.as_("key of the owner", "POST", "/v1/permits", json=limits)
    assert response.status == 201, response.body
    token: str = response.data["token"]
    return token


async def create(site: Site, credential: str, idempotency_key: str | None = None, **changes: Any) -> Response:
    headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
    return await site.with_(credential, "POST", "/v1/uploads", json=FILE | changes, headers=headers)
