"""A proxy in front of Redis that replies to commands itself: with errors that a test cannot make a real server raise,
and with bytes that are not Redis' protocol.

    async with RespProxy(("127.0.0.1", 6379)) as proxy:
        proxy.reply = b"-CLUSTERDOWN The cluster is down\r\n"
        ...
        proxy.reply = None  # pass commands on

Guarantee: while `reply` is set, no command reaches the server, also on connections that were opened before.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from tests.harness.faults.sockets import bound
from tests.harness.listening import Connections, close

_BLOCK_BYTES = 64 * 1024


class RespProxy:
    """Listens on loopback. `reply`: the bytes sent in response to each command; None: commands are passed on. `only`:
    commands (upper case) that are replied to; empty: all."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._reserved = bound(0)
        self._server: asyncio.Server | None = None
        self._connections = Connections(self._serve)
        self.reply: bytes | None = None
        self.only: Collection[str] = ()
        self.replied = 0

    @property
    def port(self) -> int:
        port: int = self._reserved.getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connections, sock=bound(self.port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._connections.end()
        self._reserved.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        from_server, to_server = await asyncio.open_connection(*self._upstream)
        try:
            replies = asyncio.create_task(self._pump(from_server, writer))
            commands = asyncio.create_task(self._commands(reader, to_server, writer))
            try:
                await asyncio.wait({replies, commands}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (replies, commands):
                    task.cancel()
                await asyncio.gather(replies, commands, return_exceptions=True)
        finally:
            await close(to_server, writer)

    async def _commands(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        while command := await _read_command(reader):
            name, raw = command
            if self.reply is not None and (not self.only or name in self.only):
                self.replied += 1
                client.write(self.reply)
                await client.drain()
            else:
                server.write(raw)
                await server.drain()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while block := await reader.read(_BLOCK_BYTES):
            writer.write(block)
            await writer.drain()


@contextmanager
def proxy_in_thread(upstream: tuple[str, int]) -> Iterator[RespProxy]:
    """A proxy with an event loop of its own, for what starts or waits for processes that use it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    proxy = RespProxy(upstream)
    asyncio.run_coroutine_threadsafe(proxy.__aenter__(), loop).result()
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(proxy.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _read_command(reader: asyncio.StreamReader) -> tuple[str, bytes] | None:
    """The name of the next command and its bytes: an array of bulk strings. None: the client has closed."""
    try:
        head = await reader.readuntil(b"\r\n")
        raw, name = head, b""
        for index in range(int(head[1:])):
            length = await reader.readuntil(b"\r\n")
            value = await reader.readexactly(int(length[1:]) + 2)
            raw += length + value
            name = name or (value[:-2] if index == 0 else b"")
    except asyncio.IncompleteReadError:
        return None
    return name.decode().upper(), raw
