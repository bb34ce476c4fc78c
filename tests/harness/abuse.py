"""Abuses of a gateway, each as a context manager: it is in effect while the block runs, and ends with it.

An abuser has a key of its own and comes from addresses of its own, so that nothing it does is an honest client's. An
abuse is given the cell as its owner sees it (`abuser`), and yields what it has counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from deploy.cli.processes import import_path
from pipeline.tasks import end_tasks
from tests.harness.cell import Cell
from tests.harness.keys import as_caller

ABUSER: Final = "mallory"
_ADDRESS: Final = "127.0.0.66"
_ADDRESSES: Final = tuple(f"127.0.1.{number}" for number in range(1, 9))
"""Of raw connections, which are spread over them."""
_AT_ONCE: Final = 32
_CALL: Final = aiohttp.ClientTimeout(total=60)
_DRIP_SECONDS: Final = 1.0


@dataclass
class Counted:
    """What an abuse has seen: responses by error code or status, and connections that are open."""

    responses: Counter[str] = field(default_factory=Counter)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    held: list[aiohttp.ClientResponse] = field(default_factory=list)

    @property
    def open(self) -> int:
        """Responses whose end has not come."""
        return sum(not response.content.at_eof() and response.connection is not None for response in self.held)


Abuse = Callable[[Cell], AbstractAsyncContextManager[Counted]]


@asynccontextmanager
async def abuser(cell: Cell) -> AsyncIterator[Cell]:
    """The cell as the abuser sees it. Raises the number of files that this process may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        async with as_caller(cell, ABUSER, address=_ADDRESS) as own:
            yield own
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def create(cell: Cell, counted: Counted, size: int, **more: Any) -> dict[str, Any] | None:
    """One POST; the upload, or None if it was refused."""
    body = {"filename": "abuse.mp4", "size": size, "content_type": "video/mp4", **more}
    try:
        async with cell.http.post(f"{cell.url}/v1/uploads", json=body, timeout=_CALL) as response:
            parsed = json.loads(await response.read())
    except (TimeoutError, aiohttp.ClientError) as error:
        counted.responses[type(error).__name__] += 1
        return None
    if not parsed["success"]:
        counted.responses[parsed["error"]["code"]] += 1
        return None
    upload: dict[str, Any] = parsed["data"]
    counted.responses[upload["status"]] += 1
    counted.uploads.append(upload["id"])
    return upload


async def _at_once(calls: Iterable[Callable[[], Awaitable[object]]], at_once: int = _AT_ONCE) -> None:
    left = iter(calls)

    async def work() -> None:
        for call in left:
            await call()

    await asyncio.gather(*(work() for _ in range(at_once)))


def posts(count: int, *, size: int, **more: Any) -> Abuse:
    """`count` POSTs, of which no segment is ever sent."""

    @asynccontextmanager
    async def run(cell: Cell) -> AsyncIterator[Counted]:
        counted = Counted()
        await _at_once(lambda: create(cell, counted, size, **more) for _ in range(count))
        yield counted

    return run


def whole_budget(small: int) -> Abuse:
    """One POST of the size of the whole budget, and many small ones."""

    @asynccontextmanager
    async def run(cell: Cell) -> AsyncIterator[Counted]:
        counted = Counted()
        await create(cell, counted, cell.settings.temp_budget_bytes)
        await _at_once(lambda: create(cell, counted, 1000) for _ in range(small))
        yield counted

    return run


def created_and_cancelled(count: int, **more: Any) -> Abuse:
    """`count` uploads that are cancelled at once."""

    @asynccontextmanager
    async def run(cell: Cell) -> AsyncIterator[Counted]:
        counted = Counted()

        async def one() -> None:
            upload = await create(cell, counted, 1000, **more)
            if upload is not None:
                async with cell.http.delete(f"{cell.url}/v1/uploads/{upload['id']}", timeout=_CALL) as response:
                    counted.responses[f"DELETE {response.status}"] += 1

        await _at_once(one for _ in range(count))
        yield counted

    return run


