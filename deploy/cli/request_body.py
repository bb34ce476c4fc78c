"""The body of a request: it reports its own errors, and when its first byte is sent."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, Self

from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import StreamWriter
from aiohttp.payload import Payload

from deploy.cli.errors import ClientError

_TYPE: Final = "application/octet-stream"


class Body(Protocol):
    """What is sent."""

    async def send(self, writer: StreamWriter) -> None:
        """Send all of it. Raises ClientError, and OSError where the connection is lost."""


class RequestBody(Payload):
    """A request body that keeps the error it raised: aiohttp reports such an error as one of the connection."""

    def __init__(self, body: Body) -> None:
        super().__init__(body, content_type=_TYPE)
        self._body = body
        self._until_asked: asyncio.Timeout | None = None
        self.error: ClientError | None = None

    def from_now(self, until_asked: asyncio.Timeout) -> Self:
        """This body, whose first byte ends the wait for the server to ask for it."""
        self._until_asked = until_asked
        return self

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a body that is sent from a file is not text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        if not isinstance(writer, StreamWriter):
            raise TypeError("a body is sent over a connection")
        if self._until_asked is not None:
            disarm(self._until_asked)
        try:
            await self._body.send(writer)
        except ClientError as error:
            self.error = error
            raise


def disarm(timeout: asyncio.Timeout) -> None:
    """End a time limit without an error, unless it has passed."""
    if not timeout.expired():
        timeout.reschedule(None)
