"""What clients of URLs that an operator chooses have in common: an HTTP session of their own.

Guarantee: certificates are verified, no cookie is kept, responses are not decompressed, and a request ends within
TIMEOUT_SECONDS.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp

from pipeline.adapters.tls import verifying

TIMEOUT_SECONDS: Final = 10.0


class OwnSession:
    """A client that is opened by `async with`. `ca_file`: CA certificates that are trusted besides the system's."""

    def __init__(self, ca_file: Path | None = None) -> None:
        self._ca_file = ca_file
        self._opened: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._opened = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=verifying(self._ca_file)),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened is not None:
            await self._opened.close()

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            raise RuntimeError(f"{type(self).__name__} must be entered with `async with` before use")
        return self._opened
