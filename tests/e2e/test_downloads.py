"""Downloads from every store, byte for byte: by redirect, through the gateway, in ranges, and segment by segment."""

from __future__ import annotations

import asyncio
import hashlib
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest
from yarl import URL

from tests.harness.cell import Cell
from tests.harness.ceph import CephEndpoint
from tests.harness.media_samples import long_video, sample
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

STORES = ("swift", "s3", "s3-rgw", "filesystem")
"""`s3`: Swift's S3 API. `s3-rgw`: Ceph's object gateway."""
NAME = 'Müller & Söhne "日本" 100%;.mkv'
SENT_TYPE, NORMAL_TYPE = "Video/X-Matroska; Codecs=vp9,opus", 'video/x-matroska;codecs="vp9,opus"'
TEMPURL_KEY = "key of the tests' TempURLs"
# The minimum of S3; Swift limits the rate of manifests with many segments below 1 MiB.
SEGMENT_BYTES = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def video() -> bytes:
    """A video of more than two segments, also where segments have at least 5 MiB."""
    return long_video(2 * SEGMENT_BYTES + 2**20)


@pytest.fixture(scope="module", params=STORES)
def processes(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CellProcesses]:
    directory = tmp_path_factory.mktemp(f"out-{request.param}")
    store, _, server = request.param.partition("-")
    with cell_processes(
        servers,
        directory,
        store=store,
        s3_bucket=directory.name,
        filesystem_dir=str(directory / "store"),
        swift_tempurl_key=TEMPURL_KEY,
        segment_bytes=SEGMENT_BYTES,
        **(_rgw(request.getfixturevalue("ceph")) if server else {}),
    ) as started:
        yield started


def _rgw(ceph: CephEndpoint) -> dict[str, Any]:
    return {
        "s3_endpoint_url": ceph.url,
        "s3_region": ceph.region,
        "s3_access_key": ceph.access_key,
        "s3_secret_key": ceph.secret_key,
    }


@pytest.fixture
async def out(processes: CellProcesses) -> AsyncIterator[Cell]:
    async with processes.connected() as cell:
        yield cell


@pytest.fixture(scope="module")
def uploaded() -> dict[str, dict[str, Any]]:
    """The content of each cell, by its URL, so that the tests of one store share it."""
    return {}


