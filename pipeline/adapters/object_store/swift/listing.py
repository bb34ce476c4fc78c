"""Listings of a container."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from pipeline.adapters.object_store.http.paging import every_item
from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.layout import container_path


def entries(http: SwiftHttp, container: str, prefix: str, page_names: int) -> AsyncIterator[Mapping[str, Any]]:
    """Every entry (name, bytes, hash, ...) whose name begins with `prefix`; none when the container does not exist.

    A page may be shorter than requested; only an empty one is the end. Listings may lag behind what was stored.
    """
    path = container_path(container)

    async def fetch(marker: str | None) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        query = {"format": "json", "limit": str(page_names)}
        if prefix:
            query["prefix"] = prefix
        if marker:
            query["marker"] = marker
        async with http.request("GET", path, accept=(200, 204, 404), query=query) as response:
            page = json.loads(await response.read()) if response.status == 200 else []
        return page, str(page[-1]["name"]) if page else None

    return every_item(fetch)
