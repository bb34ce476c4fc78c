"""The bytes of one segment on their way to a store: counted, digested, and broken off when the source reports an error.

Guarantee: after a complete pass `md5_hex` is the MD5 of exactly `size_bytes` bytes or, of a payload that computes none,
the one that its client has announced. A source that fails, or yields more or fewer bytes than it announced, breaks the
request body off, so that no store holds it as complete. `failure` then keeps the source's own error, because HTTP
clients replace it by one of theirs.

MD5 is the most expensive operation on each byte. The source computes it in the thread in which it reads, and not at all
where the store compares the bytes with a digest that is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator

from pipeline.core.errors import SegmentCorrupt
from pipeline.ports import SegmentSource


class SegmentPayload:
    """A source that can be read once for each time its request is sent. Not for two passes at once. `computes_md5`:
    otherwise `md5_hex` is that of the client, empty if there is none."""

    def __init__(self, source: SegmentSource, *, computes_md5: bool = True) -> None:
        self.number = source.number
        self.size_bytes = source.size_bytes
        self.md5_hex = ""
        self.complete = False
        """Whether the last pass yielded every byte."""
        self.passed_bytes = 0
        self.failure: Exception | None = None
        self._source = source
        self._computes_md5 = computes_md5

    async def blocks(self) -> AsyncGenerator[bytes]:
        """Start a new pass. Each block is held back until the next one is there, and the last one until the source has
        ended and the digest is known: a store that has all bytes may respond at once."""
        self.md5_hex, self.complete, self.passed_bytes, self.failure = "", False, 0, None
        digests = [hashlib.md5(usedforsecurity=False)] if self._computes_md5 else []
        held = b""
        try:
            async for block in self._source.chunks(*digests):
                if self.passed_bytes + len(held) + len(block) > self.size_bytes:
                    raise SegmentCorrupt(self.number)
                if held:
                    self.passed_bytes += len(held)
                    yield held
                held = block
            if self.passed_bytes + len(held) < self.size_bytes:
                raise SegmentCorrupt(self.number)
        except Exception as error:
            self.failure = error
            raise
        self.md5_hex = digests[0].hexdigest() if digests else self._source.md5_hex
        self.complete = True
        if held:
            self.passed_bytes += len(held)
            yield held
