"""Login by the v1 protocol of TempAuth: Swift's own tempauth (SAIO), Ceph's RADOS gateway."""

from __future__ import annotations

from dataclasses import dataclass, field

import aiohttp

from pipeline.adapters.object_store.guard import Guarded
from pipeline.adapters.object_store.http.errors import driver_errors
from pipeline.adapters.object_store.swift.account import public_account
from pipeline.adapters.object_store.swift.auth import Token, usable
from pipeline.adapters.object_store.swift.errors import login_refusal
from pipeline.core.errors import StoreError


@dataclass(frozen=True, slots=True)
class TempAuth(Guarded):
    """`GET auth_url` with a user (`account:user`) and a key; the response's headers hold token, lifetime and storage
    URL.

    `storage_url` replaces the one in the response, which names the host that the server believes it has. `public_url`,
    without the account, is how clients reach it; "": as we do.
    """

    auth_url: str
    user: str
    key: str = field(repr=False)
    storage_url: str = ""
    public_url: str = ""

    async def authenticate(self, session: aiohttp.ClientSession, timeout_seconds: float) -> Token:
        """See `SwiftAuth.authenticate`. Headers as in swift.common.middleware.tempauth, `handle_get_token`."""
        what = f"GET {self.auth_url}"
        headers = {"X-Auth-User": self.user, "X-Auth-Key": self.key}
        with driver_errors(what):
            async with session.get(
                self.auth_url,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            ) as response:
                if response.status not in (200, 204):
                    raise await login_refusal(response, what)
                value = response.headers.get("X-Auth-Token", "")
                storage_url = self.storage_url or response.headers.get("X-Storage-Url", "")
                if not value or not storage_url:
                    raise StoreError(
                        "STORE_AUTH_FAILED", reason=f"{what}: the response has no X-Auth-Token and X-Storage-Url"
                    )
                expires = response.headers.get("X-Auth-Token-Expires", "")
                lifetime_seconds = float(expires) if expires.isdecimal() else None
                storage_url = storage_url.rstrip("/")
                public_url = public_account(self.public_url, storage_url)
                return usable(Token(value, storage_url, lifetime_seconds, public_url))
