"""Tokens against a real Keystone: few are requested, expired ones are replaced, refused credentials are reported."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import aiohttp
import pytest

from deploy.embedded.endpoints import KeystoneEndpoint, SwiftEndpoint
from deploy.embedded.stack import EmbeddedStack, StackOptions
from pipeline.adapters.object_store.swift import (
    KeystoneApplicationCredential,
    KeystonePassword,
    SwiftAuth,
    SwiftObjectStore,
    SwiftOptions,
    TempAuth,
    Token,
)
from pipeline.adapters.object_store.swift.keystone import Endpoint
from pipeline.core.errors import StoreError, StoreUnavailable
from tests.contract.object_store.uploads import MemorySource, Scenario, content, keys

pytestmark = pytest.mark.contract

LARGE_BYTES = 400_000  # large enough to wait for 100 Continue


@dataclass
class CountingAuth:
    """A real login that counts its calls, and returns the tokens of `first` before it."""

    real: SwiftAuth
    first: list[Token] = field(default_factory=list)
    calls: int = 0

    async def authenticate(self, session: aiohttp.ClientSession, timeout_seconds: float) -> Token:
        self.calls += 1
        return self.first.pop(0) if self.first else await self.real.authenticate(session, timeout_seconds)


async def token_of(auth: SwiftAuth) -> Token:
    async with aiohttp.ClientSession() as session:
        return await auth.authenticate(session, 30)


async def revoke(keystone: KeystoneEndpoint, token: Token) -> None:
    headers = {"X-Auth-Token": token.value, "X-Subject-Token": token.value}
    async with (
        aiohttp.ClientSession() as session,
        session.delete(f"{keystone.auth_url}/auth/tokens", headers=headers) as response,
    ):
        assert response.status == 204


async def test_sixteen_concurrent_puts_use_one_token(keystone_password: KeystonePassword, container: str) -> None:
    auth = CountingAuth(keystone_password)
    async with SwiftObjectStore(auth, container) as store:
        upload = Scenario(store, sizes=(2000,) * 40)
        await upload.put_concurrently()
        await store.abort(upload.target)
    assert auth.calls == 1


async def test_a_token_revoked_before_an_upload_is_replaced_once(
    keystone: KeystoneEndpoint, keystone_password: KeystonePassword, container: str
) -> None:
    """The proxy never validated this token, so its cache does not have it."""
    dead = await token_of(keystone_password)
    await revoke(keystone, dead)
    auth = CountingAuth(keystone_password, first=[dead])
    statuses: list[int | None] = []
    async with SwiftObjectStore(
        auth, container, observer=lambda method, status, seconds: statuses.append(status)
    ) as store:
        upload = Scenario(store, sizes=(LARGE_BYTES,) * 8)
        sources = [MemorySource(number, upload.segment(number)) for number in range(1, 9)]
        segments = await asyncio.gather(*(store.put_segment(upload.target, source) for source in sources))
        await store.seal(upload.target, segments)
        assert await content(store, upload.target.key) == upload.data
        await store.abort(upload.target)
    assert auth.calls == 2
    assert 401 in statuses


async def test_sixteen_concurrent_refusals_request_one_new_token(
    keystone_password: KeystonePassword, container: str
) -> None:
    """All sixteen requests get 401; one token is requested, and no body is sent twice."""
    good = await token_of(keystone_password)
    dead = replace(good, value="gAAAAA-not-a-token")
    auth = CountingAuth(keystone_password)
    statuses: list[int | None] = []
    async with SwiftObjectStore(
        auth, container, observer=lambda method, status, seconds: statuses.append(status)
    ) as store:
        upload = Scenario(store, sizes=(LARGE_BYTES,) * 16)
        await store.begin(upload.target)
        held = store._tokens._held
        assert held is not None
        store._tokens._held = replace(held, token=dead)
        sources = [MemorySource(number, upload.segment(number)) for number in range(1, 17)]
        await asyncio.gather(*(store.put_segment(upload.target, source) for source in sources))
        assert statuses.count(401) == 16
        assert [source.passes for source in sources] == [1] * 16
        await store.abort(upload.target)
    assert auth.calls == 2


async def test_a_put_that_began_before_its_token_was_revoked_completes(
    keystone: KeystoneEndpoint, keystone_password: KeystonePassword, container: str
) -> None:
    """Swift checks a token when a request begins; the next request gets a new token."""

    class RevokingSource(MemorySource):
        async def before(self, start: int) -> None:
            if start == 0:
                await revoke(keystone, await store._tokens.token())

    async with SwiftObjectStore(keystone_password, container) as store:
        upload = Scenario(store, sizes=(LARGE_BYTES, LARGE_BYTES))
        await store.begin(upload.target)
        first = await store.put_segment(upload.target, RevokingSource(1, upload.segment(1)))
        [second] = await upload.put(2)
        await store.seal(upload.target, [first, second])
        assert await content(store, upload.target.key) == upload.data
        await store.abort(upload.target)


@pytest.fixture(scope="module")
def short_lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwiftEndpoint]:
    """A Swift whose tokens expire after three seconds."""
    options = StackOptions(
        tmp_path_factory.mktemp("short"), postgres=False, redis=False, token_lifetime_seconds=3, fast=True
    )
    with EmbeddedStack(options) as stack:
        yield stack.swift


async def test_a_token_that_expired_in_mid_upload_is_replaced(short_lived: SwiftEndpoint, container: str) -> None:
    """The lifetime is unknown to the client, so only the store's 401 shows that the token has expired."""
    tempauth = TempAuth(short_lived.auth_url, short_lived.user, short_lived.key)
    auth = CountingAuth(tempauth, first=[replace(await token_of(tempauth), lifetime_seconds=None)])
    statuses: list[int | None] = []
    async with SwiftObjectStore(auth, container, observer=lambda _, status, __: statuses.append(status)) as store:
        upload = Scenario(store)
        await upload.begin()
        first = await upload.put(1)
        second = await upload.put(2)
        deadline = time.monotonic() + 30
        while 401 not in statuses:
            assert time.monotonic() < deadline
            second = await upload.put(2)
        await store.seal(upload.target, [*first, *second, *await upload.put(3)])
        assert await content(store, upload.target.key) == upload.data
    assert auth.calls >= 2


