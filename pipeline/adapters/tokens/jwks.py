"""The keys that an identity provider publishes (a JWKS, RFC 7517 section 5), fetched when needed.

Guarantee: the document is fetched again after `_FRESH_SECONDS`, and once a token names a key that is not in it, but
never more often than every `_PAUSE_SECONDS`, whatever tokens arrive. Requests at one moment share one fetch. A token
whose key is known never waits for a fetch that another token has caused, and at most `_PATIENCE_SECONDS` for the one
that is due. While the provider is unavailable, the keys fetched before are used; a token that names another key is
refused with AUTH_UNAVAILABLE. A document is at most 1 MiB, and no redirect is followed.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Final

from pipeline.adapters.tokens.verifying_keys import VerifyingKey, from_jwk
from pipeline.core.errors import DependencyUnavailable, SluiceError
from pipeline.logs import Log, logger
from pipeline.ports import PlainClient

_FRESH_SECONDS: Final = 300.0
_PAUSE_SECONDS: Final = 10.0
_PATIENCE_SECONDS: Final = 1.0
_MAX_BYTES: Final = 1024 * 1024


class Jwks:
    """The keys at `url`."""

    def __init__(self, client: PlainClient, url: str) -> None:
        self._client = client
        self._url = url
        self._keys: tuple[VerifyingKey, ...] | None = None
        self._tried_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self._problem = ""

    async def find(self, name: str | None, algorithm: str) -> VerifyingKey | None:
        """The key of this name, or the only one for this algorithm if the token names none. Raises
        DependencyUnavailable AUTH_UNAVAILABLE."""
        age = time.monotonic() - self._tried_at
        found = self._among(name, algorithm)
        if found is not None:
            if age < _FRESH_SECONDS:
                return found
            await asyncio.wait({self._begin()}, timeout=_PATIENCE_SECONDS)
        elif age >= _PAUSE_SECONDS or self._fetching is not None:
            await asyncio.shield(self._begin())
        found = self._among(name, algorithm)
        if found is None and self._problem:
            raise DependencyUnavailable("AUTH_UNAVAILABLE", reason=self._problem)
        return found

    def _among(self, name: str | None, algorithm: str) -> VerifyingKey | None:
        fitting = [key for key in self._keys or () if key.algorithm == algorithm and name in (None, key.name)]
        return fitting[0] if len(fitting) == 1 or (fitting and name is not None) else None

    def _begin(self) -> asyncio.Task[None]:
        """The fetch in progress, or a new one."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch(), name="jwks")
        return self._fetching

    async def _fetch(self) -> None:
        try:
            response = await self._client.request("GET", self._url, headers={}, max_bytes=_MAX_BYTES)
            if response.status != 200:
                raise ValueError(f"the response is {response.status}")
            document = json.loads(response.body)
            keys = [from_jwk(item) for item in document["keys"] if isinstance(item, dict)]
        except (SluiceError, ValueError, KeyError, TypeError) as error:
            self._problem = f"the keys at SLUICE_JWT_JWKS_URL cannot be read: {error}"
            logger().warning(Log.JWKS_UNREADABLE, url=self._url, reason=str(error))
        else:
            self._keys = tuple(key for key in keys if key is not None)
            self._problem = ""
        finally:
            self._tried_at = time.monotonic()
            self._fetching = None
