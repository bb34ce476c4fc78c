"""Login by Keystone v3, with a password or an application credential. Identity API v3, "Password authentication with
scoped authorization" and "Authenticating with an Application Credential".

Guarantee: the storage URL is taken from the catalogue that comes with the token (object-store, region, interface); a
project's account is never guessed. The lifetime is `expires_at` less `issued_at`, both by Keystone's clock, so that
ours may be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import aiohttp

from pipeline.adapters.object_store.guard import Guarded
from pipeline.adapters.object_store.http.bodies import read_json, unusable
from pipeline.adapters.object_store.http.errors import driver_errors
from pipeline.adapters.object_store.swift.account import public_account
from pipeline.adapters.object_store.swift.auth import Token, usable
from pipeline.adapters.object_store.swift.errors import login_refusal
from pipeline.core.errors import StoreError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Which object-store of the catalogue to use. An empty `region` means the first one; `storage_url` replaces the
    catalogue's. Clients always use the public one of the same region; `public_url`, without the account, replaces
    it."""

    region: str = ""
    interface: str = "public"
    storage_url: str = ""
    public_url: str = ""


@dataclass(frozen=True, slots=True)
class KeystonePassword(Guarded):
    """User and password, scoped to a project; domains by name. `auth_url` ends in `/v3`."""

    auth_url: str
    user: str
    password: str = field(repr=False)
    project: str
    user_domain: str = "Default"
    project_domain: str = "Default"
    endpoint: Endpoint = Endpoint()

    async def authenticate(self, session: aiohttp.ClientSession, timeout_seconds: float) -> Token:
        """See `SwiftAuth.authenticate`."""
        user = {"name": self.user, "domain": {"name": self.user_domain}, "password": self.password}
        auth = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": self.project, "domain": {"name": self.project_domain}}},
        }
        return await _token(session, self.auth_url, auth, self.endpoint, timeout_seconds)


@dataclass(frozen=True, slots=True)
class KeystoneApplicationCredential(Guarded):
    """An application credential: bound to its project, limited to the rights it was given, revocable by itself."""

    auth_url: str
    credential_id: str
    secret: str = field(repr=False)
    endpoint: Endpoint = Endpoint()

    async def authenticate(self, session: aiohttp.ClientSession, timeout_seconds: float) -> Token:
        """See `SwiftAuth.authenticate`."""
        credential = {"id": self.credential_id, "secret": self.secret}
        auth = {"identity": {"methods": ["application_credential"], "application_credential": credential}}
        return await _token(session, self.auth_url, auth, self.endpoint, timeout_seconds)


async def _token(
    session: aiohttp.ClientSession, auth_url: str, auth: Mapping[str, Any], endpoint: Endpoint, timeout_seconds: float
) -> Token:
    url = f"{auth_url.rstrip('/')}/auth/tokens"
    what = f"POST {url}"
    with driver_errors(what):
        async with session.post(
            url, json={"auth": auth}, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=timeout_seconds)
        ) as response:
            if response.status != 201:
                raise await login_refusal(response, what)
            value = response.headers.get("X-Subject-Token", "")
            body = await read_json(response, what)
    try:
        token: Mapping[str, Any] = body["token"]
        storage_url = endpoint.storage_url.rstrip("/") or _storage_url(token, endpoint)
        public_url = public_account(endpoint.public_url, storage_url) or _public_url(token, endpoint)
        return usable(Token(value, storage_url, _lifetime_seconds(token), public_url))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise unusable(what, f"it is not Keystone's ({error!r})"[:500]) from error


def _storage_url(token: Mapping[str, Any], wanted: Endpoint) -> str:
    found = _catalogued(token, wanted.interface, wanted.region)
    if not found:
        where = f" in region {wanted.region}" if wanted.region else ""
        raise StoreError("STORE_AUTH_FAILED", reason=f"the catalogue has no {wanted.interface} object-store{where}")
    return found


def _public_url(token: Mapping[str, Any], ours: Endpoint) -> str:
    """Empty where clients use the same URL as we do: it is public, or was configured, or the catalogue has no public
    one."""
    if ours.interface == "public" or ours.storage_url:
        return ""
    return _catalogued(token, "public", ours.region)


def _catalogued(token: Mapping[str, Any], interface: str, region: str) -> str:
    """The URL in the catalogue; empty when it has none."""
    for service in token.get("catalog", ()):
        if service["type"] != "object-store":
            continue
        for offered in service["endpoints"]:
            if offered["interface"] == interface and region in ("", offered.get("region_id"), offered.get("region")):
                return str(offered["url"]).rstrip("/")
    return ""


def _lifetime_seconds(token: Mapping[str, Any]) -> float | None:
    if token.get("expires_at") is None:
        return None
    expires, issued = datetime.fromisoformat(token["expires_at"]), datetime.fromisoformat(token["issued_at"])
    return (expires - issued).total_seconds()