@pytest.fixture
async def content(out: Cell, video: bytes, uploaded: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if out.url not in uploaded:
        view = await out.upload(video, filename=NAME, content_type=SENT_TYPE)
        assert view["segment_count"] > 2
        uploaded[out.url] = await out.content(view["content_id"])
    return uploaded[out.url]


async def fetch(
    cell: Cell, url: str, method: str = "GET", headers: Mapping[str, str] | None = None, *, follow: bool = False
) -> tuple[int, bytes, Mapping[str, str]]:
    target = URL(url if "://" in url else cell.url + url, encoded=True)
    async with cell.http.request(method, target, allow_redirects=False, headers=headers) as answer:
        if follow and answer.status == 302:
            return await fetch(cell, answer.headers["Location"], method, headers)
        return answer.status, await answer.read(), answer.headers


def named(headers: Mapping[str, str]) -> str:
    found = re.search(r"filename\*=UTF-8''([^;]+)", headers["Content-Disposition"])
    assert found is not None
    return unquote(found[1])


async def test_a_whole_download(out: Cell, content: dict[str, Any], video: bytes) -> None:
    """The download redirects to a presigned URL; without grants it streams through the gateway."""
    path = f"/v1/contents/{content['id']}/download"
    status, _, headers = await fetch(out, path)
    assert status == (200 if out.settings.store == "filesystem" else 302)
    assert headers["Cache-Control"] in ("no-store", "private, no-cache")
    status, body, headers = await fetch(out, path, follow=True)
    assert status == 200
    assert body == video
    assert named(headers) == NAME
    assert headers["Content-Disposition"].startswith("attachment;")
    assert headers["Content-Type"] == content["content_type"] == NORMAL_TYPE
    _, _, headers = await fetch(out, f"{path}?disposition=inline", follow=True)
    assert headers["Content-Disposition"].startswith("inline;")
    status, body, _ = await fetch(out, path, headers={"Range": "bytes=100-299"}, follow=True)
    assert (status, body) == (206, video[100:300])


async def test_head_requests(out: Cell, content: dict[str, Any], video: bytes) -> None:
    """The gateway responds to HEAD itself: S3 refuses HEAD with a URL presigned for GET."""
    path = f"/v1/contents/{content['id']}"
    status, body, headers = await fetch(out, f"{path}/download", "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(video)))
    assert (headers["ETag"], headers["Accept-Ranges"]) == (f'"{content["object"]["etag"]}"', "bytes")
    assert named(headers) == NAME
    status, _, headers = await fetch(out, f"{path}/download", "HEAD", {"Range": "bytes=5-9"})
    assert (status, headers["Content-Length"], "Content-Range" in headers) == (200, str(len(video)), False)
    for way in ("segments/2", "thumbnail"):
        whole = await fetch(out, f"{path}/{way}", follow=True)
        status, body, headers = await fetch(out, f"{path}/{way}", "HEAD")
        assert (status, body, headers["Content-Length"]) == (200, b"", str(len(whole[1])))


async def test_a_download_through_the_gateway(out: Cell, content: dict[str, Any], video: bytes) -> None:
    path = f"/v1/contents/{content['id']}/download?via=gateway"
    size, etag = len(video), f'"{content["object"]["etag"]}"'
    status, body, headers = await fetch(out, path)
    assert (status, body == video) == (200, True)
    assert (named(headers), headers["Content-Type"]) == (NAME, NORMAL_TYPE)
    assert (headers["ETag"], headers["Accept-Ranges"]) == (etag, "bytes")
    assert headers["Content-Length"] == str(size)
    status, body, headers = await fetch(out, path, "HEAD")
    assert (status, body, headers["Content-Length"], headers["ETag"]) == (200, b"", str(size), etag)

    border = content["object"]["size_bytes"] // 2
    for asked, first, last in (
        ("0-0", 0, 0),
        (f"{border - 5}-{border + 5}", border - 5, border + 5),
        (f"{size - 10}-", size - 10, size - 1),
        ("-7", size - 7, size - 1),
        (f"5-{10 * size}", 5, size - 1),
    ):
        status, body, headers = await fetch(out, path, headers={"Range": f"bytes={asked}"})
        assert (status, body == video[first : last + 1]) == (206, True), asked
        assert headers["Content-Range"] == f"bytes {first}-{last}/{size}"
    assert (await fetch(out, path, headers={"Range": "bytes=0-1,5-6"}))[:2] == (200, video)
    status, _, headers = await fetch(out, path, headers={"Range": f"bytes={size}-"})
    assert (status, headers["Content-Range"]) == (416, f"bytes */{size}")
    assert (await fetch(out, path, headers={"Range": "bytes=1-2", "If-Range": etag}))[:2] == (206, video[1:3])
    assert (await fetch(out, path, headers={"Range": "bytes=1-2", "If-Range": '"other"'}))[0] == 200
    assert (await fetch(out, path, headers={"If-None-Match": etag}))[:2] == (304, b"")


async def test_conditions_hold_with_and_without_a_redirect(out: Cell, content: dict[str, Any], video: bytes) -> None:
    """ETags are compared before a redirect; dates are compared by the server that sends the bytes."""
    etag = f'"{content["object"]["etag"]}"'
    for query in ("", "?via=gateway"):
        path = f"/v1/contents/{content['id']}/download{query}"
        _, _, headers = await fetch(out, path, follow=True)
        modified = headers["Last-Modified"]
        assert headers["ETag"] == etag
        assert (await fetch(out, path, headers={"If-None-Match": f'W/"x", {etag}'}))[0] == 304
        assert (await fetch(out, path, headers={"If-Match": '"other"'}))[0] == 412
        for kept in ({"If-Match": etag}, {"If-Unmodified-Since": modified}, {"If-None-Match": '"other"'}):
            assert (await fetch(out, path, headers=kept, follow=True))[:2] == (200, video), (query, kept)
        assert (await fetch(out, path, headers={"If-Modified-Since": modified}, follow=True))[:2] == (304, b"")


async def test_a_client_joins_the_segments_itself(out: Cell, content: dict[str, Any], video: bytes) -> None:
    """The segment list suffices; where the store has grants, no request goes to Sluice."""
    _, answer, _ = await out.call("GET", f"/v1/contents/{content['id']}/segments?limit=2", expect=200)
    first_page = answer["data"]
    assert (len(first_page["segments"]), first_page["next_first"]) == (2, 3)
    _, answer, _ = await out.call("GET", f"/v1/contents/{content['id']}/segments", expect=200)
    manifest = answer["data"]
    assert (manifest["size"], manifest["etag"], manifest["next_first"]) == (len(video), content["object"]["etag"], None)
    assert len(manifest["segments"]) == manifest["segment_count"] == content["object"]["segment_count"]
    granted = out.settings.store != "filesystem"
    assert (manifest["expires_at"] is not None) is granted

    async def one(session: aiohttp.ClientSession, segment: dict[str, Any]) -> bytes:
        assert segment["url"].startswith(out.url) is not granted
        async with session.get(URL(segment["url"], encoded=True), headers=segment["headers"]) as answer:
            assert answer.status in (200, 206)
            body = await answer.read()
        assert len(body) == segment["size"]
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        assert segment["digest"] == f"md5=:{b64encode(digest).decode()}:"
        assert segment["etag"] == digest.hex()
        return body

    async with aiohttp.ClientSession() as session:
        bodies = await asyncio.gather(*(one(session, segment) for segment in manifest["segments"]))
    assert b"".join(bodies) == video
    for segment in (manifest["segments"][0], manifest["segments"][-1]):
        for query in ("", "?via=gateway"):
            path = f"/v1/contents/{content['id']}/segments/{segment['number']}{query}"
            # A redirect carries no Range, so only a URL that yields the segment alone may be its target.
            status, _, _ = await fetch(out, path)
            assert status == (302 if out.settings.store == "swift" and not query else 200)
            _, body, _ = await fetch(out, path, follow=True)
            assert body == video[segment["offset"] : segment["offset"] + segment["size"]]
    status, body, _ = await fetch(
        out, f"/v1/contents/{content['id']}/segments/2?via=gateway", headers={"Range": "bytes=3-9"}
    )
    offset = manifest["segments"][1]["offset"]
    assert (status, body) == (206, video[offset + 3 : offset + 10])
    await out.call("GET", f"/v1/contents/{content['id']}/segments/999", expect=404)


async def test_the_thumbnail(out: Cell, content: dict[str, Any]) -> None:
    path = f"/v1/contents/{content['id']}/thumbnail"
    status, body, headers = await fetch(out, path, follow=True)
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    assert body.startswith(b"\xff\xd8\xff")
    assert len(body) == content["thumbnail"]["size_bytes"]
    assert (await fetch(out, f"{path}?via=gateway"))[:2] == (200, body)


async def test_a_content_of_one_segment(out: Cell) -> None:
    data = sample("mp4").read_bytes()
    view = await out.upload(data, filename="plain.mp4")
    path = f"/v1/contents/{view['content_id']}"
    for way in ("download", "download?via=gateway", "segments/1", "segments/1?via=gateway"):
        status, body, _ = await fetch(out, f"{path}/{way}", follow=True)
        assert (status, body) == (200, data), way


async def test_an_unknown_content(out: Cell, tmp_path: Path) -> None:
    nowhere = "/v1/contents/0198c1f2-0000-7000-8000-000000000000"
    for way in ("download", "segments", "segments/1", "thumbnail"):
        _, body, _ = await out.call("GET", f"{nowhere}/{way}", expect=404)
        assert body["error"]["code"] == "CONTENT_NOT_FOUND"
