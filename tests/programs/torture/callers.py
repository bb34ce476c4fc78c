"""Who uploads, and with what: each upload belongs to one of several owners, whose clients have keys or tokens.

Guarantee: a client whose key has expired or was revoked gets another key of the same owner, as with keys that are
rotated, and goes on. `Callers.void` are the keys that must be refused in the end.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pipeline.bootstrap.access import api_keys
from pipeline.core.access import Scope
from pipeline.core.errors import SluiceError
from pipeline.settings import Settings
from tests.harness.keys import CLIENT, make_key
from tests.programs.torture.schedule import PlannedUpload, Way

OWNERS: Final = ("alice", "bob", "carol")
_RETRY_SECONDS = 1.0
_VALID_SECONDS = (1.0, 8.0)
_REPLACEABLE: Final = frozenset({"CREDENTIAL_EXPIRED", "CREDENTIAL_INVALID"})


class Credential(StrEnum):
    """What a client is given."""

    KEY = "a key"
    TOKEN = "the upload's token"  # a label
    PERMIT = "a permit, then the upload's token"
    EXPIRING = "a key that expires"
    REVOKED = "a key that is revoked"


@dataclass
class Caller:
    """One client of an owner."""

    owner: str
    kind: Credential
    key: str
    callers: Callers
    valid_seconds: float = 0.0
    operator: str | None = None
    """For requests that only operators may make."""
    _token: str | None = field(default=None, init=False)
    _permits: dict[str, str] = field(default_factory=dict, init=False)
    _is_own: bool = field(default=False, init=False)
    _permit: str | None = field(default=None, init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    def needs_permit(self, name: str) -> bool:
        """Whether the creation that is called `name` has no permit yet."""
        return self.kind is Credential.PERMIT and name not in self._permits

    def permitted(self, name: str, token: str) -> None:
        self._permits[name] = self._permit = token

    def created(self, token: str) -> None:
        """From now on, `token` is used where this client uses tokens."""
        if self.kind in (Credential.TOKEN, Credential.PERMIT):
            self._token = token

    async def credential(self, method: str, path: str) -> str:
        """What this request is sent with."""
        if path == "/v1/contents/import" and self.operator:
            return self.operator
        if (method, path) == ("POST", "/v1/uploads") and self._permit:
            return self._permit
        if self._token and path.startswith(("/v1/uploads/", "/v1/contents/")):
            return self._token
        async with self._lock:
            if self.kind in (Credential.EXPIRING, Credential.REVOKED) and not self._is_own:
                self.key = await self.callers.short_key(self.owner, self.kind, self.valid_seconds)
                self._is_own = True
        return self.key

    async def replaces(self, credential: str, code: str) -> bool:
        """Whether a refused key is replaced, so that the request is sent again."""
        if code not in _REPLACEABLE or credential not in self.callers.void:
            return False
        self.key = self.callers.keys[self.owner]
        return True


@dataclass
class Callers:
    """The keys of a run."""

    settings: Settings
    keys: dict[str, str]
    """Owner -> a key that stays valid."""
    operator: Caller = field(init=False)
    void: set[str] = field(default_factory=set, init=False)
    """Keys that have expired or were revoked, or soon will be."""
    _revoking: list[asyncio.Task[None]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.operator = Caller("operator", Credential.KEY, self.keys["operator"], self)

    @classmethod
    async def of(cls, settings: Settings) -> Callers:
        """Make the keys that stay. Before any fault."""
        keys = {owner: (await make_key(settings, owner, *CLIENT))[1] for owner in OWNERS}
        return cls(settings, {**keys, "operator": (await make_key(settings, "operator", *Scope))[1]})

    def of_upload(self, plan: PlannedUpload) -> Caller:
        """The same for the same plan."""
        dice = random.Random(f"caller {plan.seed}")
        owner, kind = dice.choice(OWNERS), dice.choice(list(Credential))
        if plan.way is Way.IMPORT:
            kind = Credential.KEY
        return Caller(owner, kind, self.keys[owner], self, dice.uniform(*_VALID_SECONDS), self.keys["operator"])

    async def short_key(self, owner: str, kind: Credential, seconds: float) -> str:
        """A key that expires, or is revoked, after `seconds`. Retries while PostgreSQL is a target of faults."""
        expires = seconds if kind is Credential.EXPIRING else None
        while True:
            try:
                key_id, key = await make_key(self.settings, owner, *CLIENT, expires_in_seconds=expires)
                break
            except SluiceError:
                await asyncio.sleep(_RETRY_SECONDS)
        self.void.add(key)
        if expires is None:
            self._revoking.append(asyncio.create_task(self._revoke(key_id, seconds)))
        return key

    async def _revoke(self, key_id: str, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        while True:
            try:
                async with api_keys(self.settings) as keys:
                    await keys.revoke(key_id)
                return
            except SluiceError:
                await asyncio.sleep(_RETRY_SECONDS)
