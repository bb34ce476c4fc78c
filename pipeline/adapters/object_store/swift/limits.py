"""What a cluster lets an object consist of, read from `/info` (swift.common.middleware.slo,
swift.proxy.controllers.info)."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
from yarl import URL

from pipeline.adapters.object_store.http.errors import driver_errors
from pipeline.core.segments import StoreLimits


async def read_limits(
    session: aiohttp.ClientSession, storage_url: str, fallback: StoreLimits, timeout_seconds: float
) -> StoreLimits:
    """The cluster's limits; `fallback` when `/info` is closed (`expose_info = false`) or is not Swift's. Raises
    StoreUnavailable."""
    url = URL(storage_url).origin() / "info"
    with driver_errors(f"GET {url}"):
        async with session.get(
            url, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=timeout_seconds)
        ) as response:
            if response.status != 200:
                return fallback
            body = await response.read()
    return parse_info(body, fallback)


def parse_info(body: bytes, fallback: StoreLimits) -> StoreLimits:
    try:
        info: dict[str, Any] = json.loads(body)
        slo, swift = info.get("slo", {}), info.get("swift", {})
        max_segments = int(slo.get("max_manifest_segments", fallback.max_segments))
        max_segment_bytes = int(swift.get("max_file_size", fallback.max_segment_bytes))
        min_segment_bytes = int(slo.get("min_segment_size", fallback.min_segment_bytes))
    except (ValueError, TypeError, AttributeError):
        return fallback
    return StoreLimits(max_segments, max(1, min_segment_bytes), max_segment_bytes, max_segments * max_segment_bytes)
