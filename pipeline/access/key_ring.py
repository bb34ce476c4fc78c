"""The API keys of the database as a gateway knows them.

Guarantee: a revocation counts everywhere after `_STALE_SECONDS` at the latest. A new key works at once: an unknown key
is refused only after a read that began later than its request. Such reads begin `_MISS_SECONDS` apart, and requests
with unknown keys share them: they cause a few queries per second, however many there are. While PostgreSQL is
unavailable, known keys remain valid for `_TRUSTED_SECONDS`, since no key can be revoked meanwhile; an unknown key gets
DATABASE_UNAVAILABLE.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from pipeline.core.access import Caller
from pipeline.core.errors import AccessError, SluiceError
from pipeline.ports.access import ApiKey, ApiKeyChanges
from pipeline.tasks import end_tasks

_FORM: Final = re.compile(r"sluice_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
KEY_PREFIX: Final = "sluice_"
"""How every key begins, so that scanners for secrets find it."""
KEY_CREDENTIAL: Final = "key:"
"""How the credential of a caller with a key begins; the id of the key follows."""

# Between the beginnings of two reads of the changes: usually, at the most, and where a key is not known.
_FRESH_SECONDS: Final = 2.0
_STALE_SECONDS: Final = 5.0
_MISS_SECONDS: Final = 0.25
_TRUSTED_SECONDS: Final = 3600.0
# A transaction that committed late has an earlier time than what was read before it.
_OVERLAP: Final = timedelta(minutes=2)
# How long a request with a known key waits for the database before it goes on with what is known.
_PATIENCE_SECONDS: Final = 1.0


def new_key() -> tuple[str, str, bytes]:
    """A new key: its id, the key to show once, and the digest to keep."""
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    return key_id, f"{KEY_PREFIX}{key_id}_{secret}", _digest(secret)


class KeyRing:
    """Looks up keys. `clock`: seconds, monotonic; `sleep`: waits for so many of them."""

    def __init__(
        self,
        repository: ApiKeyChanges,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._repository = repository
        self._clock = clock
        self._sleep = sleep
        self._keys: dict[str, ApiKey] = {}
        self._read_until: datetime | None = None
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._problem: SluiceError | None = None
        self._reading: asyncio.Task[None] | None = None

    async def caller(self, text: str) -> Caller:
        """The caller that this key stands for. Raises AccessError CREDENTIAL_INVALID, CREDENTIAL_EXPIRED;
        DependencyUnavailable."""
        form = _FORM.fullmatch(text)
        if form is None:
            raise AccessError("CREDENTIAL_INVALID", reason="it does not have the form of a key")
        key = await self._find(form[1])
        known = key.digest if key is not None else b""
        if not hmac.compare_digest(_digest(form[2]), known) or key is None:
            raise AccessError("CREDENTIAL_INVALID", reason="there is no such key")
        if key.revoked_at is not None:
            raise AccessError("CREDENTIAL_INVALID", reason="it was revoked")
        if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
            raise AccessError("CREDENTIAL_EXPIRED")
        until = None if key.expires_at is None else key.expires_at.timestamp()
        return Caller(key.owner, key.scopes, f"{KEY_CREDENTIAL}{key.key_id}", expires_at=until)

    async def is_valid(self, key_id: str) -> bool:
        """Whether a key that was accepted before is still accepted. Raises DependencyUnavailable."""
        key = await self._find(key_id)
        return key is not None and key.revoked_at is None

    async def _find(self, key_id: str) -> ApiKey | None:
        now = self._clock()
        age, tried = now - self._read_at, now - self._tried_at
        if key_id not in self._keys:
            return await self._look_up(key_id, now)
        if age >= _FRESH_SECONDS and tried >= _FRESH_SECONDS:
            reading = self._begin()
            if age >= _STALE_SECONDS:
                await asyncio.wait({reading}, timeout=_PATIENCE_SECONDS)
        if self._problem is not None and self._clock() - self._read_at > _TRUSTED_SECONDS:
            raise self._problem
        return self._keys.get(key_id)

    async def _look_up(self, key_id: str, asked_at: float) -> ApiKey | None:
        """A key that is not known, from a read that began after it was asked for: it may have been made just
        before."""
        while key_id not in self._keys and self._read_at <= asked_at:
            await asyncio.shield(self._begin())
            if self._problem is not None and key_id not in self._keys:
                raise self._problem
        return self._keys.get(key_id)

    def _begin(self) -> asyncio.Task[None]:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(), name="api-keys")
        return self._reading

    async def _read(self) -> None:
        try:
            early = self._tried_at + _MISS_SECONDS - self._clock()
            if early > 0:
                await self._sleep(early)
            self._tried_at = began = self._clock()
            since = None if self._read_until is None else self._read_until - _OVERLAP
            changed = await self._repository.changed_since(since)
        except SluiceError as error:
            self._problem = error
        else:
            self._keys.update((key.key_id, key) for key in changed)
            moments = [key.changed_at for key in changed]
            self._read_until = max(moments + ([self._read_until] if self._read_until else []), default=None)
            self._read_at = began
            self._problem = None
        finally:
            self._reading = None

    async def aclose(self) -> None:
        if self._reading is not None:
            await end_tasks(self._reading)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