def connections(count: int, begin: Callable[[Cell, int], bytes], drip: bytes = b"") -> Abuse:
    """`count` connections, each of which sends the bytes of `begin`, and `drip` every second."""

    @asynccontextmanager
    async def run(cell: Cell) -> AsyncIterator[Counted]:
        counted = Counted()
        target = urlsplit(cell.url)

        async def one(number: int) -> None:
            source = (_ADDRESSES[number % len(_ADDRESSES)], 0)
            try:
                async with asyncio.timeout(20):
                    _, writer = await asyncio.open_connection(target.hostname, target.port, local_addr=source)
                    counted.writers.append(writer)
                    writer.write(begin(cell, number))
                    await writer.drain()
            except (OSError, TimeoutError) as error:
                counted.responses[type(error).__name__] += 1

        async def dripping() -> None:
            while True:
                await asyncio.sleep(_DRIP_SECONDS)
                for writer in counted.writers:
                    if not writer.is_closing():
                        writer.write(drip)

        await _at_once(partial(one, number) for number in range(count))
        task = asyncio.create_task(dripping())
        try:
            yield counted
        finally:
            await end_tasks(task)
            for writer in counted.writers:
                writer.transport.abort()

    return run


def idle_sockets(count: int) -> Abuse:
    return connections(count, lambda cell, number: b"")


def slow_loris(count: int) -> Abuse:
    """A request head that never ends."""
    return connections(count, lambda cell, number: b"GET /v1/uploads HTTP/1.1\r\nHost: abuse\r\n", b"X-A: b\r\n")


def stalled_bodies(count: int) -> Abuse:
    """Segments whose bodies begin and stop."""

    @asynccontextmanager
    async def run(cell: Cell) -> AsyncIterator[Counted]:
        counted = Counted()
        size = cell.settings.segment_bytes
        upload = await create(cell, counted, size * 8)
        credential = cell.http.headers["Authorization"]

        def begin(_: Cell, number: int) -> bytes:
            name = upload["id"] if upload else "none"
            head = f"PUT /v1/uploads/{name}/segments/{number % 8 + 1} HTTP/1.1\r\nHost: abuse\r\n"
            return f"{head}Authorization: {credential}\r\nContent-Length: {size}\r\n\r\n".encode() + bytes(1000)

        async with connections(count, begin)(cell) as stalled:
            stalled.responses += counted.responses
            stalled.uploads += counted.uploads
            yield stalled

    return run


def _open_responses(count: int, path: Callable[[Cell], Awaitable[str]]) -> Abuse:
    """`count` responses that are never read to their end."""

    @asynccontextmanager
    async def run(cell: Cell) -> AsyncIterator[Counted]:
        counted = Counted()
        target = cell.url + await path(cell)
        async with AsyncExitStack() as exits:

            async def one() -> None:
                try:
                    wanted = cell.http.get(target, timeout=aiohttp.ClientTimeout(sock_read=60), read_bufsize=1024)
                    response = await exits.enter_async_context(wanted)
                    counted.responses[str(response.status)] += 1
                    if response.status == 200:
                        counted.held.append(response)
                    else:
                        response.close()
                except (TimeoutError, aiohttp.ClientError) as error:
                    counted.responses[type(error).__name__] += 1

            await _at_once((one for _ in range(count)), at_once=64)
            yield counted

    return run


def event_streams(count: int) -> Abuse:
    """Event streams of one upload."""

    async def path(cell: Cell) -> str:
        upload = await create(cell, Counted(), 1000)
        assert upload is not None
        return f"/v1/uploads/{upload['id']}/events"

    return _open_responses(count, path)


def slow_downloads(count: int, content_id: Callable[[Cell], Awaitable[str]]) -> Abuse:
    """Downloads through the gateway that are not read."""

    async def path(cell: Cell) -> str:
        return f"/v1/contents/{await content_id(cell)}/download?via=gateway"

    return _open_responses(count, path)


def imports(keys: Iterable[str], operator: Mapping[str, str], at_once: int) -> Abuse:
    """Imports of large objects, again and again, by clients that leave after a second. `operator`: the headers of a
    caller that may import."""

    @asynccontextmanager
    async def run(cell: Cell) -> AsyncIterator[Counted]:
        counted = Counted()
        url = f"{cell.url}/v1/contents/import"
        wanted = {"url": url, "headers": dict(operator), "keys": [*keys], "at_once": at_once}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.harness.import_flood"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": import_path()},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(wanted).encode() + b"\n")
        await process.stdout.readline()
        try:
            yield counted
        finally:
            process.stdin.close()
            printed, _ = await process.communicate()
        counted.responses.update(json.loads(printed))

    return run


async def honest(cell: Cell, data: bytes, seconds: float = 120, **more: Any) -> float:
    """Upload as an honest client does, which waits as it is told to; the seconds until the upload is `ready`."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(seconds):
        upload = await cell.create(len(data), **more)
        await cell.until(upload["id"], "admitted", seconds=seconds)
        await cell.put_all(upload, data)
        await cell.until(upload["id"], "ready", seconds=seconds)
    return loop.time() - began
