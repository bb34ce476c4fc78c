"""Free loopback ports, reserved by a bound socket until they are released.

A port that was only looked up can be taken by another process before the server binds it. A reserved port stays bound,
with SO_REUSEADDR and without listening, as long as the stack exists. Linux lets a server that also sets SO_REUSEADDR
(all of ours do) listen on it, and does not give it to a process that asks for any free port. So two stacks never
collide, and a restarted server finds its port free.
"""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


class ReservedPort:
    """One TCP port on 127.0.0.1, reserved until `release`."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((LOOPBACK, 0))
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        self._socket.close()


class PortPool:
    """The ports of one stack, by name. The same name gets the same port until `release_all`."""

    def __init__(self) -> None:
        self._ports: dict[str, ReservedPort] = {}

    def port(self, name: str) -> int:
        if name not in self._ports:
            self._ports[name] = ReservedPort()
        return self._ports[name].number

    def release_all(self) -> None:
        for port in self._ports.values():
            port.release()
        self._ports.clear()
