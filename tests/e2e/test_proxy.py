"""The configuration of docs/internet.md on the real nginx, in front of a gateway that requires authentication."""

from __future__ import annotations

import asyncio
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from deploy.cli.processes import ALL_IN_ONE
from deploy.embedded.ports import PortPool
from tests.harness.cell import Cell, eventually
from tests.harness.keys import CLIENT, WITH_KEYS, bearer, make_key
from tests.harness.media_samples import long_video
from tests.harness.preloaded import PreloadedProcesses
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed (apt-get install nginx)"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]

_GUIDE = Path(__file__).parents[2] / "docs" / "internet.md"
_HOST = "upload.example"
_TEMP = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def _configuration(directory: Path, gateway: str, plain: int, tls: int) -> str:
    """The block of the guide, with the addresses and files of this test."""
    found = re.search(r"```nginx\n(.*?)```", _GUIDE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    block = found[1]
    for ours, theirs in (
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{tls} ssl;"),
        ("/etc/ssl/upload.example.pem", str(directory / "certificate.pem")),
        ("/etc/ssl/upload.example.key", str(directory / "key.pem")),
        ("/var/log/nginx/sluice.log", str(directory / "access.log")),
        ("127.0.0.1:8080", gateway.removeprefix("http://")),
    ):
        assert ours in block, ours
        block = block.replace(ours, theirs)
    temp = "".join(f"{name}_temp_path {directory}/{name};\n" for name in _TEMP)
    return (
        f"daemon off;\npid {directory}/pid;\nerror_log {directory}/error.log;\n"
        f"events {{ worker_connections 1024; }}\nhttp {{\n{temp}{block}\n}}\n"
    )


@dataclass
class Proxied:
    """A cell behind the proxy."""

    cell: Cell
    directory: Path
    url: str
    plain_url: str
    key: str
    http: aiohttp.ClientSession
    trust: ssl.SSLContext


def _certificate(directory: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", f"/CN={_HOST}", "-addext", f"subjectAltName=DNS:{_HOST}", "-days", "1"),
            *("-keyout", str(directory / "key.pem"), "-out", str(directory / "certificate.pem")),
        ],
        check=True,
        capture_output=True,
    )


@asynccontextmanager
async def _proxied(servers: Servers, directory: Path) -> AsyncIterator[Proxied]:
    await asyncio.to_thread(_certificate, directory)
    settings = {**WITH_KEYS, "public_url": f"https://{_HOST}", "trusted_proxies": "127.0.0.1"}
    cell_directory = directory / "cell"
    async with running_cell(
        servers, cell_directory, workers=ALL_IN_ONE, processes=PreloadedProcesses, **settings
    ) as cell:
        ports = PortPool()
        path = directory / "nginx.conf"
        path.write_text(_configuration(directory, cell.url, ports.port("plain"), ports.port("tls")))
        process = await asyncio.create_subprocess_exec("nginx", "-c", str(path), "-e", str(directory / "error.log"))
        trust = ssl.create_default_context(cafile=str(directory / "certificate.pem"))
        _, key = await make_key(cell.settings, "alice", *CLIENT)
        connector = aiohttp.TCPConnector(ssl=trust, resolver=_Loopback(), limit=0)
        try:
            async with aiohttp.ClientSession(connector=connector, headers=bearer(key)) as http:
                url = f"https://{_HOST}:{ports.port('tls')}"

                async def up() -> bool:
                    try:
                        async with http.get(f"{url}/healthz") as response:
                            return response.status == 200
                    except aiohttp.ClientError:
                        return False

                await eventually(up, 20, lambda: (directory / "error.log").read_text())
                yield Proxied(cell, directory, url, f"http://{_HOST}:{ports.port('plain')}", key, http, trust)
        finally:
            process.terminate()
            await process.wait()
            ports.release_all()


class _Loopback(aiohttp.abc.AbstractResolver):
    """Every name is this machine."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[aiohttp.abc.ResolveResult]:
        return [aiohttp.abc.ResolveResult(hostname=host, host="127.0.0.1", port=port, family=2, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing to close."""


