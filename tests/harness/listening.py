"""TCP servers and relays of tests that leave no socket open.

    async with listening(serve) as (host, port):
        ...

`serve(reader, writer)` runs once for each connection. Guarantee: when the block has ended, each of these calls has
ended and its connection is closed. A call that opens connections of its own closes them with `close`.

Neither holds for `asyncio.start_server` alone: `Server.close` leaves accepted connections open (Python 3.11), and
`StreamWriter.close` keeps a socket until its peer has read everything. The socket then outlives its event loop, and the
ResourceWarning fails whichever test runs when it is collected.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Connections:
    """What `asyncio.start_server` calls for each connection. `len`: how many are served now."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = False

    def __len__(self) -> int:
        return len(self._tasks)

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._ended:  # accepted before the server was closed
            writer.transport.abort()
            return
        task = asyncio.create_task(self._run(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):  # one of the two ends has gone
                await self._serve(reader, writer)
        finally:
            await close(writer)

    async def end(self) -> None:
        """Reset every connection and wait until it is closed. Close the server first."""
        self._ended = True
        tasks = list(self._tasks)
        await asyncio.sleep(0)  # a task that is cancelled before its first step closes nothing
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def close(*writers: asyncio.StreamWriter) -> None:
    """Close connections once what was written is sent; if the task is cancelled, before or meanwhile, at once."""
    task = asyncio.current_task()
    assert task is not None
    try:
        for writer in writers:
            writer.close()
        if not task.cancelling():
            await _closed(writers)
    finally:
        for writer in writers:
            if writer.get_extra_info("socket").fileno() != -1:  # `abort` fails once the connection is closed
                writer.transport.abort()
        await _closed(writers)


async def _closed(writers: tuple[asyncio.StreamWriter, ...]) -> None:
    for writer in writers:
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def listening(serve: Serve, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, int]]:
    """Serve on a free loopback port while the block runs; yields host and port."""
    connections = Connections(serve)
    server = await asyncio.start_server(connections, "127.0.0.1", 0, ssl=tls)
    try:
        host, port = server.sockets[0].getsockname()
        yield host, port
    finally:
        server.close()
        await connections.end()
