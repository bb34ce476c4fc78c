"""One request to Swift: with the shared token, its failures translated.

Guarantee: a 401 renews the token once and repeats the request; everything else that may be worth repeating is the
caller's to repeat.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

import aiohttp

from pipeline.adapters.object_store.http.payload import SegmentPayload
from pipeline.adapters.object_store.http.sender import RequestSender, answered
from pipeline.adapters.object_store.swift.auth import Token, TokenSource
from pipeline.adapters.object_store.swift.errors import refusal
from pipeline.adapters.object_store.swift.layout import account_url


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
        answer_seconds: float | None = None,
        key: str = "",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and hand its answer over, when its status is one of `accept`; other answers are raised as
        `refusal` says.

        `path` is quoted and below the account. `key` is what a missing object is called in the error. Raises
        StoreError, StoreUnavailable, and whatever a SegmentPayload's source raised.
        """
        what = f"{method} {path}"

        async def send(token: Token) -> aiohttp.ClientResponse:
            return await self._sender.send(
                method,
                account_url(token.storage_url, path, query),
                what=what,
                headers={"X-Auth-Token": token.value, **(headers or {})},
                body=body,
                answer_seconds=answer_seconds,
            )

        token = await self._tokens.token()
        response = await send(token)
        if response.status == 401:
            response.close()
            response = await send(await self._tokens.renew(token))
        async with answered(response, what, body):
            if response.status not in accept:
                raise await refusal(response, what, key or path)
            yield response

    async def storage_url(self) -> str:
        """The account's URL that we use, as the login gave it. Raises as `request`."""
        return (await self._tokens.token()).storage_url

    async def client_url(self) -> str:
        """The account's URL as clients reach it. Raises as `request`."""
        return (await self._tokens.token()).client_url