async def test_the_guides_proxy(servers: Servers, tmp_path: Path) -> None:
    async with _proxied(servers, tmp_path) as proxied:
        http, url = proxied.http, proxied.url
        data = long_video(3 * 1024 * 1024)
        body = {"filename": "film.mkv", "size": len(data), "content_type": "video/matroska"}
        async with http.post(f"{url}/v1/uploads", json=body) as created:
            assert created.status == 201, await created.text()
            upload = (await created.json())["data"]
        assert upload["links"]["self"] == f"https://{_HOST}/v1/uploads/{upload['id']}"

        async with http.post(f"{url}/v1/uploads/{upload['id']}/tickets") as issued:
            ticket = str((await issued.json())["data"]["url"])
        token = ticket.partition("token=")[2]
        address = ticket.replace(f"https://{_HOST}", url)
        async with (
            aiohttp.ClientSession(connector=http.connector, connector_owner=False) as browser,
            browser.get(address) as stream,
        ):
            assert (stream.status, stream.content_type) == (200, "text/event-stream")
            async with asyncio.timeout(30):  # nothing is held back until the stream ends
                assert (await stream.content.readline()).startswith(b"event: upload")
            size = upload["segment_size"]
            for number in range(1, upload["segment_count"] + 1):
                part = data[(number - 1) * size : number * size]
                headers = {"Expect": "100-continue"} if number == 1 else {}
                target = f"{url}/v1/uploads/{upload['id']}/segments/{number}"
                async with http.put(target, data=part, headers=headers) as sent:
                    assert sent.status == 200, await sent.text()
            async with asyncio.timeout(60):
                events = (await stream.read()).decode()
            assert '"status":"ready"' in events

        async with http.get(
            f"{url}/v1/contents/{upload['id']}/download?via=gateway", headers={"Range": "bytes=5-9"}
        ) as got:
            assert (got.status, await got.read()) == (206, data[5:10])
        async with http.get(f"{url}/metrics") as metrics:
            assert metrics.status == 404
        async with http.get(f"{proxied.plain_url}/v1/uploads", allow_redirects=False) as plain:
            assert (plain.status, plain.headers["Location"]) == (308, f"https://{_HOST}/v1/uploads")
        async with (
            aiohttp.ClientSession(connector=http.connector, connector_owner=False) as nobody,
            nobody.get(f"{url}/v1/uploads") as refused,
        ):
            assert refused.status == 401
        await _refused_without_its_trailer(proxied)
        log = (tmp_path / "access.log").read_text()
        assert f"/v1/uploads/{upload['id']}/events" in log
        assert token not in log
        assert proxied.key not in log


async def _refused_without_its_trailer(proxied: Proxied) -> None:
    """nginx passes the header Trailer on, and drops the trailers: no byte may count without its checksum."""
    tus = {"Tus-Resumable": "1.0.0"}
    async with proxied.http.post(f"{proxied.url}/files/", headers={**tus, "Upload-Length": "100"}) as created:
        assert created.status == 201, await created.text()
        path = created.headers["Location"].removeprefix(f"https://{_HOST}")
    headers = tus | bearer(proxied.key)
    headers |= {"Host": _HOST, "Transfer-Encoding": "chunked", "Trailer": "Upload-Checksum"}
    headers |= {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0", "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    port = int(proxied.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=proxied.trust, server_hostname=_HOST)
    trailer = "Upload-Checksum: sha1 gf6Ln6X2Bh4rkFKwqM0VRMVVmA4="
    writer.write(f"PATCH {path} HTTP/1.1\r\n{head}\r\n4\r\nabcd\r\n0\r\n{trailer}\r\n\r\n".encode())
    async with asyncio.timeout(30):
        response = (await reader.read()).decode()
    writer.close()
    assert response.startswith("HTTP/1.1 400 ")
    assert "CHECKSUM_NOT_SUPPORTED" in response
    async with proxied.http.head(f"{proxied.url}{path}", headers=tus) as shown:
        assert shown.headers["Upload-Offset"] == "0"
