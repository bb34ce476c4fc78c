"""Connections to PostgreSQL by a URL that may name several hosts: a primary and its standbys.

Guarantee: of several hosts, the one is used that is the primary (unless `target_session_attrs` of the URL says
otherwise), whichever it is now. Each host has its share of the time, so one that does not respond leaves time for the
others: the driver alone would give the first one all of it. The host that was used last is tried first.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg

_ATTRIBUTE = "target_session_attrs"
_CONNECT_SECONDS = 10.0


class Hosts:
    """The hosts of one URL."""

    def __init__(self, database_url: str) -> None:
        self._urls = one_by_one(database_url)

    async def connect(
        self,
        dsn: str | None = None,
        *,
        timeout: float = _CONNECT_SECONDS,
        **options: Any,
    ) -> asyncpg.Connection:
        """A connection within `timeout` seconds. `dsn` is not used: asyncpg's pool passes it. `options` are those of
        `asyncpg.connect`. Raises its errors: that of the first host that could have been the primary."""
        failures: list[Exception] = []
        urls = list(self._urls)
        for url in urls:
            try:
                connection: asyncpg.Connection = await asyncpg.connect(url, timeout=timeout / len(urls), **options)
            except Exception as error:  # noqa: BLE001  # another host may do
                failures.append(error)
                continue
            self._urls.remove(url)
            self._urls.insert(0, url)
            return connection
        raise next((error for error in failures if not _is_standby(error)), failures[0])


def one_by_one(database_url: str) -> list[str]:
    """A URL for each host. Hosts in the query are left to the driver."""
    parts = urlsplit(database_url)
    login, at, hosts = parts.netloc.rpartition("@")
    items = hosts.split(",")
    if len(items) == 1:
        return [database_url]
    chosen = [] if _ATTRIBUTE in parse_qs(parts.query) else [f"{_ATTRIBUTE}=primary"]
    query = "&".join(filter(None, [parts.query, *chosen]))
    return [parts._replace(netloc=f"{login}{at}{item}", query=query).geturl() for item in items]


def _is_standby(error: Exception) -> bool:
    return isinstance(error, asyncpg.exceptions.TargetServerAttributeNotMatched)
