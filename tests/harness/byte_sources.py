"""Sources of bytes for the reader (`ports.ByteSource`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class MemorySource:
    """A file in memory."""

    content: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.content)

    async def read(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert offset + length <= len(self.content)
        return self.content[offset : offset + length]
