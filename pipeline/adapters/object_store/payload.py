"""The bytes of one segment on their way to a store: counted, digested, and broken off when the source reports an error.

Guarantee: after a complete pass `md5_hex` is the MD5 of exactly `size_bytes` bytes. A source that fails, or yields more
or fewer bytes than it announced, breaks the request body off, so that no store holds it as complete. `failure` then
keeps the source's own error, because HTTP clients replace it by one of theirs.

Why a thread: MD5 runs at about 700 MB/s and is the most expensive operation on each byte. hashlib releases the GIL, so
the digest is computed beside the event loop while the socket takes the same block.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator
from concurrent.futures import Executor, ThreadPoolExecutor

from pipeline.core.errors import SegmentCorrupt
from pipeline.ports import SegmentSource

# A smaller block is hashed on the event loop: passing it to a thread costs about as much as hashing it.
INLINE_BYTES = 64 * 1024


def new_hashing_pool() -> ThreadPoolExecutor:
    """Threads for a store's digests; the store shuts them down."""
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="segment-md5")


class SegmentPayload:
    """A source that can be read once for each time its request is sent. Not for two passes at once."""

    def __init__(self, source: SegmentSource, executor: Executor) -> None:
        self.number = source.number
        self.size_bytes = source.size_bytes
        self.md5_hex = ""
        self.passed_bytes = 0
        self.failure: Exception | None = None
        self._source = source
        self._executor = executor

    @property
    def complete(self) -> bool:
        """Whether the last pass yielded every byte."""
        return bool(self.md5_hex)

    async def blocks(self) -> AsyncGenerator[bytes]:
        """Start a new pass. Each block is held back until the next one is there, and the last one until the source has
        ended and the digest is known: a store that has all bytes may respond at once."""
        self.md5_hex, self.passed_bytes, self.failure = "", 0, None
        digest = hashlib.md5(usedforsecurity=False)
        held = b""
        hashing: asyncio.Future[None] | None = None
        try:
            async for block in self._source.chunks():
                if self.passed_bytes + len(held) + len(block) > self.size_bytes:
                    raise SegmentCorrupt(self.number)
                if hashing is not None:
                    await hashing
                hashing = self._hash(digest, block)
                if held:
                    self.passed_bytes += len(held)
                    yield held
                held = block
            if self.passed_bytes + len(held) < self.size_bytes:
                raise SegmentCorrupt(self.number)
            if hashing is not None:
                await hashing
        except Exception as error:
            self.failure = error
            raise
        self.md5_hex = digest.hexdigest()
        if held:
            self.passed_bytes += len(held)
            yield held

    def _hash(self, digest: hashlib._Hash, block: bytes) -> asyncio.Future[None] | None:
        if len(block) < INLINE_BYTES:
            digest.update(block)
            return None
        return asyncio.get_running_loop().run_in_executor(self._executor, digest.update, block)
