"""Sockets for the shaper: ports that are reserved without listening, and connections that end by RST."""

from __future__ import annotations

import asyncio
import socket
import struct


def reset(*writers: asyncio.StreamWriter) -> None:
    """End connections by RST, through a linger time of 0."""
    for writer in writers:
        raw = writer.get_extra_info("socket")
        if not writer.transport.is_closing():
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


def bound(port: int) -> socket.socket:
    """A loopback socket on this port (0: a free one), which other sockets of this function may share."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", port))
    return reserved
