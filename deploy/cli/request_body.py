"""The body of a request: it reports its own errors, and when its first byte is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Self

from deploy.cli.errors import ClientError


class RequestBody(AsyncIterable[bytes]):
    """A request body that keeps the error it raised: aiohttp reports such an error as one of the connection."""

    def __init__(self, blocks: AsyncIterable[bytes]) -> None:
        self._blocks = blocks
        self._until_asked: asyncio.Timeout | None = None
        self.error: ClientError | None = None

    def from_now(self, until_asked: asyncio.Timeout) -> Self:
        """This body, whose first byte ends the wait for the server to ask for it."""
        self._until_asked = until_asked
        return self

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._until_asked is not None:
            disarm(self._until_asked)
        try:
            async for block in self._blocks:
                yield block
        except ClientError as error:
            self.error = error
            raise


def disarm(timeout: asyncio.Timeout) -> None:
    """End a time limit without an error, unless it has passed."""
    if not timeout.expired():
        timeout.reschedule(None)
