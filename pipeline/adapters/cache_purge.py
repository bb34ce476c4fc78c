"""Purges deleted objects from a cache in front of the store, with one HTTP request each: `ports.CachePurge`.

Guarantee: success means that the cache confirmed it (2xx) or did not have the object (404). The operator chooses the
URL, so its target is not checked; redirects are not followed.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import aiohttp
from yarl import URL

from pipeline.adapters.http_reasons import client_error_text
from pipeline.adapters.tls import verifying
from pipeline.core.errors import DependencyUnavailable

_TIMEOUT_SECONDS = 10.0


class HttpCachePurge:
    """`template` is the URL with `{key}` in place of the object's key; `method` is the HTTP method that the cache
    expects, such as PURGE or PUT; `token` is sent as a bearer token."""

    def __init__(self, template: str, method: str, token: str = "", *, ca_file: Path | None = None) -> None:
        self._ca_file = ca_file
        self._template = template
        self._method = method
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=verifying(self._ca_file)),
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def purge(self, key: str) -> None:
        """See `ports.CachePurge`. PUT and POST send a line of text, because nginx does not store an empty body."""
        if self._session is None:
            raise RuntimeError("HttpCachePurge must be entered with `async with` before use")
        body = b"deleted\n" if self._method in {"PUT", "POST"} else None
        try:
            url = URL(self._template.replace("{key}", quote(key, safe="/")), encoded=True)
            async with self._session.request(
                self._method, url, data=body, headers=self._headers, allow_redirects=False
            ) as response:
                status = response.status
        except Exception as error:  # also a URL or a response that cannot be parsed
            raise DependencyUnavailable("CACHE_PURGE_FAILED", key=key, reason=client_error_text(error)) from error
        if not (200 <= status < 300 or status == 404):
            raise DependencyUnavailable(
                "CACHE_PURGE_FAILED", key=key, reason=f"the response to {self._method} was {status}"
            )
