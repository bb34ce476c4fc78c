"""The one way to Redis: from its URL to a pool of connections, of a single server or of the primary behind Sentinel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.adapters.redis.pool import SideBySidePool
from pipeline.adapters.redis.sentinel import SentinelPool, read_sentinel_url


def open_pool(url: str, *, max_connections: int, after_switch: Sequence[str] = (), **options: Any) -> SideBySidePool:
    """A pool that connects when it is used. `url`: of `address.client_url`; its own options win over `options`, which
    are redis-py's. `after_switch`: see `SentinelPool`. Raises ValueError for a URL that is none."""
    address = read_sentinel_url(url)
    if address is None:
        return SideBySidePool.from_url(url, max_connections=max_connections, **options)
    mine = {name: value for name, value in options.items() if name not in address.options}
    return SentinelPool(address, max_connections=max_connections, after_switch=after_switch, **mine)
