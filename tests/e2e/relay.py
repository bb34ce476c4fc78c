"""A TCP relay that counts connections and bytes, so that a test knows which way traffic took."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from yarl import URL

from tests.harness.listening import close, listening


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

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
        finally:
            relay.open -= {writer, up_writer}
            await close(writer, up_writer)

    async with listening(serve) as (host, port):
        relay.url = f"http://{host}:{port}"
        yield relay
