"""The worker's side of one reading: sends the child its job, the ranges that it requests, and collects its results.

Guarantee: nothing that the child sends is trusted or unbounded: offsets, lengths, the number of bytes and the time that
it takes. Time in which the child waits for bytes does not count; while that takes long, its slot is given to others.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Mapping
from typing import Any, Final, TypeVar

from pipeline.adapters.media.lanes import Deferred, Slot
from pipeline.adapters.media.protocol import HEADER, JOB, LIMITS, MAX_RANGE_BYTES, Said
from pipeline.ports.media import ByteSource
from pipeline.tasks import end_tasks

_RECEIVE_BYTES: Final = 256 * 1024
# A temp file and a store nearby respond faster; then a slot that is passed on costs more than it brings.
_PROMPT_SECONDS: Final = 0.02
MAX_READ_BYTES: Final = 1024**3
"""What one child may request in all."""

T = TypeVar("T")


class ViolationError(Exception):
    """The child sent what it never sends unless hostile code runs in it."""


class Conversation:
    """One job. The attributes are filled in while `run` runs."""

    def __init__(
        self, sock: socket.socket, source: ByteSource, slot: Slot, deferred: Deferred, wall_seconds: float
    ) -> None:
        self._sock = sock
        self._source = source
        self._slot = slot
        self._deferred = deferred
        self._left_seconds = wall_seconds
        self._buffer = bytearray()
        self.metadata: bytes | None = None
        self.jpeg: bytes | None = None
        self.refusal: str | None = None
        self.out_of_memory = False
        self.failure: str | None = None
        self.source_error: Exception | None = None
        self.timed_out = False
        self.violation = False
        self.ranges = 0
        self.bytes_read = 0

    @property
    def must_end(self) -> bool:
        """The child still runs and will not end by itself."""
        too_much = self.bytes_read > MAX_READ_BYTES
        return self.timed_out or self.violation or too_much or self.source_error is not None

    async def run(self, job: Mapping[str, Any]) -> None:
        """Until the child has sent its last result or has ended, or has to be ended. Raises only if cancelled."""
        text = json.dumps(job).encode()
        try:
            await self._timed(self._send(JOB.pack(len(text)) + text))
            while await self._handle(*HEADER.unpack(await self._receive(HEADER.size))):
                pass
        except TimeoutError:
            self.timed_out = True
        except ViolationError:
            self.violation = True
        except (EOFError, OSError):
            pass  # the child has ended; its exit status says why

    async def _handle(self, what: int, offset: int, length: int) -> bool:
        """False after what is the last thing that a child sends."""
        if what == Said.RANGE:
            return await self._serve(offset, length)
        if what not in LIMITS or length > LIMITS[Said(what)]:
            raise ViolationError
        content = await self._receive(length)
        if what == Said.METADATA:
            if self.metadata is not None:
                raise ViolationError
            self.metadata = content
            return True
        if what == Said.JPEG:
            self.jpeg = content
        elif what == Said.NOT_MEDIA:
            self.refusal = content.decode("utf-8", "replace")
        elif what == Said.OUT_OF_MEMORY:
            self.out_of_memory = True
        else:
            self.failure = content.decode("utf-8", "replace")
        return False

    async def _serve(self, offset: int, length: int) -> bool:
        if not 0 < length <= MAX_RANGE_BYTES or offset + length > self._source.size_bytes:
            raise ViolationError
        self.ranges += 1
        self.bytes_read += length
        if self.bytes_read > MAX_READ_BYTES:
            self.refusal = f"reading it needs more than {MAX_READ_BYTES // 1024**2} MiB of it"
            return False
        try:
            data = await self._read_source(offset, length)
        except Exception as error:  # noqa: BLE001  # the source's own errors are passed on, whatever they are
            self.source_error = error
            return False
        await self._timed(self._send(data))
        return True

    async def _read_source(self, offset: int, length: int) -> bytes:
        reading = asyncio.ensure_future(self._source.read(offset, length))
        try:
            await asyncio.wait((reading,), timeout=_PROMPT_SECONDS)
            if not reading.done():
                self._slot.pause()
                async with self._deferred.counted():
                    await asyncio.wait((reading,))
                await self._slot.resume()
            data = reading.result()
        finally:
            await end_tasks(reading)
        if len(data) != length:
            raise ValueError(f"the source returned {len(data)} bytes instead of {length}")
        return data

    async def _send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def _receive(self, length: int) -> bytes:
        loop = asyncio.get_running_loop()
        while len(self._buffer) < length:
            chunk = await self._timed(loop.sock_recv(self._sock, _RECEIVE_BYTES))
            if not chunk:
                raise EOFError
            self._buffer += chunk
        content = bytes(self._buffer[:length])
        del self._buffer[:length]
        return content

    async def _timed(self, work: Awaitable[T]) -> T:
        """Wait for the child. Raises TimeoutError when it has used up its time."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        try:
            async with asyncio.timeout(max(0.0, self._left_seconds)):
                return await work
        finally:
            self._left_seconds -= loop.time() - begin
