"""How much is read from a socket at once: much while few bodies arrive, little while many do.

Guarantee: all connections of an event loop are read into one buffer, one after the other, and only what has arrived is
copied out of it. So a connection takes no memory for what has not arrived. What a body may have unread, beside the
bytes that `pipeline.uploads.receive_buffer` counts, is bounded: `LARGE_READ_BYTES` and twice as much for each of `_FEW`
bodies, `_SMALL_BYTES` and twice as much for any other.
"""

from __future__ import annotations

from typing import Final

from aiohttp.streams import StreamReader

LARGE_READ_BYTES: Final = 256 * 1024
"""A quarter of what is written at once (`pipeline.uploads.incoming_bytes`)."""

_SMALL_BYTES: Final = 64 * 1024
_FEW: Final = 32

BODY_BUFFER_BYTES: Final = _SMALL_BYTES
"""The `read_bufsize` of a body, until `begin_body` raises it: aiohttp stops reading from the socket when twice this is
buffered."""


class SharedReads:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._large = memoryview(bytearray(LARGE_READ_BYTES))
        self._small = self._large[:_SMALL_BYTES]
        self._bodies = 0

    def buffer(self, *, in_body: bool) -> memoryview:
        """Where the next read of any connection goes. Its bytes must be taken before another connection is read."""
        return self._large if in_body and self._bodies <= _FEW else self._small

    def take(self, count_bytes: int) -> bytes:
        """A copy of the first bytes of the buffer."""
        return bytes(self._large[:count_bytes])

    def begin_body(self, body: StreamReader) -> None:
        """A body arrives from now on, until `end_body`."""
        self._bodies += 1
        if self._bodies <= _FEW:
            body.set_read_chunk_size(LARGE_READ_BYTES)

    def end_body(self) -> None:
        """A body has arrived, or its request has ended."""
        self._bodies -= 1
