"""A TCP relay that counts: who comes through it can be told from who does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from yarl import URL


@dataclass
class Relay:
    """`bytes_in` and `bytes_out`: what clients have sent through it, and what they got."""

    url: str = ""
    connections: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


@asynccontextmanager
async def relay_to(server_url: str) -> AsyncIterator[Relay]:
    """A relay to this server; open connections end with it."""
    relay = Relay()
    target = URL(server_url)
    handlers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        relay.connections += 1
        up_reader, up_writer = await asyncio.open_connection(target.host, target.port)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter, counter: str) -> None:
            with suppress(ConnectionError):
                while block := await source.read(64 * 1024):
                    setattr(relay, counter, getattr(relay, counter) + len(block))
                    sink.write(block)
                    await sink.drain()
            sink.close()

        try:
            await asyncio.gather(copy(reader, up_writer, "bytes_in"), copy(up_reader, writer, "bytes_out"))
        except asyncio.CancelledError:  # the relay ends; nobody waits for this task's result but `relay_to`
            pass
        finally:
            writer.close()
            up_writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    relay.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield relay
    finally:
        server.close()
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
