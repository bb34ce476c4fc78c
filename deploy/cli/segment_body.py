"""The bytes of one segment on their way from the file to a connection.

Guarantee: exactly the segment's bytes are sent, or an error is raised. Over a plain connection the kernel sends them
from the page cache (sendfile(2)); over TLS, and where it cannot, one block at a time is read in a thread and written.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final, cast

from aiohttp import ClientConnectionResetError
from aiohttp.http_writer import StreamWriter

from deploy.cli.errors import FileChangedError
from deploy.cli.segment_file import SegmentFile

PIECE_BYTES: Final = 1024 * 1024
"""What is sent between two reports of progress."""


class SegmentBody:
    """`length` bytes of a file from `offset` on. `sent` is called with the number of bytes sent so far."""

    def __init__(self, file: SegmentFile, offset: int, length: int, sent: Callable[[int], None]) -> None:
        self._file = file
        self._offset = offset
        self._length = length
        self._sent = sent

    async def send(self, writer: StreamWriter) -> None:
        """Raises FileChangedError, FileUnusableError, OSError."""
        done = 0
        writer.send_headers()
        plain = _plain_socket(writer)
        if plain is not None:
            with plain:
                done = await self._send_from_cache(writer, plain)
        while done < self._length:
            count = min(PIECE_BYTES, self._length - done)
            block = await asyncio.to_thread(self._file.read, self._offset + done, count)
            await writer.write(block)
            done += len(block)
            self._sent(done)

    async def _send_from_cache(self, writer: StreamWriter, plain: socket.socket) -> int:
        """How many bytes the kernel has sent: fewer than there are, where it cannot send from this file."""
        loop, done = asyncio.get_running_loop(), 0
        while done < self._length:
            if writer.transport is None or writer.transport.is_closing():
                raise ClientConnectionResetError("the connection is closing")
            count = min(PIECE_BYTES, self._length - done)
            try:
                sent = await loop.sock_sendfile(plain, self._file.stream, self._offset + done, count, fallback=False)
            except asyncio.SendfileNotAvailableError:
                break
            if not sent:
                raise FileChangedError(self._file.path)
            done += sent
            self._sent(done)
        return done


def _plain_socket(writer: StreamWriter) -> socket.socket | None:
    """A descriptor of its own for the connection's socket, since the event loop reserves that of a transport for it.
    None: the connection is encrypted, or the transport has not sent everything yet."""
    transport = writer.transport
    if transport is None or transport.get_extra_info("sslcontext") is not None or transport.get_write_buffer_size():
        return None
    connected = transport.get_extra_info("socket")
    return cast(socket.socket, connected.dup()) if connected is not None else None
