"""Listings of a container, page by page."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.layout import container_path


async def entries(http: SwiftHttp, container: str, prefix: str, page_names: int) -> AsyncIterator[Mapping[str, Any]]:
    """Every entry (name, bytes, hash, ...) below `prefix`; a page may be shorter than asked for, only an empty one is
    the end. A container that is not there has none. Listings may lag behind what was stored."""
    marker = ""
    while True:
        query = {"format": "json", "limit": str(page_names)}
        if prefix:
            query["prefix"] = prefix
        if marker:
            query["marker"] = marker
        path = container_path(container)
        async with http.request("GET", path, accept=(200, 204, 404), query=query) as response:
            page = json.loads(await response.read()) if response.status == 200 else []
        if not page:
            return
        for entry in page:
            yield entry
        marker = str(page[-1]["name"])
