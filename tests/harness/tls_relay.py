"""TLS in front of a server that has none: a relay of bytes, on a free loopback port."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.harness.listening import close, listening


@asynccontextmanager
async def tls_relay(port: int, certificate_file: Path, key_file: Path) -> AsyncIterator[int]:
    """Run it while the block runs; yields its port. `port`: of the server behind it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_file, key_file)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, towards = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(_pipe(reader, towards), _pipe(behind, writer))
        finally:
            await close(towards)

    async with listening(serve, tls=context) as (_, relay_port):
        yield relay_port


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, ssl.SSLError):
        while block := await reader.read(256 * 1024):
            writer.write(block)
            await writer.drain()
    writer.close()
