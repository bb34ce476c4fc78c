"""A file and a port that nobody has any business with, and that notice when somebody touches them.

Guarantee: `touched` reports every open, read, change, rename and removal of the file, even by root, and every
connection to the port, since the last call. Linux only (inotify).
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# <sys/inotify.h>
_ALL_EVENTS = 0x0000_0FFF
_EVENT = struct.Struct("iIII")
_NAMES = {
    0x001: "the file was read",
    0x002: "the file was written",
    0x004: "the attributes of the file were changed",
    0x008: "the file was closed",
    0x010: "the file was closed",
    0x020: "the file was opened",
    0x400: "the file was deleted",
    0x800: "the file was moved",
}
_TOUCH = """
import pathlib, socket, sys
pathlib.Path(sys.argv[1]).read_bytes()
socket.create_connection(("127.0.0.1", int(sys.argv[2])), 10).close()
"""
_PROOF_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Canaries:
    """The file at `path` and the `port` on loopback."""

    path: Path
    port: int
    _events: int
    _listener: socket.socket

    @property
    def address(self) -> str:
        """The port as an address."""
        return f"http://127.0.0.1:{self.port}/canary"

    def touched(self) -> list[str]:
        """What happened since the last call; empty: nothing."""
        return [*self._file_events(), *self._connections()]

    def prove(self) -> list[str]:
        """Have an unconfined child touch both; returns what was not noticed."""
        command = [sys.executable, "-c", _TOUCH, str(self.path), str(self.port)]
        subprocess.run(command, check=True, timeout=_PROOF_SECONDS)
        noticed = self.touched()
        return [name for name in ("file", "port") if not any(name in event for event in noticed)]

    def _file_events(self) -> list[str]:
        found: set[str] = set()
        while True:
            try:
                buffer = os.read(self._events, 64 * 1024)
            except BlockingIOError:
                return sorted(found)
            at = 0
            while at < len(buffer):
                _, mask, _, length = _EVENT.unpack_from(buffer, at)
                at += _EVENT.size + length
                found |= {name for bit, name in _NAMES.items() if mask & bit}

    def _connections(self) -> list[str]:
        count = 0
        while True:
            try:
                self._listener.accept()[0].close()
            except BlockingIOError:
                return [f"the port had {count} connections"] if count else []
            count += 1


@contextmanager
def canaries(directory: Path) -> Iterator[Canaries]:
    """Both, until the end of the block. Every user can read the file."""
    path = directory / "canary.mp4"
    path.write_bytes(b"Nobody reads this.\n")
    path.chmod(0o666)
    libc = ctypes.CDLL(None, use_errno=True)
    events = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if events < 0 or libc.inotify_add_watch(events, os.fsencode(path), _ALL_EVENTS) < 0:
            raise OSError(ctypes.get_errno(), "inotify does not work")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            yield Canaries(path, listener.getsockname()[1], events, listener)
    finally:
        os.close(events)
