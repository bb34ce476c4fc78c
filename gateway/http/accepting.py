"""Accepts connections, within limits and while descriptors are left.

Guarantee: too many connections delay new clients, but no request in progress. At the limit nothing is accepted until a
connection closes or becomes idle; new clients wait in the kernel's queue. If the process has no descriptor left
(EMFILE, ENFILE), the connection that has been idle longest is closed, and the loop continues after a pause. Each kind
of failure is logged at most once a minute; asyncio's own loop would log a traceback for each connection that waits.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, cast

from gateway.http.connection import GatewayConnection
from gateway.http.connections import Connections, Seldom
from gateway.http.envelope import failure
from gateway.http.request_ids import request_id
from pipeline.core.errors import RequestError
from pipeline.logs import Log
from pipeline.tasks import end_tasks

BACKLOG: Final = 1024

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_SECONDS: Final = 0.1
# Connections accepted before other tasks run.
_IN_A_ROW: Final = 32
_RETRY_SECONDS: Final = 10
_UNREAD_BYTES: Final = 64 * 1024


def open_sockets(host: str, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Listening sockets on every address of `host`, on one port (0: a free one). `shared`: other processes of this user
    may listen there as well, if they say so too (SO_REUSEPORT, socket(7)). Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((family, cast(str, where[0])) for family, *_, where in found):
            if sockets:
                port = sockets[0].getsockname()[1]
            listener = socket.create_server((address, port), family=family, backlog=BACKLOG, reuse_port=shared)
            sockets.append(listener)
            listener.setblocking(False)
    except OSError:
        for listener in sockets:
            listener.close()
        raise
    return sockets


@asynccontextmanager
async def accepting(
    sockets: Sequence[socket.socket], make: Callable[[], GatewayConnection], connections: Connections
) -> AsyncIterator[None]:
    """Accept connections on these sockets while the block runs, then close them."""
    loops = [asyncio.create_task(_Acceptor(one, make, connections).run(), name="accepting") for one in sockets]
    try:
        yield
    finally:
        await end_tasks(*loops)
        for listener in sockets:
            listener.close()


class _Acceptor:
    """Accepts on one socket."""

    def __init__(
        self, listener: socket.socket, make: Callable[[], GatewayConnection], connections: Connections
    ) -> None:
        self._listener = listener
        self._make = make
        self._connections = connections
        self._exhausted = Seldom(Log.DESCRIPTORS_EXHAUSTED)
        self._full = Seldom(Log.CONNECTIONS_FULL)
        self._refused = Seldom(Log.CONNECTIONS_REFUSED)
        self._failed = Seldom(Log.ACCEPT_FAILED)

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        in_a_row = 0
        while True:
            if self._connections.is_full:
                self._full(connections=len(self._connections))
                await self._connections.room()
            try:
                accepted, address = await loop.sock_accept(self._listener)
            except OSError as error:
                await self._after(error)
                continue
            try:
                await self._serve(accepted, str(address[0]))
            except OSError as error:  # the client has left, or the kernel refuses to watch the socket
                self._failed(reason=str(error))
            in_a_row += 1
            if in_a_row % _IN_A_ROW == 0:
                await asyncio.sleep(0)

    async def _after(self, error: OSError) -> None:
        """Continue after a connection could not be accepted."""
        if error.errno in _EXHAUSTED:
            self._exhausted(reason=error.strerror, connections=len(self._connections))
            self._connections.cut_idle("descriptors")
            await asyncio.sleep(_PAUSE_SECONDS)
        elif error.errno != errno.ECONNABORTED:
            self._failed(reason=error.strerror)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _serve(self, accepted: socket.socket, host: str) -> None:
        connection = self._make()
        if not self._connections.add(connection, host):
            self._refused(client=host)
            _refuse(accepted)
            return
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, accepted)
        except BaseException:
            self._connections.remove(connection)
            accepted.close()
            raise


def _refuse(accepted: socket.socket) -> None:
    """Tell a client why it is not served, without waiting for its request."""
    with accepted, suppress(OSError):
        accepted.setblocking(False)
        accepted.send(_refusal())
        accepted.shutdown(socket.SHUT_WR)
        accepted.recv(_UNREAD_BYTES)  # the kernel resets a connection that is closed with unread bytes


def _refusal() -> bytes:
    response = failure(RequestError("CONNECTION_LIMIT", retry_after_seconds=_RETRY_SECONDS), "", request_id(None))
    body = cast(bytes, response.body)
    lines = [
        "HTTP/1.1 503 Service Unavailable",  # after 429, clients of tus end their uploads
        *(f"{name}: {value}" for name, value in response.headers.items()),
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
