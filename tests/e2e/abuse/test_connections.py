"""Connections that cost the client nothing, beside twenty honest uploads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.cli.processes import GATEWAY
from tests.e2e.abuse.conftest import Site, guarded, site_of
from tests.harness.abuse import Abuse, event_streams, honest, idle_sockets, slow_downloads, slow_loris, stalled_bodies
from tests.harness.cell import Cell, eventually
from tests.harness.media_samples import long_video, sample
from tests.harness.running import CellProcesses
from tests.harness.shared_stack import Servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CONNECTIONS = 600
_MEBIBYTE = 1024 * 1024
_RESERVE = 300
"""Descriptors beside connections: files, Redis, PostgreSQL, the store."""
_STOP_SECONDS = 40.0


@pytest.fixture(scope="module")
def bounded(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    with guarded(
        servers, tmp_path_factory.mktemp("connections"), connections=CONNECTIONS, segment_stall_seconds=10
    ) as started:
        yield started


@pytest.fixture
async def bounded_site(bounded: CellProcesses) -> AsyncIterator[Site]:
    async with site_of(bounded) as site:
        yield site


@pytest.mark.parametrize(
    "abuse",
    [idle_sockets(1000), slow_loris(200), stalled_bodies(200)],
    ids=["1,000 idle sockets", "200 heads that never end", "200 stalled bodies"],
)
async def test_twenty_honest_uploads_finish(bounded_site: Site, abuse: Abuse) -> None:
    site = bounded_site
    log_before = site.log_bytes()
    async with abuse(site.mallory):
        await site.honest(20, seconds=120)
        assert site.gateway().num_fds() <= CONNECTIONS + _RESERVE
        async with site.cell.http.get(f"{site.cell.url}/readyz") as ready:
            assert ready.status == 200, await ready.text()
    assert site.log_bytes() - log_before < 4 * _MEBIBYTE


async def test_all_of_them_together(bounded_site: Site) -> None:
    mallory = bounded_site.mallory
    async with idle_sockets(1000)(mallory), slow_loris(200)(mallory), stalled_bodies(200)(mallory):
        await bounded_site.honest(20, seconds=120)
        assert bounded_site.gateway().num_fds() <= CONNECTIONS + _RESERVE


async def test_two_thousand_event_streams(site: Site) -> None:
    async with event_streams(2000)(site.mallory) as counted:
        assert counted.open <= site.cell.settings.owner_streams
        assert counted.responses["429"] > 0, counted.responses
        assert 0 < site.redis_connections() <= site.cell.settings.redis_connections + 32
        async with asyncio.timeout(60):
            await site.alice.call("GET", "/v1/uploads", expect=200)
        await site.honest(2)


async def _large_content(cell: Cell) -> str:
    data = long_video(24 * _MEBIBYTE)
    upload = await cell.create(len(data), filename="large.mkv", content_type="video/matroska")
    await cell.until(upload["id"], "admitted")
    await cell.put_all(upload, data)
    return str((await cell.until(upload["id"], "ready"))["id"])


async def test_slow_downloads_do_not_exclude_another_owner(site: Site) -> None:
    async with slow_downloads(256, _large_content)(site.mallory) as counted:
        assert counted.open <= site.cell.settings.owner_downloads, counted.responses
        content = await site.alice.upload(sample("mp4").read_bytes())
        async with asyncio.timeout(30):
            path = f"/v1/contents/{content['id']}/download?via=gateway"
            async with site.alice.http.get(site.cell.url + path) as response:
                assert response.status == 200, await response.text()
                assert await response.read() == sample("mp4").read_bytes()
        await site.honest()


async def test_sigterm_ends_an_abused_gateway(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> None:
    with guarded(servers, tmp_path_factory.mktemp("sigterm")) as started:
        async with site_of(started) as site:
            await honest(site.alice, long_video(_MEBIBYTE))
            async with (
                slow_downloads(32, _large_content)(site.mallory),
                event_streams(64)(site.mallory),
                stalled_bodies(100)(site.mallory),
                slow_loris(100)(site.mallory),
                idle_sockets(200)(site.mallory),
            ):
                process = site.gateway()
                loop = asyncio.get_running_loop()
                began = loop.time()
                process.terminate()

                async def ended() -> bool:
                    return started.processes.child(GATEWAY).pid is None

                await eventually(ended, 90, lambda: "the gateway to end")
                assert loop.time() - began <= _STOP_SECONDS
