"""Purges deleted objects from a cache in front of the store, with one HTTP request each: `ports.CachePurge`.

Guarantee: success means that the cache confirmed it (2xx) or did not have the object (404). The operator chooses the
URL, so its target is not checked; redirects are not followed.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from yarl import URL

from pipeline.adapters.http_reasons import client_error_text
from pipeline.adapters.own_session import OwnSession
from pipeline.core.errors import DependencyUnavailable


class HttpCachePurge(OwnSession):
    """`template` is the URL with `{key}` in place of the object's key; `method` is the HTTP method that the cache
    expects, such as PURGE or PUT; `token` is sent as a bearer token."""

    def __init__(self, template: str, method: str, token: str = "", *, ca_file: Path | None = None) -> None:
        super().__init__(ca_file)
        self._template = template
        self._method = method
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def purge(self, key: str) -> None:
        """See `ports.CachePurge`. PUT and POST send a line of text, because nginx does not store an empty body."""
        body = b"deleted\n" if self._method in {"PUT", "POST"} else None
        session = self._session
        try:
            url = URL(self._template.replace("{key}", quote(key, safe="/")), encoded=True)
            async with session.request(
                self._method, url, data=body, headers=self._headers, allow_redirects=False
            ) as response:
                status = response.status
        except Exception as error:  # also a URL or a response that cannot be parsed
            raise DependencyUnavailable("CACHE_PURGE_FAILED", key=key, reason=client_error_text(error)) from error
        if not (200 <= status < 300 or status == 404):
            raise DependencyUnavailable(
                "CACHE_PURGE_FAILED", key=key, reason=f"the response to {self._method} was {status}"
            )
