"""What aiohttp alone needs to store a file in Swift: `python -m tests.programs.bench.raw_puts ORDER`.

PUTs the segments, 16 at once, and then the manifest. It computes no digest, repeats nothing and keeps no state: the
least that any client of Swift does. ORDER is JSON: `auth_url`, `user`, `key`, `container`, `name`, `file`,
`segment_bytes`. Prints the seconds from the first byte until Swift has the manifest.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp

AT_ONCE: Final = 16
_BLOCK_BYTES: Final = 256 * 1024


async def _blocks(descriptor: int, start: int, length: int) -> AsyncIterator[bytes]:
    """The bytes of a file, which the page cache has: reading them does not wait."""
    for offset in range(start, start + length, _BLOCK_BYTES):
        yield os.pread(descriptor, min(_BLOCK_BYTES, start + length - offset), offset)


async def _store(http: aiohttp.ClientSession, account: str, order: dict[str, Any]) -> None:
    segment_bytes, container = order["segment_bytes"], order["container"]
    descriptor = os.open(order["file"], os.O_RDONLY)
    size_bytes = os.fstat(descriptor).st_size
    left = iter(range(0, size_bytes, segment_bytes))
    stored: dict[int, dict[str, object]] = {}

    async def send_some() -> None:
        for start in left:
            length = min(segment_bytes, size_bytes - start)
            path = f"{container}_segments/{order['name']}/{start // segment_bytes:08}"
            body, fields = _blocks(descriptor, start, length), {"Content-Length": str(length)}
            async with http.put(f"{account}/{path}", data=body, headers=fields) as response:
                stored[start] = {"path": f"/{path}", "etag": response.headers["ETag"].strip('"'), "size_bytes": length}

    await asyncio.gather(*(send_some() for _ in range(AT_ONCE)))
    manifest = json.dumps([stored[start] for start in sorted(stored)]).encode()
    target = f"{account}/{container}/{order['name']}?multipart-manifest=put"
    async with http.put(target, data=manifest) as response:
        await response.read()
    os.close(descriptor)


async def _run(order: dict[str, Any]) -> float:
    connector, timeout = aiohttp.TCPConnector(limit=AT_ONCE), aiohttp.ClientTimeout(total=None, sock_read=120)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, raise_for_status=True) as http:
        login = {"X-Auth-User": order["user"], "X-Auth-Key": order["key"]}
        async with http.get(order["auth_url"], headers=login) as response:
            account, token = response.headers["X-Storage-Url"], response.headers["X-Auth-Token"]
        http.headers["X-Auth-Token"] = token
        for container in (order["container"], f"{order['container']}_segments"):
            async with http.put(f"{account}/{container}") as response:
                await response.read()
        began = time.monotonic()
        await _store(http, account, order)
        return time.monotonic() - began


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(_run(json.loads(sys.argv[1])))}\n")
