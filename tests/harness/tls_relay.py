"""TLS in front of a server that has none: a relay of bytes, on a free loopback port."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path


@asynccontextmanager
async def tls_relay(port: int, certificate_file: Path, key_file: Path) -> AsyncIterator[int]:
    """Run it while the block runs; yields its port. `port`: of the server behind it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_file, key_file)
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            with suppress(OSError, ssl.SSLError):
                behind, towards = await asyncio.open_connection("127.0.0.1", port)
                try:
                    await asyncio.wait(
                        [asyncio.ensure_future(_pipe(reader, towards)), asyncio.ensure_future(_pipe(behind, writer))]
                    )
                finally:
                    towards.close()
        finally:
            writer.close()
            running.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.sleep(0)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, ssl.SSLError):
        while block := await reader.read(256 * 1024):
            writer.write(block)
            await writer.drain()
    writer.close()
