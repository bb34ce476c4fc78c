"""The cache of deploy/cdn on the real nginx.

It serves published content only, fetches it once for all viewers, and drops it when the content is deleted.
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from deploy.cdn import CdnOptions, make_directories, origin_query, render
from deploy.embedded.ports import ReservedPort
from pipeline.adapters.object_store.swift import TempUrlSigner
from tests.harness.cell import Cell, eventually
from tests.harness.media_samples import long_video
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed (apt-get install nginx)"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]

KEY = "key of the tests' TempURLs"
TOKEN = "purge-token"
SEGMENT_BYTES = 1024 * 1024 + 1  # so that no segment ends where a slice of the cache does


@dataclass
class Origin:
    """A proxy between the cache and Swift that records each request. While `down` it responds 503."""

    url: str = ""
    seen: list[tuple[str, str]] = field(default_factory=list)
    down: bool = False


@dataclass
class Cdn:
    cell: Cell
    origin: Origin
    url: str
    purge_url: str
    client: aiohttp.ClientSession
    trust: ssl.SSLContext

    async def get(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, Mapping[str, str]]:
        url = URL(self.url + path, encoded=True)
        async with self.client.request(method, url, headers=headers, ssl=self.trust, allow_redirects=False) as answer:
            return answer.status, await answer.read(), answer.headers


@asynccontextmanager
async def counting(storage_url: str) -> AsyncIterator[Origin]:
    origin = Origin()
    parts = urlsplit(storage_url)
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def forward(request: web.Request) -> web.StreamResponse:
            origin.seen.append((request.method, request.raw_path))
            if origin.down:
                return web.Response(status=503)
            url = URL(f"{parts.scheme}://{parts.netloc}{request.raw_path}", encoded=True)
            headers = {name: value for name, value in request.headers.items() if name != "Host"}
            async with session.request(request.method, url, headers=headers, allow_redirects=False) as answer:
                kept = {k: v for k, v in answer.headers.items() if k not in ("Transfer-Encoding", "Connection", "Date")}
                return web.Response(status=answer.status, headers=kept, body=await answer.read())

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", forward)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        origin.url = f"http://127.0.0.1:{runner.addresses[0][1]}{parts.path}"
        try:
            yield origin
        finally:
            await runner.cleanup()


def _start(configuration: Path) -> subprocess.Popen[bytes]:
    log = configuration.parent / "error.log"
    subprocess.run(["nginx", "-t", "-q", "-c", configuration, "-e", log], check=True, timeout=30)
    return subprocess.Popen(["nginx", "-c", configuration, "-e", log])


@asynccontextmanager
async def nginx(directory: Path, configuration: str, port: int) -> AsyncIterator[None]:
    path = directory / "nginx.conf"
    path.write_text(configuration)
    process = _start(path)
    try:

        async def answers() -> bool:
            assert process.poll() is None, (directory / "error.log").read_text()
            async with aiohttp.ClientSession() as session:
                try:
                    async with session.get(f"https://127.0.0.1:{port}/", ssl=False) as answer:
                        return answer.status == 404
                except aiohttp.ClientError:
                    return False

        await eventually(answers, 15, lambda: "nginx to respond")
        yield
    finally:
        process.terminate()
        process.wait(timeout=15)


def certificate(directory: Path) -> tuple[Path, Path]:
    cert, key = directory / "cert.pem", directory / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*new, "-out", str(cert), "-keyout", str(key)], check=True, capture_output=True, timeout=60)
    return cert, key


@pytest.fixture(scope="module")
def video() -> bytes:
    return long_video(7 * 2**19 + 1000)


@pytest.fixture
async def cdn(servers: Servers, tmp_path: Path) -> AsyncIterator[Cdn]:
    directory = tmp_path / "cdn"
    make_directories(directory)
    ports = ReservedPort(), ReservedPort()  # reserved until released; nginx may listen on them
    public_port, purge_port = (port.number for port in ports)
    purge_url = f"http://127.0.0.1:{purge_port}/{{key}}"
    async with running_cell(
        servers,
        tmp_path / "cell",
        store="swift",
        segment_bytes=SEGMENT_BYTES,
        swift_tempurl_key=KEY,
        cdn_purge_url=purge_url,
        cdn_purge_method="PUT",
        cdn_purge_token=TOKEN,
    ) as cell:
        login = {
            "X-Auth-User": cell.environment["SLUICE_SWIFT_USER"],
            "X-Auth-Key": cell.environment["SLUICE_SWIFT_PASSWORD"],
        }
        async with cell.http.get(cell.environment["SLUICE_SWIFT_AUTH_URL"], headers=login) as answer:
            storage_url = answer.headers["X-Storage-Url"]
        async with counting(storage_url) as origin:
            cert, key = certificate(directory)
            container = cell.settings.swift_container
            query = origin_query(TempUrlSigner(KEY), origin.url, container, int(time.time()) + 3600)
            options = CdnOptions(
                directory,
                origin.url,
                container,
                query,
                listen=f"127.0.0.1:{public_port}",
                server_name="localhost",
                certificate=cert,
                certificate_key=key,
                purge_listen=f"127.0.0.1:{purge_port}",
                purge_token=TOKEN,
                user="root" if directory.owner() == "root" else "",
            )
            async with nginx(directory, render(options), public_port), aiohttp.ClientSession() as client:
                trust = ssl.create_default_context(cafile=str(cert))
                yield Cdn(cell, origin, f"https://127.0.0.1:{public_port}", purge_url, client, trust)
    for port in ports:
        port.release()


async def published(cdn: Cdn, video: bytes) -> dict[str, Any]:
    view = await cdn.cell.upload(video, filename="seen.mkv", content_type="video/x-matroska")
    content = await cdn.cell.content(view["content_id"])
    assert content["object"]["segment_count"] > 2
    async with cdn.client.get(f"{cdn.cell.url}/v1/contents/{content['id']}/download", allow_redirects=False) as answer:
        assert answer.status == 302  # this request has set the TempURL key on the account
    return content


async def test_a_second_viewer_does_not_reach_the_store(cdn: Cdn, video: bytes) -> None:
    content = await published(cdn, video)
    path = f"/{content['object']['key']}"
    status, body, headers = await cdn.get(path)
    assert (status, body == video) == (200, True)
    assert headers["Content-Type"] == "video/x-matroska"
    reached = len(cdn.origin.seen)
    assert reached == -(-len(video) // 2**20)  # one per slice
    for asked in ({}, {"Range": "bytes=1000000-2000000"}, {"Range": "bytes=-7"}, {"Cache-Control": "no-cache"}):
        status, body, headers = await cdn.get(path, headers=asked)
        expected = {1: video[1000000:2000001], 2: video[-7:]}.get(
            {"bytes=1000000-2000000": 1, "bytes=-7": 2}.get(asked.get("Range", ""), 0), video
        )
        assert (status, body == expected) == (206 if "Range" in asked else 200, True), asked
        assert headers["X-Cache"] == "HIT"
    assert (await cdn.get(path + "?other=query&x=1"))[1] == video
    cdn.origin.down = True
    assert (await cdn.get(path))[1] == video
    assert len(cdn.origin.seen) == reached
    cdn.origin.down = False
    status, thumb, headers = await cdn.get(f"/{content['thumbnail']['key']}")
    assert (status, headers["Content-Type"], thumb[:3]) == (200, "image/jpeg", b"\xff\xd8\xff")


async def test_nothing_else_can_be_fetched(cdn: Cdn, video: bytes) -> None:
    content = await published(cdn, video)
    name, container = content["id"], cdn.cell.settings.swift_container
    await cdn.cell.store.put_object("secret.txt", b"secret", "text/plain")
    await cdn.cell.store.put_object(f"contents/{name}/other", b"secret", "text/plain")
    key = f"/contents/{name}/original"
    for path in (
        "/",
        "/secret.txt",
        "/contents",
        "/contents/",
        f"/contents/{name}",
        f"/contents/{name}/",
        f"/contents/{name}/other",
        f"/contents/{name}/original/",
        f"/contents/{name}/originalx",
        f"/contents/{name.upper()}/original",
        f"{key}/../../../secret.txt",
        f"{key}/..%2f..%2f..%2fsecret.txt",
        f"{key}%00",
        f"{key}%0a",
        f"/../{container}_segments/{name}/00000001",
        f"/{container}_segments/{name}/00000001",
        f"/contents/..%2F..%2F{container}_segments%2F{name}%2F00000001",
        f"/v1/AUTH_media/{container}{key}",
        "/contents/00000000-0000-0000-0000-000000000000/original",
    ):
        status, body, _ = await cdn.get(path)
        assert status in (400, 404), path
        assert b"secret" not in body
    # A query has no effect: no manifest, no listing, no other signature.
    for query in ("multipart-manifest=get", "format=json", "temp_url_sig=0&temp_url_expires=1", "prefix=secret"):
        status, body, _ = await cdn.get(f"{key}?{query}")
        assert (status, body == video) == (200, True), query
    reached = len(cdn.origin.seen)
    for method in ("PUT", "POST", "DELETE", "COPY", "OPTIONS", "PATCH", "PROPFIND"):
        assert (await cdn.get(key, method, {"X-Auth-Token": "x"}))[0] == 405, method
    assert len(cdn.origin.seen) == reached
    assert {method for method, _ in cdn.origin.seen} == {"GET"}
    assert await cdn.cell.read(content["object"]["key"]) == video


async def test_deleted_content_is_gone_from_the_cache_at_once(cdn: Cdn, video: bytes) -> None:
    content = await published(cdn, video)
    other = await published(cdn, video)
    paths = [f"/{content[part]['key']}" for part in ("object", "thumbnail")]
    for path in paths:
        assert (await cdn.get(path))[0] == 200
    _, body, _ = await cdn.cell.call("DELETE", f"/v1/contents/{content['id']}", expect=200)
    assert body["data"]["leftover"] is False
    for path in paths:
        assert (await cdn.get(path))[0] == 404
        assert (await cdn.get(path, headers={"Range": "bytes=0-9"}))[0] == 404
    cdn.origin.down = True  # and the store was not asked
    for path in paths:
        assert (await cdn.get(path))[0] == 404
    cdn.origin.down = False
    assert (await cdn.get(f"/{other['object']['key']}"))[1] == video


async def test_a_purge_needs_the_token(cdn: Cdn, video: bytes) -> None:
    content = await published(cdn, video)
    key = content["object"]["key"]
    good = {"Authorization": f"Bearer {TOKEN}"}
    for method, path, headers, expected in (
        ("PUT", key, {}, 403),
        ("PUT", key, {"Authorization": "Bearer other"}, 403),
        ("DELETE", key, good, 405),
        ("GET", key, good, 405),
        ("PUT", "contents/x/original", good, 404),
        ("PUT", f"{key}/../../../nginx.conf", good, 404),
        ("PUT", f"{key}/../../../../nginx.conf", good, 400),
        ("PUT", f"{key}%0a", good, 404),
    ):
        url = URL(cdn.purge_url.replace("{key}", path), encoded=True)
        async with cdn.client.request(method, url, headers=headers, data=b"x") as answer:
            assert answer.status == expected, (method, path)
    assert (await cdn.get(f"/{key}"))[1] == video
