"""The body of one segment while it arrives, bounded in memory, length and time.

Guarantee: `drain` returns only when exactly the expected bytes have arrived and every digest matches. It releases its
buffer space however it ends.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence

from pipeline.core.errors import RequestError
from pipeline.core.model import ClientDigest
from pipeline.uploads.body_reader import BodyReader
from pipeline.uploads.incoming_bytes import IncomingBytes, ReceiveRules, Write
from pipeline.uploads.progress import Progress
from pipeline.uploads.receive_buffer import ReceiveBuffer


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
        self._rules = rules
        self._hashes = [
            (digest, hashlib.new(digest.algorithm.replace("-", ""), usedforsecurity=False))
            for digest in digests
            if digest.algorithm != "crc32c"
        ]
        self._bytes = IncomingBytes(write, buffer, [running for _, running in self._hashes])

    async def drain(self, body: AsyncIterator[bytes], progress: Progress | None = None) -> int:
        """Read all of `body`, write it, and return its crc32c. `progress` learns of each block.

        Raises RequestError SEGMENT_LENGTH_WRONG, SEGMENT_DIGEST_WRONG, SEGMENT_STALLED, SEGMENT_CUT_OFF, and what
        `write` raises.
        """
        stalled = RequestError("SEGMENT_STALLED", number=self._number, stall_seconds=self._rules.stall_seconds)
        try:
            async with asyncio.timeout(self._rules.deadline_seconds):
                with BodyReader(body, self._rules.stall_seconds, progress) as reader:
                    while (block := await reader.next()) is not None:
                        arrived = self._bytes.arrived_bytes + len(block)
                        if arrived > self._size_bytes:
                            raise wrong_length(self._number, self._size_bytes, arrived)
                        await self._bytes.reserve(len(block))
                        self._bytes.hold(block)
                        del block
                        await self._bytes.flush_batch()
                await self._bytes.flush()
        except TimeoutError as error:
            raise stalled from error
        except ConnectionError as error:
            raise RequestError("SEGMENT_CUT_OFF", number=self._number) from error
        finally:
            self._bytes.close()
        if self._bytes.done_bytes != self._size_bytes:
            raise wrong_length(self._number, self._size_bytes, self._bytes.done_bytes)
        self._check_digests()
        return self._bytes.crc32c

    def _check_digests(self) -> None:
        actual = {digest.algorithm: running.digest() for digest, running in self._hashes}
        actual["crc32c"] = self._bytes.crc32c.to_bytes(4, "big")
        for digest in self._digests:
            if actual[digest.algorithm] != digest.value:
                raise RequestError("SEGMENT_DIGEST_WRONG", number=self._number, algorithm=digest.algorithm)


def wrong_length(number: int, expected_bytes: int, received_bytes: int) -> RequestError:
    """The error for a segment of the wrong length."""
    return RequestError(
        "SEGMENT_LENGTH_WRONG", number=number, expected_bytes=expected_bytes, received_bytes=received_bytes
    )
