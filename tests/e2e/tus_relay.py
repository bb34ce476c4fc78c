"""A TCP relay between a tus client and a gateway that reads the messages which pass through it.

Guarantee: bytes pass unchanged. Once `hold` says so, the relay passes nothing more until `break_off`, so a test
interrupts a client at a known byte, whatever the client's timing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from yarl import URL

from tests.harness.listening import close, listening

_BLOCK_BYTES = 64 * 1024
_TUS = ("POST", "PATCH", "HEAD")


@dataclass
class Exchange:
    """A request and its response. `body_bytes`: what has passed of the request's body. `status`: None until the head of
    the response has arrived at the relay. Names of header fields are in lower case."""

    method: str
    headers: Mapping[str, str] = field(repr=False)
    body_bytes: int = 0
    status: int | None = None
    response: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_accepted(self) -> bool:
        return self.status in (200, 201, 204)


class _Messages:
    """Splits one direction of a connection into heads and bodies."""

    def __init__(self, on_head: Callable[[str, dict[str, str]], int], on_body: Callable[[int], None]) -> None:
        self._on_head, self._on_body = on_head, on_body  # a head's handler returns the length of its body
        self._head = b""
        self._body_left = 0

    def feed(self, data: bytes, most_body_bytes: int) -> int:
        """Read `data`, but no more than so many bytes of bodies; the number of bytes read."""
        used = 0
        while used < len(data):
            if self._body_left:
                taken = min(self._body_left, len(data) - used, most_body_bytes)
                if not taken:
                    break
                used, most_body_bytes, self._body_left = used + taken, most_body_bytes - taken, self._body_left - taken
                self._on_body(taken)
                continue
            before = len(self._head)
            self._head += data[used:]
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return len(data)
            used += end + 4 - before
            first, *lines = self._head[:end].decode("latin-1").split("\r\n")
            fields = (line.partition(":") for line in lines)
            self._head = b""
            self._body_left = self._on_head(first, {name.lower(): value.strip() for name, _, value in fields})
        return used


class TusRelay:
    """`exchanges`: of tus, oldest first (no preflights). `held`: set when the relay passes nothing more. `before`: how
    many exchanges there were at `break_off`.

    It holds after `hold_bytes` bytes of bodies, or with `hold_end` before the response to the request that completes
    the file."""

    def __init__(self, server_url: str, hold_bytes: int, size_bytes: int, *, hold_end: bool) -> None:
        self.server_url = server_url
        self.url = ""
        self.exchanges: list[Exchange] = []
        self.held = asyncio.Event()
        self.before = 0
        self._bodies_left: float = float("inf") if hold_end else hold_bytes
        self._end: str | None = str(size_bytes) if hold_end else None
        self._freed = asyncio.Event()
        self._open: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()

    @property
    def upload_id(self) -> str:
        """The upload that was created first."""
        return next(each.response["sluice-upload-id"] for each in self.exchanges if each.status == 201)

    def break_off(self, *, client_only: bool = False) -> None:
        """Reset every connection, and pass from now on what arrives on new ones. `client_only`: the gateway does not
        notice; its ends stay open until the relay ends."""
        self._bodies_left, self._end, self.before = float("inf"), None, len(self.exchanges)
        for client, server in self._open:
            client.transport.abort()
            if not client_only:
                server.transport.abort()
        if not client_only:
            self._freed.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = URL(self.server_url)
        try:
            server_reader, server_writer = await asyncio.open_connection(target.host, target.port)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, server_writer)
        self._open.add(pair)
        waiting: list[Exchange] = []
        try:
            with suppress(ConnectionError):
                await asyncio.gather(
                    self._requests(reader, server_writer, waiting), self._responses(server_reader, writer, waiting)
                )
        finally:
            self._open.discard(pair)
            await close(*pair)

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: list[Exchange]
    ) -> None:
        current = Exchange("", {})  # whose response may precede the end of its body

        def head(first: str, headers: dict[str, str]) -> int:
            nonlocal current
            current = Exchange(first.partition(" ")[0], headers)
            waiting.append(current)
            if current.method in _TUS:
                self.exchanges.append(current)
            return int(headers.get("content-length", 0))

        def body(count: int) -> None:
            current.body_bytes += count
            self._bodies_left -= count

        messages = _Messages(head, body)
        while data := await reader.read(_BLOCK_BYTES):
            used = messages.feed(data, int(min(self._bodies_left, _BLOCK_BYTES)))
            writer.write(data[:used])
            await writer.drain()
            if self._bodies_left <= 0:
                await self._hold()
        if not self.held.is_set():
            writer.close()

    async def _responses(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: list[Exchange]
    ) -> None:
        completes = False

        def head(first: str, headers: dict[str, str]) -> int:
            nonlocal completes
            exchange = waiting.pop(0)
            exchange.status = int(first.split(" ")[1])
            exchange.response = headers
            completes = exchange.method == "PATCH" and headers.get("upload-offset", "") == self._end
            return 0 if exchange.method == "HEAD" else int(headers.get("content-length", 0))

        messages = _Messages(head, lambda _: None)
        while data := await reader.read(_BLOCK_BYTES):
            messages.feed(data, _BLOCK_BYTES)
            if completes:
                await self._hold()
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _hold(self) -> None:
        self.held.set()
        await self._freed.wait()
        raise ConnectionResetError


@asynccontextmanager
async def tus_relay(
    server_url: str, hold_bytes: int, size_bytes: int, *, hold_end: bool = False
) -> AsyncIterator[TusRelay]:
    """A relay to this server; it ends with the block."""
    relay = TusRelay(server_url, hold_bytes, size_bytes, hold_end=hold_end)
    async with listening(relay.serve) as (host, port):
        relay.url = f"http://{host}:{port}"
        yield relay
