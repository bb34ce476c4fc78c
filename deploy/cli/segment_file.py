"""A local file as segments: their bytes, and their digests, which are computed block by block in threads.

Guarantee: every error is a ClientError. Only a regular file that is not empty is opened, so neither a named pipe nor a
device can block the command. A change to the file is detected: `check_unchanged` compares its length, modification time
and inode, before and after every segment.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import google_crc32c

from deploy.cli.errors import FileChangedError, FileUnusableError

_DIGEST_BLOCK_BYTES: Final = 256 * 1024

DigestName = Literal["crc32c", "sha-256", "md5", "none"]
"""crc32c is the default: it finds damage on the way, and the gateway computes it anyway. It is no protection against
somebody who changes bytes on purpose (RFC 9530, section 6.6); that is TLS, or sha-256.
"""

_HASHES: Final[Mapping[str, Callable[[], Any]]] = {
    "crc32c": google_crc32c.Checksum,
    "sha-256": hashlib.sha256,
    "md5": partial(hashlib.md5, usedforsecurity=False),
}


class SegmentFile:
    """A regular file with content, open for reading."""

    def __init__(self, path: Path) -> None:
        """Raises FileUnusableError."""
        self.path = path
        try:
            _check_kind(path.stat())  # before it is opened: opening a device or a named pipe has effects
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise FileUnusableError.of(error) from None
        self.stat = os.fstat(self._descriptor)
        try:
            _check_kind(self.stat)
        except FileUnusableError:
            os.close(self._descriptor)
            raise
        self.stream = os.fdopen(self._descriptor, "rb", buffering=0)
        """For calls that need a file object. Its position has no meaning."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stream.close()

    def check_unchanged(self) -> None:
        """Raises FileChangedError when the file was written to, deleted, moved or replaced."""
        try:
            found = [os.fstat(self._descriptor), self.path.stat()]
        except OSError:
            raise FileChangedError(self.path) from None
        if any(_version(now) != _version(self.stat) for now in found):
            raise FileChangedError(self.path)

    async def digest_header(self, offset: int, length: int, digest: DigestName) -> dict[str, str]:
        """The header that lets the gateway verify a segment: Content-Digest (RFC 9530) or Content-MD5 (RFC 1864)."""
        if digest == "none":
            return {}
        raw = await asyncio.to_thread(self._digest, offset, length, digest)
        value = base64.b64encode(raw).decode("ascii")
        return {"Content-MD5": value} if digest == "md5" else {"Content-Digest": f"{digest}=:{value}:"}

    def crc32c(self, offset: int, length: int) -> int:
        """The CRC-32C of a range. Blocks. Raises as `read`."""
        return int.from_bytes(self._digest(offset, length, "crc32c"), "big")

    def read(self, offset: int, length: int) -> bytes:
        """At least one byte and at most `length`, from `offset` on. Raises FileChangedError, FileUnusableError."""
        try:
            block = os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise FileUnusableError.of(error) from None
        if not block:
            raise FileChangedError(self.path)
        return block

    def _digest(self, offset: int, length: int, digest: DigestName) -> bytes:
        running = _HASHES[digest]()
        position = offset
        while position < offset + length:
            block = self.read(position, min(_DIGEST_BLOCK_BYTES, offset + length - position))
            running.update(block)
            position += len(block)
        found: bytes = running.digest()
        return found


def _check_kind(found: os.stat_result) -> None:
    """Raises FileUnusableError unless it is a regular file with content."""
    if stat.S_ISDIR(found.st_mode):
        raise FileUnusableError("This is a directory; name the files in it.", code="FILE_NOT_REGULAR")
    if not stat.S_ISREG(found.st_mode):
        raise FileUnusableError(
            "This is not a regular file. Its length must be known, so save the data to a file first.",
            code="FILE_NOT_REGULAR",
        )
    if found.st_size == 0:
        raise FileUnusableError("The file is empty.", code="FILE_EMPTY")


def _version(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ino
