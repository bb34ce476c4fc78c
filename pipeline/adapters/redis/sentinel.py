"""Connections to the primary that Redis Sentinel names, through a pool that follows a fail-over.

Guarantee: a connection that the pool provides leads to the primary that a Sentinel named when it was asked last,
about a second ago at most while the pool is used, and that has said itself that it is one. A connection to a server
that has been demoted, or that another one has replaced, is closed and never used again. What a demoted server
acknowledged last may be lost: so the first caller that gets a connection to another primary finds that
`after_switch` has run on it. It runs again after a connection to an earlier primary that was in use at that time.
"""

from __future__ import annotations

import asyncio
import re
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from redis.asyncio.connection import AbstractConnection, SSLConnection, parse_url
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelManagedConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from pipeline.adapters.redis.pool import SideBySidePool
from pipeline.tasks import end_tasks

SCHEMES: Final = ("redis+sentinel", "rediss+sentinel")
SENTINEL_PORT: Final = 26379
SENTINEL_SECONDS: Final = 1.0
"""How long a Sentinel has to accept a connection, and to respond; then the next one is asked."""
_FRESH_SECONDS = 1.0
_HOST = re.compile(r"(\[[^\]]+\]|[^:]+)(?::(\d+))?")
# Options of the URL that are for the Sentinels.
_USER, _PASSWORD = "sentinel_username", "sentinel_password"


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """What a Sentinel URL says. `options`: of connections to the primary, `sentinel_options`: to a Sentinel, both as
    redis-py takes them."""

    sentinels: tuple[tuple[str, int], ...]
    primary: str
    tls: bool
    options: Mapping[str, Any] = field(repr=False)
    sentinel_options: Mapping[str, Any] = field(repr=False)

    def client(self) -> Sentinel:
        """A client of the Sentinels that asks one after the other. Its connections are to be closed."""
        return Sentinel(  # type: ignore[no-untyped-call]  # redis-py has no types here
            self.sentinels, sentinel_kwargs=dict(self.sentinel_options)
        )


