"""A TCP proxy on loopback that delivers what its server sends a fixed time later, as a server far away or a busy store
would. It runs in a thread of its own.

It shares the processors with what is measured, so it does as little as it can for each message. Nothing limits what it
holds: it is for requests and responses that fit into memory.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, cast


class DelayingProxy:
    """Passes connections on to `upstream` (host, port); whatever comes back is delayed by `seconds`, however much is
    under way."""

    def __init__(self, upstream: tuple[str, int], seconds: float) -> None:
        self._upstream = upstream
        self._seconds = seconds
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._clients: set[_FromClient] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> asyncio.Server:
        return await self._loop.create_server(self._accept, "127.0.0.1", 0)

    def _accept(self) -> _FromClient:
        client = _FromClient(self._upstream, self._seconds, self._clients)
        self._clients.add(client)
        return client

    async def _stop(self) -> None:
        self._server.close()
        for client in [*self._clients]:
            client.abort()
        await asyncio.sleep(0)  # the event loop calls `connection_lost` of the clients, then of the server's side


class _FromServer(asyncio.Protocol):
    """One connection to the server."""

    def __init__(self, deliver: Callable[[bytes], None]) -> None:
        self._deliver = deliver

    def data_received(self, data: bytes) -> None:
        self._deliver(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deliver(b"")


class _FromClient(asyncio.Protocol):
    """One connection of a client, and its own to the server."""

    def __init__(self, upstream: tuple[str, int], seconds: float, clients: set[_FromClient]) -> None:
        self._upstream = upstream
        self._seconds = seconds
        self._clients = clients
        self._loop = asyncio.get_running_loop()
        self._early: list[bytes] = []
        """What has arrived before the server was connected."""
        self._server: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._client = cast(asyncio.Transport, transport)
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        transport, _ = await self._loop.create_connection(lambda: _FromServer(self._later), *self._upstream)
        self._server = transport
        transport.writelines(self._early)

    def data_received(self, data: bytes) -> None:
        if self._server is None:
            self._early.append(data)
        else:
            self._server.write(data)

    def _later(self, data: bytes) -> None:
        self._loop.call_later(self._seconds, self._deliver, data)

    def _deliver(self, data: bytes) -> None:
        if data:
            self._client.write(data)
        else:
            self._client.close()

    def abort(self) -> None:
        self._client.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        if self._server is not None:
            self._server.abort()
        self._clients.discard(self)
