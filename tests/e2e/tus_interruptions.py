"""What tests of tus clients share: files that go through relays, how they are interrupted, what must be true then."""

from __future__ import annotations

import asyncio
import signal
import struct
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.tus_relay import TusRelay, tus_relay
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.keys import WITH_KEYS
from tests.harness.media_samples import long_video
from tests.harness.preloaded import PreloadedProcesses
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers

FILM_BYTES = 6 * 1024 * 1024
_MEBIBYTE = 1024 * 1024
_HELD_SECONDS = 60
_NEVER_BYTES = 2**60
_HOLDS: Mapping[int, int] = {
    1: 30,
    64 * 1024: 2 * _MEBIBYTE + 30_000,
    5 * _MEBIBYTE: 5 * _MEBIBYTE + 300_000,
    FILM_BYTES: 3 * _MEBIBYTE + 77_777,
}
"""By the size of the chunks: after how many bytes a client is interrupted. Except for chunks of one byte, it is amid a
request and amid a segment."""


@dataclass(frozen=True)
class Sending:
    """A file that a client sends to its own relay, in chunks of so many bytes."""

    file: Path
    chunk_bytes: int
    relay: TusRelay

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def content_type(self) -> str:
        return "image/png" if self.file.suffix == ".png" else "video/x-matroska"

    @property
    def endpoint(self) -> str:
        return f"{self.relay.url}/files/"


class _TwoGateways(PreloadedProcesses):
    """A cell with two gateways."""

    def __init__(
        self, directory: Path, environment: Mapping[str, str], *, workers: Mapping[str, Sequence[str]]
    ) -> None:
        super().__init__(directory, environment, workers=workers, gateways=2)


def two_gateways(servers: Servers, directory: Path) -> Iterator[CellProcesses]:
    """A cell that requires keys, whose gateways may be killed, and which pages of every origin may call."""
    settings: dict[str, Any] = {**WITH_KEYS, "cors_origins": "*"}
    with cell_processes(servers, directory, processes=_TwoGateways, **settings) as started:
        yield started


