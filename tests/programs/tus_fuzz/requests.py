"""Raw tus requests over connections of their own, which can be cut off in the middle of a body."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

_RESPONSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A response; `status` 0: the connection ended without one."""

    status: int
    headers: Mapping[str, str]

    @property
    def offset(self) -> int | None:
        value = self.headers.get("upload-offset", "")
        return int(value) if value.isdigit() else None


async def send(
    method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, cut_after: int | None = None
) -> Reply:
    """Send one request. `cut_after`: close the connection after so many bytes of the body, as it is framed, without
    reading a response."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        lines = [f"{method} {address.path} HTTP/1.1", f"Host: {address.netloc}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if method in ("POST", "PATCH") and not {"Content-Length", "Transfer-Encoding"} & headers.keys():
            lines.append(f"Content-Length: {len(body)}")
        with suppress(ConnectionError):  # the server may respond before it has read the body
            writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body[:cut_after])
            await writer.drain()
        if cut_after is not None:
            return Reply(0, {})
        async with asyncio.timeout(_RESPONSE_SECONDS):
            return await _response(reader)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def chunked(blocks: Sequence[bytes], trailers: Mapping[str, str]) -> bytes:
    """A body with these chunks, none of them empty, and trailer fields."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(block), block) for block in blocks)
    fields = "".join(f"{name}: {value}\r\n" for name, value in trailers.items())
    return framed + b"0\r\n" + fields.encode("latin-1") + b"\r\n"


async def _response(reader: asyncio.StreamReader) -> Reply:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return Reply(0, {})
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
    return Reply(int(first.split()[1]), headers)
