"""Deleting a content removes its row, object, segments and thumbnail; what cannot be removed now is removed later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from deploy.embedded import EmbeddedStack
from pipeline.adapters.postgres.deletions import PostgresDeletionRepository
from pipeline.adapters.postgres.pool import LazyPool
from tests.harness.cell import Cell, eventually
from tests.harness.media_samples import long_video
from tests.harness.outages import killed
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

SEGMENT_BYTES = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def video() -> bytes:
    return long_video(SEGMENT_BYTES + 2**20)


@dataclass
class Cache:
    """Accepts purges; while it is `down` it responds 503."""

    url: str = ""
    down: bool = False
    purged: list[str] = field(default_factory=list)


@asynccontextmanager
async def cache_to_purge() -> AsyncIterator[Cache]:
    cache = Cache()

    async def take(request: web.Request) -> web.Response:
        assert request.method == "PURGE"
        if cache.down:
            return web.Response(status=503)
        cache.purged.append(request.match_info["key"])
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/purge/{key:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    cache.url = f"http://127.0.0.1:{runner.addresses[0][1]}/purge/{{key}}"
    try:
        yield cache
    finally:
        await runner.cleanup()


async def upload(cell: Cell, video: bytes) -> dict[str, Any]:
    view = await cell.upload(video, filename="gone.mkv", content_type="video/x-matroska")
    return await cell.content(view["content_id"])


async def leftovers(cell: Cell) -> list[dict[str, Any]]:
    _, body, _ = await cell.call("GET", "/v1/leftovers", expect=200)
    items: list[dict[str, Any]] = body["data"]["items"]
    return items


@pytest.mark.parametrize("store", ["swift", "s3", "filesystem"])
async def test_a_deleted_content_leaves_nothing(servers: Servers, tmp_path: Path, video: bytes, store: str) -> None:
    async with running_cell(
        servers,
        tmp_path,
        store=store,
        s3_bucket=f"out-{tmp_path.name.replace('_', '-')}",
        filesystem_dir=str(tmp_path / "store"),
        segment_bytes=SEGMENT_BYTES,
    ) as cell:
        kept, doomed = await upload(cell, video), await upload(cell, video)
        assert doomed["object"]["segment_count"] > 1
        name = doomed["id"]
        assert any(name in key for key in await cell.stored_keys())
        _, body, _ = await cell.call("DELETE", f"/v1/contents/{name}", expect=200)
        assert body["data"] == {"id": name, "leftover": False}
        assert not any(name in key for key in await cell.stored_keys())
        assert await leftovers(cell) == []
        for method, path in (("GET", ""), ("GET", "/download"), ("GET", "/segments"), ("DELETE", "")):
            _, body, _ = await cell.call(method, f"/v1/contents/{name}{path}", expect=404)
            assert body["error"]["code"] == "CONTENT_NOT_FOUND"
        assert await cell.read(kept["object"]["key"]) == video

        # As after a process that was killed half-way: the object's name is gone, its segments are still stored.
        name = kept["id"]
        await _forget_manifest(cell, kept)
        await cell.call("DELETE", f"/v1/contents/{name}", expect=200)
        assert await cell.stored_keys() == []


async def _forget_manifest(cell: Cell, content: dict[str, Any]) -> None:
    """Remove the manifest and leave the segments, where the store has manifests; elsewhere delete the object."""
    key = content["object"]["key"]
    if cell.settings.store == "swift":
        login = {
            "X-Auth-User": cell.environment["SLUICE_SWIFT_USER"],
            "X-Auth-Key": cell.environment["SLUICE_SWIFT_PASSWORD"],
        }
        async with cell.http.get(cell.environment["SLUICE_SWIFT_AUTH_URL"], headers=login) as answer:
            base, token = answer.headers["X-Storage-Url"], answer.headers["X-Auth-Token"]
        url = f"{base}/{cell.settings.swift_container}/{key}"
        async with cell.http.delete(url, headers={"X-Auth-Token": token}) as answer:
            assert answer.status == 204
        assert any(name.startswith("segment:") for name in await cell.stored_keys())
    else:
        await cell.store.delete(key)


async def test_an_unavailable_cache_leaves_a_pending_deletion_until_it_is_back(
    servers: Servers, tmp_path: Path, video: bytes
) -> None:
    async with (
        cache_to_purge() as cache,
        running_cell(
            servers,
            tmp_path,
            store="filesystem",
            filesystem_dir=str(tmp_path / "store"),
            segment_bytes=SEGMENT_BYTES,
            cdn_purge_url=cache.url,
        ) as cell,
    ):
        content = await upload(cell, video)
        cache.down = True
        _, body, _ = await cell.call("DELETE", f"/v1/contents/{content['id']}", expect=200)
        assert body["data"]["leftover"] is True
        assert await cell.stored_keys() == []  # the store is cleared nevertheless
        (left,) = await leftovers(cell)
        assert (left["content_id"], left["error_code"]) == (content["id"], "CACHE_PURGE_FAILED")
        assert left["attempts"] >= 1

        cache.down = False

        async def gone() -> bool:
            return not await leftovers(cell)

        await eventually(gone, 30, lambda: "the pending deletion to be done")
        assert set(cache.purged) == {content["object"]["key"], content["thumbnail"]["key"]}


@pytest.mark.parametrize("store", ["swift", "s3"])
async def test_an_unavailable_store_leaves_a_pending_deletion_until_it_is_back(
    own_servers: EmbeddedStack, tmp_path: Path, video: bytes, store: str
) -> None:
    async with running_cell(own_servers, tmp_path / "cell", store=store, segment_bytes=SEGMENT_BYTES) as cell:
        kept, doomed = await upload(cell, video), await upload(cell, video)
        (proxy,) = [name for name in own_servers.processes() if "proxy" in name]
        with killed(own_servers, proxy):
            _, body, _ = await cell.call("DELETE", f"/v1/contents/{doomed['id']}", expect=200)
            assert body["data"] == {"id": doomed["id"], "leftover": True}
            (left,) = await leftovers(cell)
            assert (left["content_id"], left["error_code"]) == (doomed["id"], "STORE_UNAVAILABLE")
            await cell.call("GET", f"/v1/contents/{doomed['id']}", expect=404)

            async def tried_again() -> bool:
                return bool((await leftovers(cell))[0]["attempts"] > 1)

            await eventually(tried_again, 60, lambda: "the workers to try while the store is unavailable")

        async def gone() -> bool:
            return not await leftovers(cell)

        await eventually(gone, 60, lambda: "the pending deletion to be done")
        assert not any(doomed["id"] in key for key in await cell.stored_keys())
        assert await cell.read(kept["object"]["key"]) == video
        await cell.until_clean()


async def test_a_worker_finishes_a_deletion_whose_gateway_died(servers: Servers, tmp_path: Path, video: bytes) -> None:
    """The gateway had only moved the row, and its lease has ended."""
    async with running_cell(servers, tmp_path, store="swift", segment_bytes=SEGMENT_BYTES) as cell:
        content = await upload(cell, video)
        pool = LazyPool(cell.settings.database_url.get_secret_value(), 1)
        try:
            await PostgresDeletionRepository(pool).begin(content["id"], 0.0, None)
        finally:
            pool.terminate()
        await cell.call("GET", f"/v1/contents/{content['id']}", expect=404)

        async def clear() -> bool:
            return await cell.stored_keys() == [] and not await leftovers(cell)

        await eventually(clear, 30, lambda: "the worker to finish the deletion")
