"""The limits that a Swift cluster publishes at `/info` (swift.common.middleware.slo, swift.proxy.controllers.info).

Guarantee: `current` never raises and waits at most `SwiftOptions.info_seconds`. Until the cluster has published limits,
the presets apply; after that the last published ones, also while the cluster is unavailable.

Why they are read before an upload begins: a cluster with smaller limits than the presets would refuse the manifest,
when the whole file has been transferred.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from pipeline.adapters.object_store.limits import SWIFT_LIMITS
from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.options import SwiftOptions
from pipeline.adapters.object_store.swift.single_flight import SingleFlight
from pipeline.core.errors import StoreError
from pipeline.core.segments import StoreLimits

# As many as S3 allows, whatever a cluster publishes: a manifest must stay below `max_manifest_size` (8 MiB).
MAX_SEGMENTS = 10_000


class SwiftLimits:
    """Requests `/info` when limits are needed: at most once an hour, or once a minute while that fails."""

    def __init__(self, http: SwiftHttp, options: SwiftOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._options = options
        self._clock = clock
        self._limits = SWIFT_LIMITS
        self._request_at = clock()
        self._flight = SingleFlight(self._refresh, "swift-info")

    async def current(self) -> StoreLimits:
        """The limits for a new upload. Concurrent callers cause one request."""
        if self._clock() >= self._request_at:
            await self._flight.join()
        return self._limits

    async def aclose(self) -> None:
        """Cancel a request in flight. Idempotent."""
        await self._flight.aclose()

    async def _refresh(self) -> None:
        pause_seconds = self._options.info_retry_seconds
        try:
            async with asyncio.timeout(self._options.info_seconds):
                published = parse_info(await self._http.info())
        except (StoreError, TimeoutError, ValueError):  # ValueError: the login returned an invalid URL
            published = None
        if published is not None:
            self._limits = published
            pause_seconds = self._options.info_refresh_seconds
        self._request_at = self._clock() + pause_seconds


def parse_info(body: bytes) -> StoreLimits | None:
    """Limits from the body of `/info`; None when that is not Swift's, or its limits contradict each other.

    A value that is missing or not a positive whole number is replaced by its preset. An object is never planned larger
    than the preset, which is the largest that was considered.
    """
    try:
        info: Any = json.loads(body)
    except ValueError:
        return None
    if not isinstance(info, dict) or not isinstance(info.get("swift"), dict):
        return None
    slo = info.get("slo")
    max_segment_bytes = _positive(info["swift"], "max_file_size", SWIFT_LIMITS.max_segment_bytes)
    max_segments = min(_positive(slo, "max_manifest_segments", SWIFT_LIMITS.max_segments), MAX_SEGMENTS)
    min_segment_bytes = _positive(slo, "min_segment_size", SWIFT_LIMITS.min_segment_bytes)
    if min_segment_bytes > max_segment_bytes:
        return None
    max_object_bytes = min(max_segments * max_segment_bytes, SWIFT_LIMITS.max_object_bytes)
    return StoreLimits(max_segments, min_segment_bytes, max_segment_bytes, max_object_bytes)


def _positive(section: object, name: str, preset: int) -> int:
    value = section.get(name) if isinstance(section, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else preset
