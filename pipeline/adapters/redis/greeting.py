"""What a Redis that refuses connections says first: that it has reached maxclients, or that it is in protected mode."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from redis.exceptions import ResponseError

_SECONDS = 1.0
_LONGEST_BYTES = 4096


async def refusal(address: Mapping[str, Any]) -> ResponseError | None:
    """The error that the server at `address` (the options of redis-py's pool) sends to a client that sends nothing.
    None: it waits for commands, as it should, cannot be reached, or speaks TLS, where a client speaks first."""
    if any(name.startswith("ssl_") for name in address):
        return None
    try:
        async with asyncio.timeout(_SECONDS):
            if "path" in address:
                reader, writer = await asyncio.open_unix_connection(address["path"])
            else:
                reader, writer = await asyncio.open_connection(address.get("host"), address.get("port"))
            try:
                said = await reader.read(_LONGEST_BYTES)
            finally:
                writer.close()
    except (OSError, ValueError):
        return None
    line = said.partition(b"\r\n")[0].decode("utf-8", "replace")
    return ResponseError(line.removeprefix("-").removeprefix("ERR ")) if line.startswith("-") else None
