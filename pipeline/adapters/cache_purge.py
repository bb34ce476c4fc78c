"""Tells a cache in front of the store that an object is gone: `ports.CachePurge`, by one HTTP request per object.

Guarantee: success means that the cache said so (2xx), or that it had nothing (404). The URL is the operator's, so what
it leads to is not judged; redirects are not followed.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self
from urllib.parse import quote

import aiohttp
from yarl import URL

from pipeline.core.errors import DependencyUnavailable

_SECONDS = 10.0


class HttpCachePurge:
    """`template` has `{key}` where the object's key goes; `method` is what the cache wants: PURGE, PUT, ..."""

    def __init__(self, template: str, method: str, token: str = "") -> None:
        self._template = template
        self._method = method
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=_SECONDS), cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def purge(self, key: str) -> None:
        """As the port says. A PUT or POST carries a line of text: nginx stores no empty body."""
        if self._session is None:
            raise RuntimeError("a purge is used inside `async with` only")
        url = URL(self._template.replace("{key}", quote(key, safe="/")), encoded=True)
        body = b"deleted\n" if self._method in {"PUT", "POST"} else None
        try:
            async with self._session.request(
                self._method, url, data=body, headers=self._headers, allow_redirects=False
            ) as answer:
                status = answer.status
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise DependencyUnavailable(
                "CACHE_PURGE_FAILED", key=key, reason=f"{type(error).__name__}: {error}".rstrip(": ")
            ) from error
        if not (200 <= status < 300 or status == 404):
            raise DependencyUnavailable("CACHE_PURGE_FAILED", key=key, reason=f"{self._method} was answered {status}")
