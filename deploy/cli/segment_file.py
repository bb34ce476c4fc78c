"""A local file as segments: their digests and bodies, read block by block in threads.

Guarantee: each body that is being sent holds one block in memory, whatever the segment's length. A change to the file
is detected: `check_unchanged` compares its length, modification time and inode, before and after every segment.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from deploy.cli.errors import FileChangedError

BLOCK_BYTES: Final = 1024 * 1024

DigestName = Literal["sha-256", "md5", "none"]
"""sha-256 is the default: with the CPU's SHA instructions it is more than twice as fast as MD5 (1,375 against 590
MiB/s on one core).
"""


class SegmentFile:
    """A regular file, open for reading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.stat = os.fstat(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def check_unchanged(self) -> None:
        """Raises FileChangedError when the file was written to, deleted or replaced."""
        try:
            now, named = os.fstat(self._descriptor), self.path.stat()
        except FileNotFoundError:
            raise FileChangedError(self.path) from None
        for stat in (now, named):
            if (stat.st_size, stat.st_mtime_ns, stat.st_ino) != (
                self.stat.st_size,
                self.stat.st_mtime_ns,
                self.stat.st_ino,
            ):
                raise FileChangedError(self.path)

    async def digest_header(self, offset: int, length: int, digest: DigestName) -> dict[str, str]:
        """The header that lets the gateway verify a segment: Content-Digest (RFC 9530) or Content-MD5 (RFC 1864)."""
        if digest == "none":
            return {}
        raw = await asyncio.to_thread(self._digest, offset, length, digest)
        value = base64.b64encode(raw).decode("ascii")
        return {"Content-Digest": f"sha-256=:{value}:"} if digest == "sha-256" else {"Content-MD5": value}

    async def blocks(self, offset: int, length: int, sent: Callable[[int], None]) -> AsyncIterator[bytes]:
        """Yields the bytes of one segment, in order.

        `sent` is called with the number of bytes taken so far. Raises FileChangedError.
        """
        position = offset
        while position < offset + length:
            block = await asyncio.to_thread(self._read, position, min(BLOCK_BYTES, offset + length - position))
            yield block
            position += len(block)
            sent(position - offset)

    def _read(self, offset: int, length: int) -> bytes:
        block = os.pread(self._descriptor, length, offset)
        if not block:
            raise FileChangedError(self.path)
        return block

    def _digest(self, offset: int, length: int, digest: DigestName) -> bytes:
        hasher = hashlib.sha256() if digest == "sha-256" else hashlib.md5(usedforsecurity=False)
        position = offset
        while position < offset + length:
            block = self._read(position, min(BLOCK_BYTES, offset + length - position))
            hasher.update(block)
            position += len(block)
        return hasher.digest()
