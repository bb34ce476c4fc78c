"""`ports.webhooks.WebhookSender`: calls endpoints whose URLs strangers may have chosen.

Guarantee: a connection is made to an address that `core.public_addresses` permits, or not at all: names are resolved
here, and the connection uses the address that was checked. No redirect is followed, no proxy of the environment is
used, no cookie is kept, of the response only status and headers are read, and an attempt ends within its time limit.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from pipeline.adapters.http_reasons import connection_reason
from pipeline.adapters.object_store.http.retry_after import retry_after_seconds
from pipeline.adapters.tls import verifying
from pipeline.core.public_addresses import Network, is_address, may_connect
from pipeline.core.webhooks import Attempt

_REFUSED = "its address is not public; SLUICE_WEBHOOK_NETWORKS can allow its network"
_NEEDS_TLS = "http is permitted to the networks in SLUICE_WEBHOOK_NETWORKS only; use https"


class AddressRefusedError(OSError):
    """None of the addresses of a host may be connected to."""


class CheckedResolver(AbstractResolver):
    """Resolves names by the system's resolver, and returns permitted addresses alone: see `may_connect`."""

    def __init__(self, allowed: Sequence[Network], *, public: bool) -> None:
        self._allowed = allowed
        self._public = public
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises AddressRefusedError, and OSError for a name that cannot be resolved."""
        found = await self._resolver.resolve(host, port, family)
        permitted = [item for item in found if may_connect(item["host"], self._allowed, public=self._public)]
        if found and not permitted:
            raise AddressRefusedError(_refusal(self._public))
        return permitted

    async def close(self) -> None:
        await self._resolver.close()


class WebhookHttpSender:
    """Opened by `async with`. `allowed`: networks that are permitted besides public addresses; plain http is permitted
    to these alone, since the facts in an event are for its receiver only."""

    def __init__(self, allowed: Sequence[Network], timeout_seconds: float, ca_file: Path | None = None) -> None:
        self._allowed = allowed
        self._timeout_seconds = timeout_seconds
        self._ca_file = ca_file
        self._sessions: Mapping[str, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        self._sessions = {"https": self._session(public=True), "http": self._session(public=False)}
        return self

    def _session(self, *, public: bool) -> aiohttp.ClientSession:
        resolver = CheckedResolver(self._allowed, public=public)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=verifying(self._ca_file), resolver=resolver, use_dns_cache=False),
            timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            await session.close()

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        """See `WebhookSender.send`."""
        if not self._sessions:
            raise RuntimeError("WebhookHttpSender must be entered with `async with` before use")
        try:
            target = URL(url)
            host, public = target.host or "", target.scheme != "http"
            # aiohttp asks no resolver for an address.
            if is_address(host) and not may_connect(host, self._allowed, public=public):
                return Attempt(None, _refusal(public))
            session = self._sessions["https" if public else "http"]
            async with session.post(target, headers=headers, data=body, allow_redirects=False) as response:
                return _attempt(response)
        except TimeoutError:
            return Attempt(None, f"no response within {self._timeout_seconds:g} s")
        except aiohttp.ClientConnectorDNSError as error:
            if isinstance(error.os_error, AddressRefusedError):
                return Attempt(None, str(error.os_error))
            return Attempt(None, connection_reason(error))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Attempt(None, connection_reason(error))


def _refusal(public: bool) -> str:
    return _REFUSED if public else _NEEDS_TLS


def _attempt(response: aiohttp.ClientResponse) -> Attempt:
    status = response.status
    if 200 <= status < 300:
        return Attempt(status)
    error = f"it responded {status}"
    if 300 <= status < 400:
        error += "; redirects are not followed"
    return Attempt(status, error, retry_after_seconds(response.headers))
