"""A connection without an HTTP library, for requests that well-behaved clients never send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and headers, names in lower case."""

    status: int
    headers: Mapping[str, str]


@dataclass(slots=True)
class Wire:
    """One raw connection. Reads raise TimeoutError after TIMEOUT_SECONDS."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Raises ConnectionError when the gateway has closed the connection."""
        self.writer.write(data)
        await self.writer.drain()

    async def begin(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: test", *(f"{name}: {value}" for name, value in headers.items())]
        await self.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    async def head(self) -> Head:
        """The next status line with its headers, 1xx included."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            text = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *rest = text.strip().split("\r\n")
        pairs = (line.split(": ", 1) for line in rest)
        return Head(int(first.split(" ")[1]), {name.lower(): value for name, value in pairs})

    async def body(self, head: Head) -> dict[str, Any]:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            parsed: dict[str, Any] = json.loads(await self.reader.readexactly(int(head.headers["content-length"])))
        return parsed

    async def closed(self) -> None:
        """Wait until the gateway has closed the connection."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            with suppress(ConnectionError):
                while await self.reader.read(65536):
                    pass


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Wire]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
