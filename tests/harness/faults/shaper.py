"""A loopback TCP proxy between Sluice and a server that injects faults, chosen while it runs.

    async with Shaper(("127.0.0.1", 8080), http=True, seed=7) as shaper:
        environment["SLUICE_SWIFT_AUTH_URL"] = f"{shaper.url}/auth/v1.0"
        await shaper.set(Answer(503, retry_after_seconds=1, probability=0.3))
        ...
        await shaper.set(Pass())
        shaper.injected   # Counter({"answer 503": 12})

There is one fault at a time (`kinds`). `set` takes effect at once, also on open connections. `Refuse`, `Stall`,
`Slow` and `Reset` (bytes of one connection) act on connections of any protocol. With `http=True` the shaper
distinguishes requests, and `Reset` (bytes of one request's body), `Corrupt`, `Mute`, `Answer`, `Unparsable` and `Hang`
act on later requests. Each of these has `probability`, `times` (afterwards requests pass) and `path` (a part of the
target), and draws from a seeded generator (`draws`): the same requests in the same order meet the same faults.

The shaper runs in the event loop that it is opened in. Code that blocks this loop, such as starting a cell, stalls it.

Guarantee: the port stays reserved, also while connections are refused. Only the chosen fault changes anything: the
Host header passes unchanged, so that signatures are valid, and Swift's tempauth, which copies Host to X-Storage-Url,
leads its clients back here. Keystone's catalogue names Swift itself: set the shaper there instead. After a chunked
request the rest of its connection passes without distinction of requests.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.harness.faults.draws import Draws
from tests.harness.faults.head import RequestHead
from tests.harness.faults.kinds import Answer, Corrupt, Fault, Hang, Mute, Refuse, Reset, Slow, Stall, Unparsable
from tests.harness.faults.sockets import bound, reset
from tests.harness.listening import Connections, close

_BLOCK_BYTES = 64 * 1024
_SLOW_BLOCK_BYTES = 4 * 1024
_SLOW_BLOCKS_PER_SECOND = 100
_LATE_SECONDS = 0.2
"""How far a slow line catches up when a busy machine runs this process late."""
_HEAD_BYTES = 64 * 1024


class Shaper:
    """Listens on loopback and passes everything on to `upstream` (host, port)."""

    def __init__(self, upstream: tuple[str, int], *, http: bool = False, seed: int = 0) -> None:
        self._upstream = upstream
        self._http = http
        self._draws = Draws(seed)
        self._changed = asyncio.Event()
        self._free_at = 0.0
        self._server: asyncio.Server | None = None
        self._connections = Connections(self._serve)
        self._writers: set[asyncio.StreamWriter] = set()
        # Bound but never listening: this reserves the port, and connections are refused while no server listens.
        self._reserved = bound(0)
        self.injected: Counter[str] = Counter()
        """Injected so far: "refuse" and "stall" each time one is set, "cut" for each connection that a Refuse reset,
        "reset", "corrupt", "mute", "hang", "unparsable" and "answer STATUS" for each request or connection."""
        self.requests = 0
        """The number of requests, with `http`."""

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def port(self) -> int:
        port: int = self._reserved.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def fault(self) -> Fault:
        """The current fault."""
        return self._draws.fault

    async def set(self, fault: Fault) -> None:
        """Replace the current fault."""
        self._draws.set(fault)
        self._free_at = asyncio.get_running_loop().time()
        self._changed.set()
        self._changed = asyncio.Event()
        if isinstance(fault, Refuse):
            self._stop_listening()
            self.injected["refuse"] += 1
            self.injected["cut"] += len(self._connections)
            reset(*self._writers)
        else:
            if isinstance(fault, Stall):
                self.injected["stall"] += 1
            await self._listen()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_listening()
        await self._connections.end()
        self._reserved.close()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._connections, sock=bound(self.port), limit=_HEAD_BYTES)

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        self._writers.add(writer)
        opened: list[asyncio.StreamWriter] = [writer]
        try:
            await self._moving(0)
            async with asyncio.TaskGroup() as group:
                await self._pass_on(reader, writer, opened, group)
                raise _Ended
        except* (_Ended, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._writers.difference_update(opened)
            await close(*opened)

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        opened: list[asyncio.StreamWriter],
        group: asyncio.TaskGroup,
    ) -> None:
        to_server: asyncio.StreamWriter | None = None
        muted = False

        def cut(answer: bytes) -> bool:
            return muted and not answer.startswith(b"HTTP/1.1 100 ")

        async def server() -> asyncio.StreamWriter:
            nonlocal to_server
            if to_server is None:
                try:
                    from_server, to_server = await asyncio.open_connection(*self._upstream)
                except OSError:
                    reset(writer)
                    raise
                opened.append(to_server)
                self._writers.add(to_server)
                group.create_task(self._answers(from_server, writer, cut))
            return to_server

        if not self._http:
            return await self._pump(reader, await server(), resets=True)
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await self._moving(len(head))
            request = RequestHead.parse(head)
            self.requests += 1
            fault = self._draws.for_request(request)
            if isinstance(fault, Hang):
                self.injected["hang"] += 1
                while self.fault is fault:
                    await self._changed.wait()
            if isinstance(fault, Answer):
                return await self._answer(fault, request, reader, writer)
            upstream = await server()
            muted = isinstance(fault, Mute)
            upstream.write(head)
            if request.is_chunked:
                return await self._pump(reader, upstream)
            await self._body(request, fault, reader, upstream, writer)

    async def _answer(
        self, fault: Answer, request: RequestHead, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.injected["unparsable" if isinstance(fault, Unparsable) else f"answer {fault.status}"] += 1
        if not request.asks_first:  # otherwise the response replaces "100 Continue", and the client sends no body
            left = request.body_bytes
            while left:
                left -= len(await self._read(reader, left))
        writer.write(fault.response(request.method))
        await writer.drain()

    async def _body(
        self,
        request: RequestHead,
        fault: Fault,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
    ) -> None:
        flipped = self._draws.random.randrange(request.body_bytes) if isinstance(fault, Corrupt) else -1
        passed = 0
        while passed < request.body_bytes:
            longest = request.body_bytes - passed
            if isinstance(fault, Reset):
                longest = min(longest, max(1, fault.after_bytes - passed))
            block = await self._read(reader, longest)
            if passed <= flipped < passed + len(block):
                at = flipped - passed
                block = block[:at] + bytes([block[at] ^ 1]) + block[at + 1 :]
                self.injected["corrupt"] += 1
            upstream.write(block)
            await upstream.drain()
            passed += len(block)
            if isinstance(fault, Reset) and passed >= fault.after_bytes:
                self.injected["reset"] += 1
                reset(client, upstream)
                raise _Ended

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, resets: bool = False) -> None:
        """Pass bytes on until one side ends; then the connection ends."""
        passed = 0
        while True:
            block = await self._read(reader, _BLOCK_BYTES)
            writer.write(block)
            await writer.drain()
            passed += len(block)
            if resets and self._draws.resets_now(passed):
                self.injected["reset"] += 1
                reset(writer)
                raise _Ended

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: Callable[[bytes], bool]
    ) -> None:
        """Pass the server's bytes on, until they are cut off."""
        while True:
            block = await self._read(reader, _BLOCK_BYTES)
            if cut(block):
                self.injected["mute"] += 1
                reset(writer)
                raise _Ended
            writer.write(block)
            await writer.drain()

    async def _read(self, reader: asyncio.StreamReader, longest: int) -> bytes:
        """The next bytes, at most `longest`, once they may pass. Raises _Ended at the end of the stream."""
        most = _BLOCK_BYTES
        if isinstance(self.fault, Slow):
            fair = int(self.fault.bytes_per_second / _SLOW_BLOCKS_PER_SECOND)
            most = min(max(fair, _SLOW_BLOCK_BYTES), _BLOCK_BYTES)
        block = await reader.read(min(longest, most))
        if not block:
            raise _Ended
        await self._moving(len(block))
        return block

    async def _moving(self, moved_bytes: int) -> None:
        """Wait for the end of a stall, and as long as a slow line takes."""
        while isinstance(self.fault, Stall):
            await self._changed.wait()
        if isinstance(self.fault, Slow) and moved_bytes:
            now = asyncio.get_running_loop().time()
            self._free_at = max(self._free_at, now - _LATE_SECONDS) + moved_bytes / self.fault.bytes_per_second
            if self._free_at <= now:
                return
            self.injected["slow"] += 1
            try:
                async with asyncio.timeout(self._free_at - now):
                    await self._changed.wait()
            except TimeoutError:
                return
            await self._moving(0)


class _Ended(Exception):
    """The connection has ended."""
