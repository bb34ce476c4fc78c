"""Crowds of clients that cost a server something and themselves next to nothing: idle sockets, slow heads, stalled and
dripping bodies, downloads that nobody reads, event streams."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_DRIP_SECONDS = 0.2
_SMALL_BUFFER_BYTES = 4096


class Crowd:
    """Connections of one kind, opened by `join`."""

    def __init__(self, url: str, source: str) -> None:
        parts = urlsplit(url)
        self._source = source
        self._address = (parts.hostname or "", parts.port or 80)
        self._sockets: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def join(self, count: int, begin: bytes = b"", then: bytes = b"", *, reads: bool = True) -> None:
        """Open `count` connections, send `begin` on each, and after that `then`, one byte at a time. `reads` False:
        with a small buffer for what is received."""
        loop = asyncio.get_running_loop()
        for _ in range(count):
            one = socket.socket()
            if not reads:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
            one.setblocking(False)
            self._sockets.append(one)  # before anything can cancel this: `leave` closes it
            one.bind((self._source, 0))
            await loop.sock_connect(one, self._address)
            with suppress(ConnectionError):
                await loop.sock_sendall(one, begin)
            if then:
                self._tasks.append(asyncio.create_task(_drip(one, then)))

    async def received(self, index: int = -1) -> bytes:
        """Everything that one of them receives until it is closed."""
        loop, found = asyncio.get_running_loop(), b""
        with suppress(ConnectionError):
            while block := await loop.sock_recv(self._sockets[index], 65536):
                found += block
        return found

    def open_count(self) -> int:
        """How many the server has not closed."""
        return sum(map(_is_open, self._sockets))

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for one in self._sockets:
            one.close()


def _is_open(one: socket.socket) -> bool:
    """Looks at what was received without taking it; a connection with unread bytes counts as open."""
    try:
        return bool(one.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


async def _drip(one: socket.socket, data: bytes) -> None:
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError):
        for byte in data:
            await asyncio.sleep(_DRIP_SECONDS)
            await loop.sock_sendall(one, bytes([byte]))


@asynccontextmanager
async def crowd(url: str, source: str = "127.0.0.1") -> AsyncIterator[Crowd]:
    """A crowd at the address `source` that leaves when the block ends."""
    joined = Crowd(url, source)
    try:
        yield joined
    finally:
        await joined.leave()


def request(method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
    """The bytes of a request."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: test",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


SLOW_HEAD = b"GET /healthz HTTP/1.1\r\nHost: test\r\nX-Slow: "