def little_room(servers: Servers, directory: Path) -> Iterator[CellProcesses]:
    """A cell with room for one film, which refuses soon what has to wait."""
    room: dict[str, Any] = {"temp_budget_bytes": FILM_BYTES * 3 // 2, "temp_share": 1, "owner_share": 1}
    settings: dict[str, Any] = {**WITH_KEYS, **room, "cors_origins": "*", "append_hold_seconds": 0.5}
    with cell_processes(servers, directory, **settings) as started:
        yield started


def _cut(cell: Cell, relays: Sequence[TusRelay]) -> None:
    """Every connection is reset."""
    for relay in relays:
        relay.break_off()


def _kill(cell: Cell, relays: Sequence[TusRelay]) -> None:
    """The gateway dies, and another one starts on its port."""
    gateway = cell.processes.child("gateway")
    gateway.stop(signal.SIGKILL)
    _cut(cell, relays)
    gateway.start()


def _move(cell: Cell, relays: Sequence[TusRelay]) -> None:
    """The clients reach another gateway, and the first one does not notice: its connections stay open."""
    for relay in relays:
        relay.server_url = cell.processes.urls["gateway-2"]
        relay.break_off(client_only=True)


@dataclass(frozen=True)
class Interruption:
    """What happens to the clients. `at_end`: before they receive the response to their last request."""

    name: str
    happen: Callable[[Cell, Sequence[TusRelay]], None]
    at_end: bool = False

    def __str__(self) -> str:
        return self.name


INTERRUPTIONS = (
    Interruption("connection-lost", _cut),
    Interruption("gateway-killed", _kill),
    Interruption("gateway-changed", _move),
    Interruption("last-response-lost", _cut, at_end=True),
)
every_interruption = pytest.mark.parametrize("interruption", INTERRUPTIONS, ids=str)


async def through(
    interruption: Interruption, cell: Cell, directory: Path, send: Callable[[Sequence[Sending]], Awaitable[None]]
) -> None:
    """Send a file with chunks of each size, all at once; interrupt each once; check that each continued at the byte
    that the gateway named, and that the stored objects are the files. `send` raises when a client fails."""
    files = {name: directory / name for name in ("dot.png", "film.mkv")}
    files["dot.png"].write_bytes(dot())
    files["film.mkv"].write_bytes(long_video(FILM_BYTES))
    async with AsyncExitStack() as exits:
        sendings = []
        for chunk_bytes, hold_bytes in _HOLDS.items():
            file = files["dot.png" if chunk_bytes == 1 else "film.mkv"]
            relay = tus_relay(cell.url, hold_bytes, file.stat().st_size, hold_end=interruption.at_end)
            sendings.append(Sending(file, chunk_bytes, await exits.enter_async_context(relay)))
        clients = asyncio.ensure_future(send(sendings))
        try:
            await _held(clients, [each.relay for each in sendings])
            if not interruption.at_end:
                for sending in sendings:
                    await _recorded(cell, sending)
            interruption.happen(cell, [each.relay for each in sendings])
            await clients
        finally:
            clients.cancel()
            await asyncio.gather(clients, return_exceptions=True)
        for sending in sendings:
            _continued(sending, interruption)
        await asyncio.gather(*(_stored(cell, sending) for sending in sendings))
        cell.uploads.extend(each.relay.upload_id for each in sendings)
    await cell.until_clean()


async def with_patience(
    cell: Cell, directory: Path, send: Callable[[Sequence[Sending]], Awaitable[None]], *, refusals: int = 4
) -> None:
    """Send a film for which there is no room. The client is refused so often, and then there is room."""
    file = directory / "film.mkv"
    file.write_bytes(long_video(FILM_BYTES))
    other = await cell.create(FILM_BYTES)
    async with tus_relay(cell.url, _NEVER_BYTES, FILM_BYTES) as relay:
        sending = Sending(file, FILM_BYTES, relay)
        client = asyncio.ensure_future(send([sending]))

        async def refused() -> bool:
            if client.done():
                client.result()
            return [each.method for each in relay.exchanges].count("PATCH") > refusals

        await eventually(refused, _HELD_SECONDS, lambda: f"the client to try again: {relay.exchanges}")
        await cell.call("DELETE", f"/v1/uploads/{other['id']}", expect=200)
        await client
        assert [each.method for each in relay.exchanges].count("POST") == 1
        await _stored(cell, sending)
        cell.uploads.append(relay.upload_id)
    await cell.until_clean()


async def _held(clients: asyncio.Future[None], relays: Sequence[TusRelay]) -> None:
    """Wait until each relay holds; fails at once when the clients end before."""

    async def all_hold() -> bool:
        if clients.done():
            clients.result()
        return all(relay.held.is_set() for relay in relays)

    await eventually(all_hold, _HELD_SECONDS, lambda: f"clients to send: {[each.exchanges[-3:] for each in relays]}")


async def _recorded(cell: Cell, sending: Sending) -> None:
    """Wait until every segment counts whose bytes have all passed."""
    whole = _HOLDS[sending.chunk_bytes] // SEGMENT_BYTES * SEGMENT_BYTES

    async def are_recorded() -> bool:
        return bool((await cell.status(sending.relay.upload_id))["bytes_received"] >= whole)

    await eventually(are_recorded, _HELD_SECONDS, lambda: f"{whole} bytes of {sending.name} to be recorded")


def _continued(sending: Sending, interruption: Interruption) -> None:
    """One upload was created. Each PATCH that counts begins where the server said last, and after the interruption with
    no byte before the one that the client was told. Every segment that was recorded still counts.

    Chromium repeats a request by itself, once, when a connection that it has used before breaks before a response. Such
    a PATCH is refused if its bytes have arrived already."""
    exchanges, size = sending.relay.exchanges, sending.file.stat().st_size
    assert [each.method for each in exchanges].count("POST") == 1, exchanges
    assert [each.status for each in exchanges].count(409) <= 1, exchanges
    hold = size if interruption.at_end else _HOLDS[sending.chunk_bytes]
    offset, continued, sent = 0, -1, 0
    for number, exchange in enumerate(exchanges):
        if not exchange.is_accepted:
            continue
        told = int(exchange.response["upload-offset"])
        if exchange.method == "PATCH":
            assert int(exchange.headers["upload-offset"]) == offset, exchanges
            assert told == offset + exchange.body_bytes, exchange
        if number >= sending.relay.before:
            continued = continued if continued >= 0 else told - exchange.body_bytes
            sent += exchange.body_bytes
        offset = told
    assert offset == size
    assert hold // SEGMENT_BYTES * SEGMENT_BYTES <= continued <= hold, (continued, hold)
    assert sent == size - continued


async def _stored(cell: Cell, sending: Sending) -> None:
    """The upload becomes a content whose object is the file."""
    view = await cell.until(sending.relay.upload_id, "ready", "failed")
    assert view["status"] == "ready", view["error"]
    content = await cell.content(sending.relay.upload_id)
    assert content["filename"] == sending.name
    assert await cell.read(content["object"]["key"]) == sending.file.read_bytes()


def dot() -> bytes:
    """A picture of one pixel, as a file of less than 100 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0\x80")) + chunk(b"IEND", b"")
