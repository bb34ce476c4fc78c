"""A store that lets clients do less than it says: the gateway offers only what works, and everything else still works
through the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.harness.cell import Cell
from tests.harness.ceph import CephEndpoint
from tests.harness.faults.altering_proxy import AlteringProxy, Passing
from tests.harness.media_samples import long_video
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

SEGMENT_BYTES = 5 * 1024 * 1024


def refuse_puts(passing: Passing) -> None:
    if passing.method == "PUT":
        passing.status = 403


def ignore_range(passing: Passing) -> None:
    passing.headers.popall("Range", None)


def refuse_all(passing: Passing) -> None:
    passing.status = 501


async def _get(cell: Cell, path: str, **headers: str) -> tuple[int, bytes]:
    async with cell.http.get(cell.url + path, allow_redirects=False, headers=headers) as response:
        return response.status, await response.read()


async def _direct(cell: Cell) -> tuple[int, dict[str, Any]]:
    body = {"filename": "a.mp4", "size": 1000, "content_type": "video/mp4", "transport": "direct"}
    status, answer, _ = await cell.call("POST", "/v1/uploads", json=body)
    return status, answer


@pytest.mark.parametrize(
    ("before", "direct", "redirects"),
    [(refuse_puts, False, True), (ignore_range, True, False), (refuse_all, False, False)],
    ids=["presigned PUT", "ranges of presigned GET", "everything presigned"],
)
async def test_only_what_works_is_offered(
    servers: Servers,
    ceph: CephEndpoint,
    tmp_path: Path,
    before: Callable[[Passing], None],
    direct: bool,
    redirects: bool,
) -> None:
    async with AlteringProxy(ceph.url) as proxy:
        proxy.before = before
        async with running_cell(
            servers,
            tmp_path,
            store="s3",
            s3_bucket=f"bucket-{tmp_path.name.replace('_', '-').lower()}"[:40].rstrip("-"),
            s3_endpoint_url=ceph.url,
            s3_public_url=proxy.url,
            s3_access_key=ceph.access_key,
            s3_secret_key=ceph.secret_key,
            segment_bytes=SEGMENT_BYTES,
        ) as cell:
            status, answer = await _direct(cell)
            if direct:
                assert status == 201
                await cell.call("DELETE", f"/v1/uploads/{answer['data']['id']}", expect=200)
            else:
                assert (status, answer["error"]["code"]) == (422, "TRANSPORT_NOT_OFFERED")
                assert "does not accept presigned requests" in answer["error"]["message"]
            video = long_video(SEGMENT_BYTES + 2**20)
            view = await cell.upload(video, filename="film.mkv", content_type="video/x-matroska")
            path = f"/v1/contents/{view['content_id']}"
            status, body = await _get(cell, f"{path}/download")
            assert status == (302 if redirects else 200)
            assert redirects or body == video
            assert (await _get(cell, f"{path}/download?via=gateway", Range="bytes=5-9"))[1] == video[5:10]
            assert (await _get(cell, f"{path}/segments/2"))[1] == video[SEGMENT_BYTES:]
            _, answer, _ = await cell.call("GET", f"{path}/segments", expect=200)
            manifest = answer["data"]
            assert (manifest["expires_at"] is not None) is redirects
            joined = await asyncio.gather(*(_segment(segment) for segment in manifest["segments"]))
            assert b"".join(joined) == video
            _, answer, _ = await cell.call("GET", "/readyz", expect=200)
            assert "presigned" in answer["data"]["warnings"]["store"]


async def test_the_reason_is_named_while_nothing_can_be_stored(
    servers: Servers, ceph: CephEndpoint, tmp_path: Path
) -> None:
    """It is the operator's to repair, and may pass: the client can try again."""
    async with AlteringProxy(ceph.url) as proxy:
        proxy.before = refuse_puts
        async with running_cell(
            servers,
            tmp_path,
            store="s3",
            s3_endpoint_url=proxy.url,
            s3_access_key=ceph.access_key,
            s3_secret_key=ceph.secret_key,
        ) as cell:
            status, answer = await _direct(cell)
            assert (status, answer["error"]["code"]) == (503, "STORE_UNAVAILABLE")
            assert "not known yet whether 's3' accepts presigned requests: " in answer["error"]["message"]


async def _segment(segment: dict[str, Any]) -> bytes:
    async with (
        aiohttp.ClientSession() as session,
        session.get(URL(segment["url"], encoded=True), headers=segment["headers"]) as response,
    ):
        return await response.read()
