"""Limits as stores publish them, and uploads that are planned with them."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.app import build_app
from gateway.options import GatewayOptions
from gateway.server import listening
from pipeline.adapters.object_store.limits import SWIFT_LIMITS
from pipeline.bootstrap import gateway_services
from pipeline.core.segments import StoreLimits
from pipeline.settings import Settings
from tests.contract.object_store.dialects import swift_client
from tests.contract.object_store.faulty_server import DEADLINE_SECONDS, STALL_SECONDS, FaultyStore, Handler, respond
from tests.contract.object_store.uploads import PRESETS, Store

pytestmark = pytest.mark.contract

MEBIBYTE = 1024 * 1024
SMALL = StoreLimits(50, 1, 2 * MEBIBYTE, 100 * MEBIBYTE)


def publish(limits: StoreLimits) -> Handler:
    info = {
        "swift": {"max_file_size": limits.max_segment_bytes},
        "slo": {"max_manifest_segments": limits.max_segments, "min_segment_size": limits.min_segment_bytes},
    }
    return respond(200, {"Content-Type": "application/json"}, json.dumps(info).encode())


async def test_every_store_has_limits(store: Store) -> None:
    """A Swift with default settings publishes the presets, except that its `max_file_size` is 5 GiB + 2 bytes; Ceph's
    is 5 GiB."""
    limits, preset = await store.limits(), PRESETS[store.name]
    assert (limits.max_segments, limits.min_segment_bytes) == (preset.max_segments, preset.min_segment_bytes)
    assert limits.max_segment_bytes - preset.max_segment_bytes in ((0, 2) if store.name == "swift" else (0,))
    assert limits.max_object_bytes == preset.max_object_bytes


async def test_concurrent_callers_read_info_once(faulty: FaultyStore) -> None:
    faulty.info = publish(SMALL)
    async with swift_client(faulty.url) as client:
        assert await asyncio.gather(*(client.limits() for _ in range(10))) == [SMALL] * 10
        assert await client.limits() == SMALL
    assert faulty.info_requests == 1


@pytest.mark.parametrize("fault", ["not found", "unavailable", "not JSON", "hangs", "login refused", "login hangs"])
async def test_the_presets_apply_without_info(faulty: FaultyStore, fault: str) -> None:
    match fault:
        case "unavailable":
            faulty.info = respond(503, {"Retry-After": "1"})
        case "not JSON":
            faulty.info = respond(200, body=b"<html>a captive portal</html>")
        case "hangs":
            faulty.info = faulty.hang
        case "login refused":
            faulty.auth_fault = respond(401)
        case "login hangs":
            faulty.auth_fault = faulty.hang
    seconds = STALL_SECONDS if "hangs" in fault else DEADLINE_SECONDS
    async with asyncio.timeout(DEADLINE_SECONDS), swift_client(faulty.url, seconds) as client:
        assert await client.limits() == SWIFT_LIMITS
        assert await client.limits() == SWIFT_LIMITS
    assert faulty.info_requests == (0 if fault.startswith("login") else 1)


async def test_the_presets_apply_without_a_server() -> None:
    async with swift_client("http://127.0.0.1:9") as client:
        assert await client.limits() == SWIFT_LIMITS


async def test_an_upload_is_planned_with_published_limits(
    faulty: FaultyStore, redis_url: str, redis_namespace: str, database_url: str, tmp_path: Path
) -> None:
    """What fits the presets may be too large for this cluster; that is known before the first byte is sent."""
    faulty.info = publish(SMALL)
    settings = Settings(
        redis_url=redis_url,
        redis_namespace=redis_namespace,
        database_url=database_url,
        volume=f"v{uuid.uuid4().hex[:8]}",
        swift_auth="v1",
        swift_auth_url=faulty.auth_url,
        swift_user="u",
        temp_dir=tmp_path,
        temp_budget_bytes=1024 * MEBIBYTE,
        temp_headroom_bytes=0,
        segment_bytes=MEBIBYTE,
    )
    async with (
        gateway_services(settings) as services,
        listening(build_app(services, GatewayOptions()), "127.0.0.1", 0) as served,
        aiohttp.ClientSession() as session,
    ):

        async def create(size: int) -> dict[str, Any]:
            body = {"filename": "a.mp4", "size": size, "content_type": "video/mp4"}
            async with session.post(f"{served.url}/v1/uploads", json=body) as response:
                envelope: dict[str, Any] = await response.json()
                return envelope

        small = (await create(10 * MEBIBYTE))["data"]
        assert (small["segment_size"], small["segment_count"]) == (MEBIBYTE, 10)
        large = (await create(SMALL.max_object_bytes))["data"]
        assert (large["segment_size"], large["segment_count"]) == (2 * MEBIBYTE, 50)
        refused = await create(SMALL.max_object_bytes + 1)
        assert refused["status"] == 413, refused
        assert "FILE_TOO_LARGE_FOR_STORE" in json.dumps(refused)
    assert faulty.info_requests == 1
