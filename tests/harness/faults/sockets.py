"""Sockets as the shaper wants them: a port that is kept without being listened on, and connections that end by RST."""

from __future__ import annotations

import asyncio
import socket
import struct


def reset(*writers: asyncio.StreamWriter) -> None:
    """End connections by RST: closed with a linger time of 0."""
    for writer in writers:
        raw = writer.get_extra_info("socket")
        if not writer.transport.is_closing():
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


def bound(port: int) -> socket.socket:
    """A loopback socket with a port of its own (0: a free one) that others of ours may share."""
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", port))
    return place