async def test_a_token_is_renewed_before_it_expires(keystone_password: KeystonePassword, container: str) -> None:
    short = replace(await token_of(keystone_password), lifetime_seconds=0.5)
    auth = CountingAuth(keystone_password, first=[short])
    statuses: list[int | None] = []
    options = SwiftOptions(renew_at_fraction=0.1, renew_jitter=0)
    async with SwiftObjectStore(
        auth, container, options=options, observer=lambda method, status, seconds: statuses.append(status)
    ) as store:
        deadline = time.monotonic() + 20
        while auth.calls < 2:
            assert time.monotonic() < deadline
            await keys(store)
    assert 401 not in statuses


@pytest.fixture
def wrong_logins(swift: SwiftEndpoint, keystone_password: KeystonePassword) -> dict[str, SwiftAuth]:
    return {
        "tempauth": TempAuth(swift.auth_url, swift.user, "wrong"),
        "password": replace(keystone_password, password="wrong"),
        "project": replace(keystone_password, project="nowhere"),
        "application credential": KeystoneApplicationCredential(keystone_password.auth_url, "0" * 32, "wrong"),
        "region": replace(keystone_password, endpoint=Endpoint(region="Atlantis")),
    }


@pytest.mark.parametrize("which", ["tempauth", "password", "project", "application credential", "region"])
async def test_a_wrong_login_is_an_authentication_error(
    wrong_logins: dict[str, SwiftAuth], container: str, which: str
) -> None:
    async with SwiftObjectStore(wrong_logins[which], container) as store:
        for request in (store.check, Scenario(store).sealed):
            with pytest.raises(StoreError) as refused:
                await request()
            assert refused.value.code == "STORE_AUTH_FAILED"
            assert "wrong" not in str(refused.value)


async def test_refused_credentials_are_not_tried_again_at_once(
    wrong_logins: dict[str, SwiftAuth], container: str
) -> None:
    auth = CountingAuth(wrong_logins["password"])
    async with SwiftObjectStore(auth, container) as store:
        for _ in range(5):
            with pytest.raises(StoreError):
                await store.head("anything")
    assert auth.calls == 1


async def test_an_unavailable_keystone_may_be_retried(container: str, keystone_password: KeystonePassword) -> None:
    unavailable = replace(keystone_password, auth_url="http://127.0.0.1:9/v3")
    async with SwiftObjectStore(unavailable, container) as store:
        with pytest.raises(StoreUnavailable):
            await store.check()


@pytest.fixture
def application_credential(keystone: KeystoneEndpoint) -> KeystoneApplicationCredential:
    return KeystoneApplicationCredential(
        keystone.auth_url, keystone.application_credential_id, keystone.application_credential_secret
    )


async def test_an_application_credential_opens_the_same_account(
    application_credential: KeystoneApplicationCredential, keystone_password: KeystonePassword, container: str
) -> None:
    async with (
        SwiftObjectStore(application_credential, container) as store,
        SwiftObjectStore(keystone_password, container) as other,
    ):
        upload = Scenario(store)
        await upload.sealed()
        assert await content(other, upload.target.key) == upload.data
        await other.abort(upload.target)


async def test_a_configured_storage_url_replaces_the_catalogue(
    keystone: KeystoneEndpoint, keystone_password: KeystonePassword, container: str
) -> None:
    elsewhere = replace(keystone_password, endpoint=Endpoint(storage_url=keystone.storage_url + "/"))
    async with SwiftObjectStore(elsewhere, container) as store:
        assert keystone.storage_url in await store.check()


def test_no_secret_shows_in_a_repr(keystone_password: KeystonePassword, swift: SwiftEndpoint) -> None:
    for login in (keystone_password, TempAuth("u", "user", "hush"), KeystoneApplicationCredential("u", "id", "hush")):
        assert "hush" not in repr(login)
        assert keystone_password.password not in repr(login)
    assert "hush" not in repr(Token("hush", "u"))
