"""The file object inside the sandbox: a read-only file whose bytes the worker sends on request.

Guarantee: behaves as a binary file of `size` bytes. A read waits until the worker has sent the range; when the worker
has closed the socket, the process ends. Memory: 4 MiB of blocks, and the largest read.

Few requests, few bytes: a file of at most 512 KiB is requested whole. Otherwise a read is widened to blocks of 64 KiB,
which are kept. A sequential reader gets larger ranges: half of what it has read without a gap, up to 1 MiB. What is
read ahead never crosses a multiple of 1 MiB, so that a segment that nobody needs is not requested.
"""

from __future__ import annotations

import io
import os
from collections import OrderedDict

from pipeline.adapters.media.protocol import HEADER, MAX_RANGE_BYTES, Said

_BLOCK_BYTES = 64 * 1024
_KEPT_BLOCKS = 64
_WHOLE_BYTES = 512 * 1024
_AHEAD_BYTES = 1024 * 1024
_RECEIVE_BYTES = 1024 * 1024


class RangeFile(io.RawIOBase):
    """The file behind the socket `descriptor`."""

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._size = size_bytes
        self._position = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._run_start = 0
        self._run_end = -1

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("seek before the beginning of the file")
        self._position = base + offset
        return self._position

    def readall(self) -> bytes:
        return self.read(-1)

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # typeshed: Buffer is new in Python 3.12
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes; fewer only at the end of the file."""
        left = max(0, self._size - self._position)
        length = left if size is None or size < 0 else min(size, left)
        if not length:
            return b""
        data = self._read_at(self._position, length)
        self._position += length
        return data

    def _read_at(self, offset: int, length: int) -> bytes:
        first, last = offset // _BLOCK_BYTES, (offset + length - 1) // _BLOCK_BYTES
        block = self._blocks.get(first)
        if block is not None and first == last:
            self._blocks.move_to_end(first)
            start = offset - first * _BLOCK_BYTES
            return block[start : start + length]
        parts = []
        number = first
        while number <= last:
            block = self._blocks.get(number)
            if block is not None:
                self._blocks.move_to_end(number)
                parts.append(block)
                number += 1
                continue
            end = number + 1
            while end <= last and end not in self._blocks:
                end += 1
            data = self._fetch(number, end, read_ahead=end > last)
            parts.append(data)
            number = end
        start = offset - first * _BLOCK_BYTES
        joined = parts[0] if len(parts) == 1 else b"".join(parts)
        return joined[start : start + length]

    def _fetch(self, first: int, end: int, *, read_ahead: bool) -> bytes:
        """The blocks from `first` until before `end`. Keeps them, and those that were read ahead."""
        start, stop = first * _BLOCK_BYTES, min(end * _BLOCK_BYTES, self._size)
        if self._size <= _WHOLE_BYTES:
            reach = self._size
            start = 0
        else:
            reach = self._reach(start, stop) if read_ahead else stop
        pieces = []
        at = start
        while at < reach:
            wanted = min(MAX_RANGE_BYTES, reach - at)
            pieces.append(self._request(at, wanted))
            at += wanted
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._run_end = reach
        self._keep(start, data)
        return data[first * _BLOCK_BYTES - start : stop - start]

    def _reach(self, start: int, stop: int) -> int:
        """Until where to read, at least `stop`."""
        if start != self._run_end:
            self._run_start = start
            return stop
        ahead = max(stop - start, min(_AHEAD_BYTES, (start - self._run_start) // 2)) // _BLOCK_BYTES * _BLOCK_BYTES
        border = (stop + _AHEAD_BYTES - 1) // _AHEAD_BYTES * _AHEAD_BYTES
        return max(stop, min(start + ahead, border, self._size))

    def _keep(self, start: int, data: bytes) -> None:
        number = start // _BLOCK_BYTES
        begin = max(0, len(data) - _KEPT_BLOCKS * _BLOCK_BYTES) // _BLOCK_BYTES * _BLOCK_BYTES
        for at in range(begin, len(data), _BLOCK_BYTES):
            self._blocks[number + at // _BLOCK_BYTES] = data[at : at + _BLOCK_BYTES]
        while len(self._blocks) > _KEPT_BLOCKS:
            self._blocks.popitem(last=False)

    def _request(self, offset: int, length: int) -> bytes:
        write_all(self._descriptor, HEADER.pack(Said.RANGE, offset, length))
        return read_exactly(self._descriptor, length)


def read_exactly(descriptor: int, length: int) -> bytes:
    """`length` bytes from a socket. Ends the process when the other side has closed it."""
    chunk = _receive(descriptor, length)
    if len(chunk) == length:
        return chunk
    received = bytearray(chunk)
    while len(received) < length:
        received += _receive(descriptor, length - len(received))
    return bytes(received)


def _receive(descriptor: int, length: int) -> bytes:
    chunk = os.read(descriptor, min(length, _RECEIVE_BYTES))
    if not chunk:
        os._exit(0)
    return chunk


def write_all(descriptor: int, data: bytes) -> None:
    """Send `data`. Ends the process when the other side has closed the socket."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BrokenPipeError:
            os._exit(0)
