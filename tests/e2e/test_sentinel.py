"""The machine of Redis is lost while clients send: a replica takes over, and every upload becomes `ready`.

The replicas do not have what the primary acknowledged last. The journals do, so no client sends it again.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded.ffmpeg import ffmpeg_path
from pipeline.core.lifecycle import Status
from tests.harness.cell import Cell, eventually
from tests.harness.running import running_cell
from tests.harness.sentinel import SentinelCluster, sentinel_cluster
from tests.harness.shared_stack import Servers
from tests.programs.bench.samples import make_large_video

pytestmark = pytest.mark.e2e

_UPLOADS = 8
_SEGMENTS = 9  # Swift sends the segments of a manifest slowly after the tenth
_SEGMENT_BYTES = 64 * 1024
_PAUSE_SECONDS = 0.1
_SECONDS = 120.0
# What a client may receive while Redis is replaced. It repeats the request.
_PASSING = {"REDIS_UNAVAILABLE", "UPLOAD_RECOVERING", "VOLUME_RECOVERING"}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[SentinelCluster]:
    with sentinel_cluster(tmp_path / "redis") as started:
        yield started


async def repeated(cell: Cell, method: str, path: str, **options: Any) -> dict[str, Any]:
    """Send a request until it succeeds, as clients do; what it returns."""
    async with asyncio.timeout(_SECONDS):
        while True:
            status, body, _ = await cell.call(method, path, **options)
            if status < 300:
                data: dict[str, Any] = body["data"]
                return data
            assert body["error"]["code"] in _PASSING, body
            await asyncio.sleep(_PAUSE_SECONDS)


async def send(cell: Cell, upload: Mapping[str, Any], data: bytes, numbers: Sequence[int]) -> None:
    for number in numbers:
        part = data[(number - 1) * _SEGMENT_BYTES : number * _SEGMENT_BYTES]
        await repeated(cell, "PUT", f"/v1/uploads/{upload['id']}/segments/{number}", data=part)


async def ready(cell: Cell, upload: Mapping[str, Any]) -> None:
    view: dict[str, Any] = {}

    async def is_ready() -> bool:
        nonlocal view
        view = await repeated(cell, "GET", f"/v1/uploads/{upload['id']}")
        assert view["missing_segments"] == [], "a segment that was acknowledged is requested again"
        assert view["status"] in ("receiving", "processing", "ready"), view
        return bool(view["status"] == "ready")

    await eventually(is_ready, _SECONDS, lambda: f"upload to be ready: {view}")


async def test_the_primary_is_killed_and_uploads_continue(
    servers: Servers, cluster: SentinelCluster, tmp_path: Path
) -> None:
    path = tmp_path / "film.mp4"
    make_large_video(ffmpeg_path(), path, _SEGMENTS * _SEGMENT_BYTES - 1000)
    video = path.read_bytes()
    async with running_cell(servers, tmp_path, redis_url=cluster.url, segment_bytes=_SEGMENT_BYTES) as cell:
        uploads = [await cell.create(len(video)) for _ in range(_UPLOADS)]
        numbers, third = range(1, _SEGMENTS + 1), _SEGMENTS // 3
        await asyncio.gather(*(send(cell, upload, video, numbers[:third]) for upload in uploads))

        old = cluster.primary()
        cluster.stop_replicating(old)
        late = await cell.create(len(video))
        await asyncio.gather(*(send(cell, upload, video, numbers[third : 2 * third]) for upload in uploads))
        await send(cell, late, video, numbers[: 2 * third])
        assert cluster.lag_bytes(old) > 0, "the replicas have everything"

        rest = [asyncio.create_task(send(cell, upload, video, numbers[2 * third :])) for upload in [*uploads, late]]
        cluster.servers[old].stop(signal.SIGKILL)
        cluster.sentinels[old].stop(signal.SIGKILL)
        await asyncio.gather(*rest)
        await asyncio.gather(*(ready(cell, upload) for upload in [*uploads, late]))
        assert cluster.primary() != old

        for upload in [*uploads, late]:
            content = await cell.content(upload["id"])
            assert await cell.read(content["object"]["key"]) == video
        assert await cell.redis.zcard(cell.keys.status(Status.READY)) == len(uploads) + 1
        await cell.until_clean()
