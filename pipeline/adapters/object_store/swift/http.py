"""One request to Swift: with the shared token, its errors translated.

Guarantee: a 401 renews the token and repeats the request, once. Any other retry is the caller's decision.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from pipeline.adapters.object_store.http.bodies import MEBIBYTE, read_bounded
from pipeline.adapters.object_store.http.sender import RequestSender, reading
from pipeline.adapters.object_store.payload import SegmentPayload
from pipeline.adapters.object_store.swift.account import info_urls
from pipeline.adapters.object_store.swift.auth import Token, TokenSource
from pipeline.adapters.object_store.swift.errors import refusal
from pipeline.adapters.object_store.swift.layout import account_url

INFO_BYTES = MEBIBYTE


class SwiftHttp:
    """Requests of one store."""

    def __init__(self, sender: RequestSender, tokens: TokenSource) -> None:
        self._sender = sender
        self._tokens = tokens

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        accept: Collection[int],
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | SegmentPayload | None = None,
        response_seconds: float | None = None,
        key: str = "",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and yield its response when the status is one of `accept`; `swift.errors.refusal` makes the
        error for any other.

        `path` is quoted and relative to the account. `key` names a missing object in the error. Raises StoreError,
        StoreUnavailable, and what a SegmentPayload's source raises.
        """
        what = f"{method} {path}"

        async def send(token: Token) -> aiohttp.ClientResponse:
            return await self._sender.send(
                method,
                account_url(token.storage_url, path, query),
                what=what,
                headers={"X-Auth-Token": token.value, **(headers or {})},
                body=body,
                response_seconds=response_seconds,
            )

        token = await self._tokens.token()
        response = await send(token)
        if response.status == 401:
            response.close()
            response = await send(await self._tokens.renew(token))
        async with reading(response, what, body):
            if response.status not in accept:
                raise await refusal(response, what, key or path)
            yield response

    async def info_urls(self) -> list[str]:
        """Where the cluster may publish its capabilities, the likeliest place first. Raises as `request`."""
        return info_urls(await self.storage_url())

    async def info(self, url: str) -> bytes:
        """The body of the cluster's `/info`, which is read without a token. Raises as `request`."""
        what = f"GET {url}"
        response = await self._sender.send("GET", URL(url), what=what, headers={})
        async with reading(response, what):
            if response.status != 200:
                raise await refusal(response, what, url)
            return await read_bounded(response, what, INFO_BYTES)

    async def storage_url(self) -> str:
        """The account's URL for our own requests. Raises as `request`."""
        return (await self._tokens.token()).storage_url

    async def client_url(self) -> str:
        """The account's URL as clients reach it. Raises as `request`."""
        return (await self._tokens.token()).client_url
