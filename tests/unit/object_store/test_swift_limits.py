"""When a Swift store reads `/info`, with a clock set by the test."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from pipeline.adapters.object_store.limits import SWIFT_LIMITS
from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.info import SwiftInfo
from pipeline.adapters.object_store.swift.options import SwiftOptions
from pipeline.core.errors import StoreError, StoreUnavailable
from pipeline.core.segments import StoreLimits

pytestmark = pytest.mark.unit

OPTIONS = SwiftOptions(info_seconds=60, info_refresh_seconds=3600, info_retry_seconds=60)


class Cluster:
    """Stands in for `SwiftHttp`: waits for `gate`, then returns `body` or raises `error`."""

    def __init__(self) -> None:
        self.requests = 0
        self.now = 1000.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.body = b""
        self.publish(50)

    def publish(self, max_segments: int) -> None:
        slo = {"max_manifest_segments": max_segments}
        self.body = json.dumps({"swift": {"max_file_size": 100}, "slo": slo}).encode()

    async def info_urls(self) -> list[str]:
        return ["http://cluster/info"]

    async def info(self, url: str) -> bytes:
        self.requests += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.body

    def limits(self, options: SwiftOptions = OPTIONS) -> SwiftInfo:
        return SwiftInfo(cast(SwiftHttp, cast(Any, self)), options, clock=lambda: self.now)


async def limits_of(info: SwiftInfo) -> StoreLimits:
    return (await info.current()).limits


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def published(max_segments: int) -> StoreLimits:
    return StoreLimits(max_segments, 1, 100, max_segments * 100)


async def test_published_limits_are_read_once_an_hour(cluster: Cluster) -> None:
    limits = cluster.limits()
    assert await limits_of(limits) == published(50)
    cluster.publish(60)
    cluster.now += 3599
    assert await limits_of(limits) == published(50)
    assert cluster.requests == 1
    cluster.now += 1
    assert await limits_of(limits) == published(60)
    assert cluster.requests == 2


async def test_concurrent_callers_share_one_request(cluster: Cluster) -> None:
    cluster.gate.clear()
    limits = cluster.limits()
    callers = [asyncio.create_task(limits_of(limits)) for _ in range(20)]
    await asyncio.sleep(0)
    callers[0].cancel()
    await asyncio.sleep(0)
    cluster.gate.set()
    assert await asyncio.gather(*callers[1:]) == [published(50)] * 19
    assert callers[0].cancelled()
    assert cluster.requests == 1


@pytest.mark.parametrize(
    "error", [StoreUnavailable(reason="503"), StoreError("STORE_AUTH_FAILED", reason="403"), TimeoutError(), None]
)
async def test_after_a_failure_the_presets_apply_until_the_next_request_succeeds(
    cluster: Cluster, error: Exception | None
) -> None:
    cluster.error = error
    cluster.body = b"<html>a captive portal</html>"
    limits = cluster.limits()
    for _ in range(3):
        assert await limits_of(limits) == SWIFT_LIMITS
        cluster.now += 19
    assert cluster.requests == 1
    cluster.now += 3
    cluster.error = None
    cluster.publish(50)
    assert await limits_of(limits) == published(50)


async def test_a_failed_refresh_keeps_the_last_published_limits(cluster: Cluster) -> None:
    limits = cluster.limits()
    await limits_of(limits)
    cluster.error = StoreUnavailable(reason="down")
    cluster.now += 3600
    assert await limits_of(limits) == published(50)
    assert cluster.requests == 2


async def test_a_cluster_that_hangs_delays_only_the_first_caller(cluster: Cluster) -> None:
    cluster.gate.clear()
    limits = cluster.limits(SwiftOptions(info_seconds=0.01))
    assert await limits_of(limits) == SWIFT_LIMITS
    assert await limits_of(limits) == SWIFT_LIMITS
    assert cluster.requests == 1


async def test_closing_cancels_a_request_in_flight(cluster: Cluster) -> None:
    cluster.gate.clear()
    limits = cluster.limits()
    caller = asyncio.create_task(limits_of(limits))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await limits.aclose()
    with pytest.raises(asyncio.CancelledError):
        await caller
