"""One pass over a segment's bytes on their way to a store: counted, digested, and stopped when the source says that
they are wrong.

Guarantee: after a pass that was complete, `md5_hex` is the MD5 of exactly `size_bytes` bytes. A source that fails, or
yields more or fewer bytes than it promised, breaks the request body off, so that no store holds it as complete;
`failure` then keeps the source's own error, which HTTP clients replace by one of theirs.

Why a thread: MD5 runs at some 700 MB/s and is the dearest thing that is done to a byte here; hashlib lets go of the
GIL, so it runs beside the event loop while the socket takes the same block.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from concurrent.futures import Executor

from pipeline.core.errors import SegmentCorrupt
from pipeline.ports import SegmentSource

# Below this a block is hashed where it is: handing it to a thread costs about as much as hashing it.
INLINE_BYTES = 64 * 1024


class SegmentPayload:
    """A source, readable as often as a request has to be repeated. Not for two passes at once."""

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
        """The last pass handed every byte out."""
        return bool(self.md5_hex)

    async def blocks(self) -> AsyncGenerator[bytes]:
        """Start a new pass. Every block is held back until the next one is there, and the last one until the source has
        ended and the digest is known: a store that has all bytes may answer at once."""
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
