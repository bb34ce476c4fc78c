"""What is known about the stores, and the HTTP client with which it is found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pipeline.core.capabilities import StoreReport


@dataclass(frozen=True, slots=True)
class PlainResponse:
    """The response to a request of `PlainClient`. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class PlainClient(Protocol):
    """An HTTP client that knows nothing of the store, as a browser: it has only a URL and headers."""

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, max_bytes: int
    ) -> PlainResponse:
        """One request, without following redirects. The body of the response is cut off after `max_bytes`. Raises
        StoreUnavailable when no response arrives within a few seconds."""


class KnownStores(Protocol):
    """What the stores can do for clients."""

    async def report(self, store: str) -> StoreReport | None:
        """The latest report about a store; None while nothing is known, after waiting for a few seconds. Never raises,
        except StoreError STORE_REJECTED for a store that is not configured."""
