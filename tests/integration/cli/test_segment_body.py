"""`SegmentBody`: the bytes of a segment reach a server, whichever way they take."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from deploy.cli.errors import ClientError, FileChangedError
from deploy.cli.request_body import RequestBody
from deploy.cli.segment_body import PIECE_BYTES, SegmentBody
from deploy.cli.segment_file import SegmentFile
from tests.harness.cell import eventually

pytestmark = pytest.mark.integration

CONTENT = os.urandom(3 * PIECE_BYTES + 5)
RANGES = [(0, 1), (7, 2 * PIECE_BYTES), (3 * PIECE_BYTES, 5), (0, len(CONTENT))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(CONTENT)
    return path


@asynccontextmanager
async def server() -> AsyncIterator[str]:
    """Its URL. It responds to a PUT with the digest of the body, and to `/refuse` before it has read the body."""

    async def put(request: web.Request) -> web.Response:
        return web.Response(text=hashlib.sha256(await request.read()).hexdigest())

    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=409)

    app = web.Application(client_max_size=2 * len(CONTENT))
    app.add_routes([web.put("/", put), web.put("/refuse", refuse)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


async def put(url: str, body: RequestBody, length: int) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.put(url, data=body, headers={"Content-Length": str(length)}) as response,
    ):
        return response.status, await response.text()


async def not_available(*_: Any, **__: Any) -> int:
    raise asyncio.SendfileNotAvailableError("not from this file")


@pytest.mark.parametrize("by_kernel", [True, False])
@pytest.mark.parametrize(("offset", "length"), RANGES)
async def test_a_body_is_exactly_the_bytes_of_its_segment(
    path: Path, offset: int, length: int, monkeypatch: pytest.MonkeyPatch, *, by_kernel: bool
) -> None:
    if not by_kernel:
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_sendfile", not_available)
    counts: list[int] = []
    with SegmentFile(path) as file:
        async with server() as url:
            found = await put(url, RequestBody(SegmentBody(file, offset, length, counts.append)), length)
    assert found == (200, hashlib.sha256(CONTENT[offset : offset + length]).hexdigest())
    assert counts == [*range(PIECE_BYTES, length, PIECE_BYTES), length]


async def test_many_bodies_of_one_file_at_once(path: Path) -> None:
    digests = [hashlib.sha256(CONTENT[offset : offset + length]).hexdigest() for offset, length in RANGES]
    with SegmentFile(path) as file:
        async with server() as url:
            bodies = [RequestBody(SegmentBody(file, offset, length, lambda _: None)) for offset, length in RANGES]
            sent = (put(url, body, length) for body, (_, length) in zip(bodies, RANGES, strict=True))
            assert await asyncio.gather(*sent) == [(200, digest) for digest in digests]


@pytest.mark.parametrize("by_kernel", [True, False])
async def test_a_file_that_has_become_shorter_is_reported(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, by_kernel: bool
) -> None:
    if not by_kernel:
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_sendfile", not_available)
    with SegmentFile(path) as file:
        os.truncate(path, PIECE_BYTES + 10)
        body = RequestBody(SegmentBody(file, 0, len(CONTENT), lambda _: None))
        async with server() as url:
            with pytest.raises((aiohttp.ClientError, ClientError)):
                await put(url, body, len(CONTENT))
    assert isinstance(body.error, FileChangedError)


async def test_a_refusal_is_read_while_the_body_is_sent(path: Path) -> None:
    with SegmentFile(path) as file:
        async with server() as url:
            body = RequestBody(SegmentBody(file, 0, len(CONTENT), lambda _: None))
            assert (await put(f"{url}/refuse", body, len(CONTENT)))[0] == 409


async def test_a_request_that_is_given_up_leaves_no_descriptor_behind(path: Path) -> None:
    size = 64 * PIECE_BYTES  # more than the kernel takes
    os.truncate(path, size)
    began = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, SegmentFile(path) as file:
        before = sockets()
        body = RequestBody(SegmentBody(file, 0, size, lambda _: began.set()))
        url = "http://{}:{}".format(*listener.getsockname())  # nobody accepts
        sending = asyncio.create_task(put(url, body, size))
        await began.wait()
        assert len(sockets() - before) == 2
        sending.cancel()
        await asyncio.wait({sending})

        async def closed() -> bool:
            return not sockets() - before

        await eventually(closed, 10, lambda: f"{sockets() - before} to be closed")


def sockets() -> set[str]:
    """The sockets that this process has open."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except FileNotFoundError:  # that of the listing
            continue
    return {one for one in found if "socket:" in one}
