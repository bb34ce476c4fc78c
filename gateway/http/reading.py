"""How much is read from a socket at once, and when: without a pause while few bodies arrive, in turn while many do.

Guarantee: all connections of an event loop are read into one buffer, one after the other, and only what has arrived is
copied out of it. So a connection takes no memory for what has not arrived. What a body may have unread, beside the
bytes that `pipeline.uploads.receive_buffer` counts, is bounded. Up to `_FEW` bodies may have three times
`LARGE_READ_BYTES` each. Of more, each has what one read has received, and nothing is read from its socket until its
reader asks for more; once bodies must wait for their turns (`ReceiveBuffer.is_crowded`), a read receives `_SMALL_BYTES`
at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.streams import StreamReader

LARGE_READ_BYTES: Final = 256 * 1024
"""A quarter of what is written at once (`pipeline.uploads.incoming_bytes`)."""

_SMALL_BYTES: Final = 16 * 1024
"""Of a head, and of bodies that are crowded."""

_FEW: Final = 32

BUFFER_BYTES: Final = 64 * 1024
"""The `read_bufsize` of a body, until `begin_body` raises it: aiohttp stops reading from the socket when twice this is
buffered."""


class SharedReads:
    """Belongs to one event loop. `is_crowded`: whether bodies must wait for their turns, if so many bytes arrive."""

    def __init__(self, is_crowded: Callable[[int], bool]) -> None:
        self._is_crowded = is_crowded
        self._large = memoryview(bytearray(LARGE_READ_BYTES))
        self._small = self._large[:_SMALL_BYTES]
        self._bodies = 0
        self._unread_bytes = 0

    @property
    def are_many(self) -> bool:
        """Whether a body is read only when its reader asks for more."""
        return self._bodies > _FEW

    def buffer(self, *, in_body: bool) -> memoryview:
        """Where the next read of any connection goes. Its bytes must be taken before another connection is read."""
        if not in_body or (self.are_many and self._is_crowded(self._unread_bytes)):
            return self._small
        return self._large

    def take(self, count_bytes: int) -> bytes:
        """A copy of the first bytes of the buffer."""
        return bytes(self._large[:count_bytes])

    def begin_body(self, body: StreamReader) -> None:
        """A body arrives from now on, until `end_body`."""
        self._bodies += 1
        body.set_read_chunk_size(LARGE_READ_BYTES)

    def end_body(self) -> None:
        """A body has arrived, or its request has ended."""
        self._bodies -= 1

    def hold(self, count_bytes: int) -> None:
        """These bytes of one of many bodies were read, and its reader has not taken them, until `release`."""
        self._unread_bytes += count_bytes

    def release(self, count_bytes: int) -> None:
        self._unread_bytes -= count_bytes


class ReadInTurn(web.RequestHandler):
    """One connection of aiohttp, which is read into `SharedReads`. For `asyncio.BufferedProtocol`."""

    __slots__ = ("_body", "_is_held", "_is_wanted", "_reads", "_unread_bytes")

    def __init__(self, manager: web.Server, reads: SharedReads, **limits: Any) -> None:
        super().__init__(manager, loop=asyncio.get_running_loop(), **limits)
        self._reads = reads
        self._body: StreamReader | None = None
        """Of the latest request that is handled."""
        self._is_wanted = False
        """The body of the request in progress may be read. What comes later is discarded as it arrives."""
        self._unread_bytes = 0
        """Of one of many bodies, read and not taken."""
        self._is_held = False
        """Nothing more is read until `read_on`."""

    @property
    def _is_in_body(self) -> bool:
        return self._body is not None and not self._body.is_eof()

    def get_buffer(self, sizehint: int) -> memoryview:
        """The event loop calls this, reads, and calls `buffer_updated`, before it turns to another connection."""
        return self._reads.buffer(in_body=self._is_in_body)

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(self._reads.take(nbytes))
        if not self._reads.are_many:
            return
        body = self._body if self._is_wanted else None
        if self._messages:  # of a request that is not handled yet
            body = self._messages[-1][1]
        if body is not None and not body.is_eof() and self.transport is not None:
            self._unread_bytes += nbytes
            self._reads.hold(nbytes)
            self._is_held = True
            self.transport.pause_reading()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.taken()
        super().connection_lost(exc)

    def begin_reading(self, body: StreamReader | None) -> None:
        """A request is handled from now on, until `end_reading`."""
        self._body = body
        if body is not None and not body.is_eof():
            self._is_wanted = True
            self._reads.begin_body(body)

    def end_reading(self) -> None:
        if self._is_wanted:
            self._is_wanted = False
            self._reads.end_body()
        self.read_on()

    def read_on(self) -> None:
        """The reader of the body wants more than has arrived, or its request has ended."""
        self.taken()
        if self._is_held:
            self._is_held = False
            if not (self._reading_paused or self._buffer_paused):
                self._resume_transport_reading()

    def taken(self) -> None:
        """The reader of the body has taken what has arrived."""
        if self._unread_bytes:
            self._reads.release(self._unread_bytes)
            self._unread_bytes = 0

    def _resume_transport_reading(self) -> None:
        """Every way of aiohttp to continue reading ends here."""
        if not self._is_held:
            super()._resume_transport_reading()
