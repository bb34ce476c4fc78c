"""A TCP relay that counts connections and bytes, so that a test knows which way traffic took."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from yarl import URL


@dataclass
class Relay:
    """`bytes_in`: what clients have sent through it; `bytes_out`: what they have received."""

    url: str = ""
    connections: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Reset every connection; new ones are served."""
        for writer in self.open:
            writer.transport.abort()


@asynccontextmanager
async def relay_to(server_url: str) -> AsyncIterator[Relay]:
    """A relay to this server. Open connections end with it."""
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

        relay.open |= {writer, up_writer}
        try:
            await asyncio.gather(copy(reader, up_writer, "bytes_in"), copy(up_reader, writer, "bytes_out"))
        except asyncio.CancelledError:  # the relay ends; only `relay_to` waits for this task
            pass
        finally:
            relay.open -= {writer, up_writer}
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
