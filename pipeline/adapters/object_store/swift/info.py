"""What a Swift cluster publishes of itself at `/info` (swift.proxy.controllers.info): its limits, and the digests of
TempURLs.

Guarantee: `current` never raises and waits at most `SwiftOptions.info_seconds`. Until the cluster has published, the
presets apply and the digests are unknown; after that what it published last, also while it is unavailable.

Why limits are read before an upload begins: a cluster with smaller limits than the presets would refuse the manifest,
when the whole file has been transferred.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pipeline.adapters.object_store.guard import only_sluice_errors
from pipeline.adapters.object_store.limits import SWIFT_LIMITS
from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.options import SwiftOptions
from pipeline.adapters.object_store.swift.single_flight import SingleFlight
from pipeline.core.errors import StoreError
from pipeline.core.segments import StoreLimits

# As many as S3 allows, whatever a cluster publishes: a manifest must stay below `max_manifest_size` (8 MiB).
MAX_SEGMENTS = 10_000


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """`tempurl_digests`: the digests that TempURLs may have; None: the cluster does not say."""

    limits: StoreLimits = SWIFT_LIMITS
    tempurl_digests: frozenset[str] | None = None


class SwiftInfo:
    """Requests `/info` when it is needed: at most once an hour, or once a minute while that fails."""

    def __init__(self, http: SwiftHttp, options: SwiftOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._options = options
        self._clock = clock
        self._info = ClusterInfo()
        self._request_at = clock()
        self._flight = SingleFlight(self._refresh, "swift-info")

    async def current(self) -> ClusterInfo:
        """What applies to a new upload or URL. Concurrent callers cause one request."""
        if self._clock() >= self._request_at:
            await self._flight.join()
        return self._info

    async def aclose(self) -> None:
        """Cancel a request in flight. Idempotent."""
        await self._flight.aclose()

    async def _refresh(self) -> None:
        published: ClusterInfo | None = None
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(self._options.info_seconds):
                with only_sluice_errors("GET /info"):
                    published = await self._published()
        pause_seconds = self._options.info_retry_seconds
        if published is not None:
            self._info = published
            pause_seconds = self._options.info_refresh_seconds
        self._request_at = self._clock() + pause_seconds

    async def _published(self) -> ClusterInfo | None:
        """From the first place that has it. Raises the last error when no place has."""
        failure: StoreError | None = None
        for url in await self._http.info_urls():
            try:
                with only_sluice_errors(f"GET {url}"):
                    if (found := parse_info(await self._http.info(url))) is not None:
                        return found
            except StoreError as error:
                failure = error
        if failure is not None:
            raise failure
        return None


def parse_info(body: bytes) -> ClusterInfo | None:
    """The body of `/info`; None when that is not Swift's, or its limits contradict each other.

    A value that is missing or not a positive whole number is replaced by its preset. An object is never planned larger
    than the preset, which is the largest that was considered.
    """
    try:
        info: Any = json.loads(body)
    except (ValueError, RecursionError):
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
    limits = StoreLimits(max_segments, min_segment_bytes, max_segment_bytes, max_object_bytes)
    return ClusterInfo(limits, _digests(info.get("tempurl")))


def _positive(section: object, name: str, preset: int) -> int:
    value = section.get(name) if isinstance(section, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else preset


def _digests(tempurl: object) -> frozenset[str] | None:
    """A server that publishes TempURLs but no digests has only SHA-1: Swift published them when it got a second one,
    and Ceph 16 has one. Operators may hide the whole section (`disallowed_sections`)."""
    if not isinstance(tempurl, dict):
        return None
    allowed = tempurl.get("allowed_digests")
    return frozenset(map(str, allowed)) if isinstance(allowed, list) else frozenset({"sha1"})
