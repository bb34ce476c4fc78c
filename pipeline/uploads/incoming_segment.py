"""The body of one segment while it arrives, bounded in memory, length and time.

Guarantee: `drain` returns only when exactly the expected bytes have arrived and every digest matches. It releases its
buffer space however it ends.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from pipeline.core.errors import RequestError
from pipeline.core.model import ClientDigest
from pipeline.uploads.receive_buffer import ReceiveBuffer

# Writes of 4 MiB take half the CPU per byte of writes of 1 MiB; larger writes gain nothing.
_BATCH_BYTES = 4 * 1024 * 1024

# (offset in the segment, blocks, crc32c so far) -> crc32c
Write = Callable[[int, Sequence[bytes], int], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class ReceiveRules:
    """Time limits of a body: between two blocks (`stall_seconds`) and in total (`deadline_seconds`)."""

    stall_seconds: float
    deadline_seconds: float


class IncomingSegment:
    """Receives segment `number` of `size_bytes` bytes and passes it to `write` in batches."""

    def __init__(
        self,
        number: int,
        size_bytes: int,
        digests: Sequence[ClientDigest],
        write: Write,
        buffer: ReceiveBuffer,
        rules: ReceiveRules,
    ) -> None:
        self._number = number
        self._size_bytes = size_bytes
        self._digests = digests
        self._write = write
        self._buffer = buffer
        self._rules = rules
        self._hashes = [
            (digest, hashlib.new(digest.algorithm.replace("-", ""), usedforsecurity=False))
            for digest in digests
            if digest.algorithm != "crc32c"
        ]
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._done_bytes = 0
        self._crc32c = 0

    async def drain(self, body: AsyncIterator[bytes]) -> int:
        """Read all of `body`, write it, and return its crc32c.

        Raises RequestError SEGMENT_LENGTH_WRONG, SEGMENT_DIGEST_WRONG, SEGMENT_STALLED, SEGMENT_CUT_OFF, and what
        `write` raises.
        """
        stalled = RequestError("SEGMENT_STALLED", number=self._number, stall_seconds=self._rules.stall_seconds)
        try:
            async with asyncio.timeout(self._rules.deadline_seconds):
                while (block := await self._next(body)) is not None:
                    await self._hold(block)
                await self._flush()
        except TimeoutError as error:
            raise stalled from error
        except ConnectionError as error:
            raise RequestError("SEGMENT_CUT_OFF", number=self._number) from error
        finally:
            self._buffer.release(self._held_bytes)
            self._held_bytes = 0
        if self._done_bytes != self._size_bytes:
            raise wrong_length(self._number, self._size_bytes, self._done_bytes)
        self._check_digests()
        return self._crc32c

    async def _next(self, body: AsyncIterator[bytes]) -> bytes | None:
        async with asyncio.timeout(self._rules.stall_seconds):
            return await anext(body, None)

    async def _hold(self, block: bytes) -> None:
        arrived = self._done_bytes + self._held_bytes + len(block)
        if arrived > self._size_bytes:
            raise wrong_length(self._number, self._size_bytes, arrived)
        if self._buffer.is_pressed:
            await self._flush()
        await self._buffer.acquire(len(block))
        self._held.append(block)
        self._held_bytes += len(block)
        if self._held_bytes >= _BATCH_BYTES or self._buffer.is_pressed:
            await self._flush()

    async def _flush(self) -> None:
        if not self._held:
            return
        blocks, count = self._held, self._held_bytes
        written = self._write(self._done_bytes, blocks, self._crc32c)
        if self._hashes:
            self._crc32c, _ = await asyncio.gather(written, asyncio.to_thread(self._hash, blocks))
        else:
            self._crc32c = await written
        self._done_bytes += count
        self._held = []
        self._held_bytes = 0
        self._buffer.release(count)

    def _hash(self, blocks: Sequence[bytes]) -> None:
        for _, running in self._hashes:
            for block in blocks:
                running.update(block)

    def _check_digests(self) -> None:
        actual = {digest.algorithm: running.digest() for digest, running in self._hashes}
        actual["crc32c"] = self._crc32c.to_bytes(4, "big")
        for digest in self._digests:
            if actual[digest.algorithm] != digest.value:
                raise RequestError("SEGMENT_DIGEST_WRONG", number=self._number, algorithm=digest.algorithm)


def wrong_length(number: int, expected_bytes: int, received_bytes: int) -> RequestError:
    """The error for a segment of the wrong length."""
    return RequestError(
        "SEGMENT_LENGTH_WRONG", number=number, expected_bytes=expected_bytes, received_bytes=received_bytes
    )
