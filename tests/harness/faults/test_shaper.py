"""Every fault of the shaper, between a real client and a real server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from tests.harness.cell import eventually
from tests.harness.faults.kinds import Answer, Corrupt, Hang, Mute, Pass, Refuse, Reset, Slow, Stall, Unparsable
from tests.harness.faults.shaper import Shaper
from tests.harness.listening import listening

pytestmark = pytest.mark.integration

_BODY = bytes(range(256)) * 1024
_PATIENCE_SECONDS = 20.0


class Server:
    """Keeps every body that arrived whole, and echoes it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.bodies.append(body)
        return web.Response(body=body, headers={"X-Host": request.host})


@asynccontextmanager
async def _serving() -> AsyncIterator[tuple[Server, tuple[str, int]]]:
    server = Server()
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{name:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield server, runner.addresses[0][:2]
    finally:
        await runner.cleanup()


@pytest.fixture
async def bench() -> AsyncIterator[tuple[Server, Shaper, aiohttp.ClientSession]]:
    async with (
        _serving() as (server, address),
        Shaper(address, http=True, seed=1) as shaper,
        aiohttp.ClientSession() as http,
    ):
        yield server, shaper, http


Bench = tuple[Server, Shaper, aiohttp.ClientSession]


async def _put(bench: Bench, path: str = "a", *, expect: bool = False) -> tuple[int, bytes]:
    _, shaper, http = bench
    async with http.put(f"{shaper.url}/{path}", data=_BODY, expect100=expect) as response:
        return response.status, await response.read()


async def test_requests_pass_on_one_connection_with_their_host_header(bench: Bench) -> None:
    server, shaper, http = bench
    for expect in (False, True):
        assert await _put(bench, expect=expect) == (200, _BODY)
    async with http.get(f"{shaper.url}/a") as response:
        assert response.headers["X-Host"] == f"127.0.0.1:{shaper.port}"
    assert server.bodies == [_BODY, _BODY, b""]
    assert shaper.requests == 3
    assert not shaper.injected


async def test_refuse_resets_open_connections_and_keeps_the_port(bench: Bench) -> None:
    _, shaper, _ = bench
    assert (await _put(bench))[0] == 200
    port = shaper.port
    for _ in range(3):
        await shaper.set(Refuse())
        with pytest.raises(aiohttp.ClientConnectorError):
            await _put(bench)
        await shaper.set(Pass())
        assert (await _put(bench))[0] == 200
    assert shaper.port == port
    assert shaper.injected == {"refuse": 3, "cut": 3}


async def test_a_reset_within_a_body(bench: Bench) -> None:
    server, shaper, http = bench
    await shaper.set(Reset(after_bytes=100_000, times=1))
    with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
        await http.post(f"{shaper.url}/a", data=_BODY)  # a PUT would be sent again by the client itself
    assert server.bodies == []
    assert (await _put(bench))[0] == 200
    await shaper.set(Reset(after_bytes=len(_BODY)))
    assert (await _put(bench))[0] == 200, "no body is as long"
    assert shaper.injected == {"reset": 1}


async def test_a_flipped_bit(bench: Bench) -> None:
    server, shaper, _ = bench
    await shaper.set(Corrupt(times=1, path="/b"))
    assert await _put(bench) == (200, _BODY)
    assert (await _put(bench, "b"))[0] == 200
    differing = [a ^ b for a, b in zip(server.bodies[1], _BODY, strict=True) if a != b]
    assert differing == [1]
    assert shaper.injected == {"corrupt": 1}


@pytest.mark.parametrize("expect", [False, True])
async def test_a_lost_response(bench: Bench, expect: bool) -> None:
    server, shaper, http = bench
    await shaper.set(Mute(times=1))
    with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
        await http.post(f"{shaper.url}/a", data=_BODY, expect100=expect)
    assert server.bodies == [_BODY], "the server has executed it"
    assert (await _put(bench))[0] == 200
    assert shaper.injected == {"mute": 1}


@pytest.mark.parametrize("expect", [False, True])
async def test_responses_in_place_of_the_server(bench: Bench, expect: bool) -> None:
    server, shaper, http = bench
    await shaper.set(Answer(times=2, status=429, retry_after_seconds=7))
    for _ in range(2):
        async with http.put(f"{shaper.url}/a", data=_BODY, expect100=expect) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "7")
    assert server.bodies == []
    assert (await _put(bench, expect=expect))[0] == 200
    assert shaper.injected == {"answer 429": 2}


