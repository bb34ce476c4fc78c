"""Swift's cache filter in the proxy's own memory instead of memcached.

Has the interface of swift.common.memcached.MemcacheRing. Correct for a single proxy process only, because others would
not see its deletions. Values are serialized as JSON, as for memcached, so a caller cannot change a cached value.
"""

import json
import time as clock
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any

# memcached's rule: a time above 30 days is a date, one below is a number of seconds from now, and 0 never expires.
_LONGEST_RELATIVE_SECONDS = 30 * 86_400

Environ = MutableMapping[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class MemoryCache:
    """The methods that Swift and keystonemiddleware call."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[float, str]] = {}

    def get(self, key: str, raise_on_error: bool = False) -> Any:
        entry = self._entries.get(key)
        if entry is None:
            return None
        expires_at, value = entry
        if expires_at and expires_at < clock.time():
            self._entries.pop(key, None)
            return None
        return json.loads(value)

    def set(
        self,
        key: str,
        value: Any,
        serialize: bool = True,
        time: float = 0,
        min_compress_len: int = 0,
        raise_on_error: bool = False,
    ) -> None:
        text = value.decode() if isinstance(value, bytes) else value
        is_relative = 0 < time <= _LONGEST_RELATIVE_SECONDS
        self._entries[key] = (clock.time() + time if is_relative else time, json.dumps(text))

    def incr(self, key: str, delta: int = 1, time: float = 0) -> int:
        value = max(0, int(self.get(key) or 0) + int(delta))
        self.set(key, value, time=time)
        return value

    def decr(self, key: str, delta: int = 1, time: float = 0) -> int:
        return self.incr(key, -int(delta), time)

    def delete(self, key: str, server_key: str | None = None) -> None:
        self._entries.pop(key, None)

    def set_multi(
        self,
        mapping: Mapping[str, Any],
        server_key: str | None = None,
        serialize: bool = True,
        time: float = 0,
        min_compress_len: int = 0,
    ) -> None:
        for key, value in mapping.items():
            self.set(key, value, time=time)

    def get_multi(self, keys: Iterable[str], server_key: str | None = None) -> list[Any]:
        return [self.get(key) for key in keys]


class CacheFilter:
    """Puts the cache into the WSGI environment, where Swift expects it."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._cache = MemoryCache()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["swift.cache"] = self._cache
        return self._application(environ, start_response)


def filter_factory(global_conf: Mapping[str, str], **local_conf: str) -> Callable[[Application], CacheFilter]:
    """The entry point that paste.deploy calls."""
    return CacheFilter
