"""The open connections of a gateway: their number, their addresses, and which one has been idle longest.

Guarantee: there are never more than `most` connections, nor more than `most_per_address` of one address, unless its
network is exempt. At a limit, the connection that has been idle longest (no request in progress) is closed for a
new one. `gateway.limits.Sites` says which addresses count as one.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.limits import Sites
from pipeline.logs import logger
from pipeline.telemetry import CONNECTIONS, CONNECTIONS_CLOSED

_LOG_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """`most` connections in all, `most_per_address` of one address (0: no limit) that is in no network of `exempt`."""

    most: int
    most_per_address: int = 0
    exempt: Collection[str] = ()


class Connection(Protocol):
    """What is counted: `gateway.http.connection.GatewayConnection`."""

    def cut(self) -> None:
        """Close it now; what was not sent is lost."""

    def stalled_seconds(self) -> float:
        """For how long the client has neither sent nor read the bytes that the request in progress needs."""


@dataclass(slots=True)
class _Address:
    """The connections of one address."""

    count: int = 0
    idle: OrderedDict[Connection, None] = field(default_factory=OrderedDict)


class Connections:
    """Belongs to one event loop."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._sites = Sites(limits.exempt)
        self._open: dict[Connection, str] = {}
        self._idle: OrderedDict[Connection, None] = OrderedDict()
        """The first one has been idle longest."""
        self._addresses: dict[str, _Address] = {}
        self._leaving: set[Connection] = set()
        """Cut, and not yet closed."""
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def all(self) -> Collection[Connection]:
        return tuple(self._open)

    @property
    def is_full(self) -> bool:
        """Whether no connection can be accepted now: `most` are open, each with a request in progress."""
        return len(self._open) - len(self._leaving) >= self._limits.most and not self._idle

    async def room(self) -> None:
        """Wait until one more can be accepted."""
        while self.is_full:
            self._changed.clear()
            await self._changed.wait()

    def add(self, connection: Connection, host: str) -> bool:
        """Count a new connection from `host`, and make room for it. False: its address has too many."""
        name, limited = self._sites.find(host)
        address = self._addresses.get(name)
        most = self._limits.most_per_address
        if limited and most and address is not None and address.count >= most:
            if not address.idle:
                CONNECTIONS_CLOSED.labels("address").inc()
                return False
            self._cut_first(address.idle, "address_idle")
        if len(self._open) - len(self._leaving) >= self._limits.most:
            self.cut_idle("idle")
        self._addresses.setdefault(name, _Address()).count += 1
        self._open[connection] = name
        CONNECTIONS.set(len(self._open))
        return True

    def remove(self, connection: Connection) -> None:
        """It is closed. Idempotent."""
        name = self._open.pop(connection, None)
        if name is None:
            return
        if connection not in self._leaving:
            self._idle.pop(connection, None)
            self._addresses[name].idle.pop(connection, None)
            self._release(name)
        self._leaving.discard(connection)
        CONNECTIONS.set(len(self._open))
        self._changed.set()

    def set_idle(self, connection: Connection) -> None:
        """No request is in progress on it, from now on."""
        if connection in self._open and connection not in self._leaving:
            self._idle[connection] = None
            self._addresses[self._open[connection]].idle[connection] = None
            self._changed.set()

    def set_busy(self, connection: Connection) -> None:
        """A request is in progress on it."""
        if connection in self._idle:
            del self._idle[connection]
            del self._addresses[self._open[connection]].idle[connection]

    def cut_idle(self, reason: str) -> bool:
        """Cut the connection that has been idle longest. False: none is idle."""
        if not self._idle:
            return False
        self._cut_first(self._idle, reason)
        return True

    def _cut_first(self, idle: OrderedDict[Connection, None], reason: str) -> None:
        connection = next(iter(idle))
        self.set_busy(connection)
        self._leaving.add(connection)
        name = self._open[connection]
        connection.cut()
        CONNECTIONS_CLOSED.labels(reason).inc()
        self._release(name)

    def _release(self, name: str) -> None:
        address = self._addresses[name]
        address.count -= 1
        if not address.count:
            del self._addresses[name]


class Seldom:
    """Logs an event at once, and then at most once a minute, with how often it has happened since."""

    def __init__(self, event: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._event = event
        self._clock = clock
        self._next = float("-inf")
        self._count = 0

    def __call__(self, **facts: object) -> None:
        self._count += 1
        if self._clock() >= self._next:
            logger().warning(self._event, times=self._count, **facts)
            self._next = self._clock() + _LOG_SECONDS
            self._count = 0