@pytest.mark.parametrize("body", [b"", b"<html>no store</html>"])
async def test_success_with_a_body_that_cannot_be_parsed(bench: Bench, body: bytes) -> None:
    server, shaper, http = bench
    await shaper.set(Unparsable(body=body, kinds=(("GET", "format=json"), ("HEAD", ""), ("PUT", "?manifest"))))
    for method in ("GET", "HEAD"):
        async with http.request(method, f"{shaper.url}/a?format=json") as response:
            assert (response.status, await response.read()) == (200, body if method == "GET" else b"")
    async with http.put(f"{shaper.url}/a?manifest", data=_BODY) as response:
        assert (response.status, await response.read()) == (200, body)
    assert server.bodies == []
    async with http.get(f"{shaper.url}/a") as response:
        assert response.headers["X-Host"]
    assert await _put(bench) == (200, _BODY)
    assert shaper.injected == {"unparsable": 3}


async def test_the_same_seed_meets_the_same_faults(bench: Bench) -> None:
    _, first, _ = bench
    async with _serving() as (_, address), Shaper(address, http=True, seed=1) as second:
        drawn: list[list[int]] = []
        for shaper in (first, second):
            await shaper.set(Answer(status=500, probability=0.5))
            drawn.append([(await _put((bench[0], shaper, bench[2])))[0] for _ in range(20)])
    assert drawn[0] == drawn[1]
    assert {200, 500} == set(drawn[0])


async def test_a_stall_holds_requests_until_it_ends(bench: Bench) -> None:
    server, shaper, _ = bench
    await shaper.set(Stall())
    waiting = asyncio.create_task(_put(bench))
    done, _ = await asyncio.wait({waiting}, timeout=0.3)
    assert not done
    assert server.bodies == []
    await shaper.set(Pass())
    async with asyncio.timeout(_PATIENCE_SECONDS):
        assert await waiting == (200, _BODY)


async def test_requests_hang_after_some_have_passed_and_others_pass(bench: Bench) -> None:
    server, shaper, _ = bench
    await shaper.set(Hang(path="/b", after_requests=1))
    assert (await _put(bench, "b"))[0] == 200
    waiting = asyncio.create_task(_put(bench, "b"))
    assert (await _put(bench))[0] == 200
    done, _ = await asyncio.wait({waiting}, timeout=0.3)
    assert not done
    assert len(server.bodies) == 2
    await shaper.set(Pass())
    async with asyncio.timeout(_PATIENCE_SECONDS):
        assert await waiting == (200, _BODY)
    assert shaper.injected == {"hang": 1}


async def test_a_slow_line_keeps_its_rate_until_the_fault_changes(bench: Bench) -> None:
    _, shaper, _ = bench
    await shaper.set(Slow(len(_BODY)))
    began = time.monotonic()
    assert (await _put(bench))[0] == 200
    assert time.monotonic() - began >= 1.8, "there and back, at a second each"
    await shaper.set(Slow(10))
    delayed = shaper.injected["slow"]
    waiting = asyncio.create_task(_put(bench))

    async def delayed_again() -> bool:
        return shaper.injected["slow"] > delayed

    await eventually(delayed_again, _PATIENCE_SECONDS, lambda: "the request to be delayed")
    await shaper.set(Pass())
    async with asyncio.timeout(_PATIENCE_SECONDS):
        assert (await waiting)[0] == 200


async def test_other_protocols() -> None:
    """A protocol other than HTTP: bytes pass, connections are reset after some bytes, or refused."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionResetError):
            while block := await reader.read(1024):
                writer.write(block)

    async with listening(echo) as address, Shaper(address) as it:
        reader, writer = await asyncio.open_connection(it.host, it.port)
        writer.write(b"PING\r\n")
        assert await reader.readexactly(6) == b"PING\r\n"
        await it.set(Reset(after_bytes=10, times=1))
        writer.write(b"PING\r\n")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        reader, writer = await asyncio.open_connection(it.host, it.port)
        writer.write(b"x" * 100)
        assert await reader.readexactly(100) == b"x" * 100
        await it.set(Refuse())
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()
        assert it.injected == {"reset": 1, "refuse": 1, "cut": 1}
