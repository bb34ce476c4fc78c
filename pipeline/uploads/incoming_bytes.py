"""Bytes of a segment while they arrive, bounded in memory, length and time: what `uploads.incoming_segment` and
`uploads.append` have in common.

Guarantee: at most one batch is held, within the process's buffer. `close` releases the buffer space; whatever has been
written by then counts in `done_bytes` and `crc32c`, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pipeline.ports import Hash
from pipeline.uploads.receive_buffer import ReceiveBuffer

# One write to the temp file. With 4 MiB, copying the bytes to the page cache takes longer.
_BATCH_BYTES = 1024 * 1024
# IOV_MAX of Linux (writev(2)): more blocks need a second system call, and short ones take more memory than their bytes.
_BATCH_BLOCKS = 1024

# (offset in the segment, blocks, crc32c so far) -> crc32c
Write = Callable[[int, Sequence[bytes], int], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class ReceiveRules:
    """Time limits of the body of a segment: between two blocks (`stall_seconds`) and in total (`deadline_seconds`)."""

    stall_seconds: float
    deadline_seconds: float


class IncomingBytes:
    """Passes bytes to `write` in batches, from `done_bytes` of the segment on; `crc32c` is that of the bytes before.
    `hashes` are updated with the same bytes."""

    def __init__(
        self,
        write: Write,
        buffer: ReceiveBuffer,
        hashes: Sequence[Hash] = (),
        *,
        done_bytes: int = 0,
        crc32c: int = 0,
    ) -> None:
        self._write = write
        self._buffer = buffer
        self._hashes = hashes
        self._held: list[bytes] = []
        self._held_bytes = 0
        self.done_bytes = done_bytes
        self.crc32c = crc32c

    @property
    def arrived_bytes(self) -> int:
        """Bytes of the segment that are written or held."""
        return self.done_bytes + self._held_bytes

    async def reserve(self, count_bytes: int) -> None:
        """Reserve space for a block. Raises what `write` raises."""
        if self._buffer.is_pressed:
            await self.flush()
        if not self._buffer.try_acquire(count_bytes):
            await self._buffer.acquire(count_bytes)

    def hold(self, block: bytes) -> None:
        """Hold a block for which space is reserved. Its caller keeps no reference, so that it ends when it is
        written."""
        self._held.append(block)
        self._held_bytes += len(block)

    async def flush_batch(self) -> None:
        """Write what is held, once it is a batch. It returns when the client may send more. Raises what `write`
        raises."""
        is_batch = self._held_bytes >= _BATCH_BYTES or len(self._held) >= _BATCH_BLOCKS
        if is_batch or self._buffer.is_pressed:
            await self.flush()
            await self._buffer.turn()

    async def flush(self) -> None:
        """Write what is held. Raises what `write` raises."""
        if not self._held:
            return
        blocks, count = self._held, self._held_bytes
        written = self._write(self.done_bytes, blocks, self.crc32c)
        if self._hashes:
            self.crc32c, _ = await asyncio.gather(written, asyncio.to_thread(self._hash, blocks))
        else:
            self.crc32c = await written
        self.done_bytes += count
        self._held = []
        self._held_bytes = 0
        self._buffer.release(count)

    def close(self) -> None:
        """Drop what is held, and release its space. Idempotent."""
        self._buffer.release(self._held_bytes)
        self._held = []
        self._held_bytes = 0

    def _hash(self, blocks: Sequence[bytes]) -> None:
        for running in self._hashes:
            for block in blocks:
                running.update(block)