def read_sentinel_url(url: str) -> SentinelAddress | None:
    """`redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/PRIMARY/DATABASE?sentinel_username=...`, or with `rediss` for
    TLS to Sentinels and servers, with TLS options as `client_url` writes them. None: it is another URL."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        return None
    scheme = parts.scheme.partition("+")[0]
    login, at, hosts = parts.netloc.rpartition("@")
    name, _, database = parts.path.removeprefix("/").partition("/")
    query = parse_qsl(parts.query, keep_blank_values=True)
    rest = urlencode([(key, value) for key, value in query if key not in (_USER, _PASSWORD)])
    options: dict[str, Any] = dict(parse_url(f"{scheme}://{login}{at}primary/{database}?{rest}"))
    for key in ("host", "port", "connection_class"):
        options.pop(key, None)
    given = dict(query)
    sentinel_options = {
        "username": given.get(_USER),
        "password": given.get(_PASSWORD),
        "socket_timeout": SENTINEL_SECONDS,
        "socket_connect_timeout": SENTINEL_SECONDS,
        "ssl": scheme == "rediss",
        **{key: value for key, value in options.items() if key.startswith("ssl_")},
    }
    return SentinelAddress(
        tuple(_host_and_port(item) for item in hosts.split(",")),
        unquote(name),
        scheme == "rediss",
        options,
        sentinel_options,
    )


def _host_and_port(item: str) -> tuple[str, int]:
    found = _HOST.fullmatch(item)
    if found is None:
        raise ValueError(f"'{item}' is not the address of a Sentinel")
    return found[1].strip("[]"), int(found[2] or SENTINEL_PORT)


class _PrimaryConnection(SentinelManagedConnection):
    """A Sentinel that was cut off may name a server that has been demoted, and one that is promoted takes a moment."""

    async def on_connect(self) -> None:
        await super().on_connect()
        await self.send_command("INFO", "replication", check_health=False)
        facts = await self.read_response(disable_decoding=True)
        if b"role:master" not in facts:
            raise RedisConnectionError(f"{self.host}:{self.port} is not a primary, although a Sentinel says so")


class _TlsPrimaryConnection(_PrimaryConnection, SSLConnection):
    pass


class SentinelPool(SideBySidePool):
    """`after_switch`: a command, as words. Errors are those of `SideBySidePool`."""

    is_master = True
    check_connection = False  # a connection proves more, see `_PrimaryConnection`

    def __init__(self, address: SentinelAddress, *, after_switch: Sequence[str] = (), **options: Any) -> None:
        connection_class = _TlsPrimaryConnection if address.tls else _PrimaryConnection
        super().__init__(connection_class=connection_class, **options, **address.options)
        self.connection_kwargs["connection_pool"] = weakref.proxy(self)
        self._name = address.primary
        self._sentinel = address.client()
        self._after_switch = after_switch
        self._address: tuple[str, int] | None = None
        self._has_switched = False
        self._finding: asyncio.Task[tuple[str, int]] | None = None
        self._asked_at = 0.0

    async def get_master_address(self) -> tuple[str, int]:
        """Host and port of the primary, from a Sentinel. However many ask, one request is on its way."""
        return await asyncio.shield(self._find())

    def _find(self) -> asyncio.Task[tuple[str, int]]:
        if self._finding is None or self._finding.done():
            self._finding = asyncio.create_task(self._ask(), name="redis-sentinel")
            self._finding.add_done_callback(lambda task: task.cancelled() or task.exception())
            self._asked_at = asyncio.get_running_loop().time()
        return self._finding

    async def _ask(self) -> tuple[str, int]:
        try:
            found: tuple[str, int] = await self._sentinel.discover_master(self._name)
        except MasterNotFoundError:
            raise RedisConnectionError(f"no Sentinel names an available primary of '{self._name}'") from None
        if found != self._address:
            self._has_switched = self._address is not None
            self._address = found
            await self._close_idle()
        return found

    async def _close_idle(self) -> None:
        """They leave the pool first: a caller that takes one while it is closed would connect it again, and redis-py
        would then lose that connection without closing it."""
        idle, self._available_connections = list(self._available_connections), []
        for connection in idle:
            await connection.disconnect(nowait=True)

    async def get_connection(self, command_name: str | None = None, *keys: Any, **options: Any) -> AbstractConnection:
        if self._address is not None and asyncio.get_running_loop().time() - self._asked_at >= _FRESH_SECONDS:
            self._find()  # callers do not wait for it
        connection = await super().get_connection()
        try:
            if not self._leads_to_primary(connection):
                await connection.disconnect(nowait=True)
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py has no types here
            if self._has_switched and self._after_switch:
                self._has_switched = False
                await self._run_after_switch(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def _run_after_switch(self, connection: AbstractConnection) -> None:
        try:
            await connection.send_command(*self._after_switch)
            await connection.read_response()
        except BaseException:
            self._has_switched = True
            await connection.disconnect(nowait=True)
            raise

    def _leads_to_primary(self, connection: Any) -> bool:
        return (connection.host, connection.port) == self._address

    async def release(self, connection: AbstractConnection) -> None:
        """Also closes a connection to an earlier primary."""
        try:
            if connection.is_connected and not self._leads_to_primary(connection):
                self._has_switched = True
                await connection.disconnect(nowait=True)
        finally:
            await super().release(connection)

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """With `inuse_connections`, also of the Sentinels: the pool is closed."""
        if inuse_connections and self._finding is not None:
            await end_tasks(self._finding)
        try:
            await super().disconnect(inuse_connections)
        finally:
            if inuse_connections:
                for client in self._sentinel.sentinels:
                    with suppress(RedisConnectionError, OSError):
                        await client.aclose()
