"""A TCP proxy on loopback that delivers what its server sends a fixed time later, as a server far away or a busy store
would. It runs in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_BLOCK_BYTES = 256 * 1024


class DelayingProxy:
    """Passes connections on to `upstream` (host, port); whatever comes back is delayed by `seconds`, however much is
    under way."""

    def __init__(self, upstream: tuple[str, int], seconds: float) -> None:
        self._upstream = upstream
        self._seconds = seconds
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop)
        self._server = starting.result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream)
        try:
            with suppress(asyncio.CancelledError):  # by `_stop`; asyncio would log it
                await asyncio.gather(
                    self._pass_on(reader, upstream_writer, 0), self._pass_on(upstream_reader, writer, self._seconds)
                )
        finally:
            writer.close()
            upstream_writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        blocks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, block = await blocks.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                if not block:
                    return
                writer.write(block)
                await writer.drain()

        delivering = asyncio.create_task(deliver())
        with suppress(ConnectionError):
            while block := await reader.read(_BLOCK_BYTES):
                blocks.put_nowait((loop.time() + seconds, block))
        blocks.put_nowait((loop.time() + seconds, b""))
        with suppress(ConnectionError):
            await delivering
            if writer.can_write_eof():
                writer.write_eof()
