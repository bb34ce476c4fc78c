"""Keystone: one token per process for any number of segments, and one more after a revocation; delegated tokens; public
endpoints for clients and internal ones for Sluice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.embedded import EmbeddedStack, KeystoneEndpoint, StackOptions
from tests.e2e.direct_client import complete, send, video
from tests.e2e.relay import relay_to
from tests.harness.cell import SEGMENT_BYTES, eventually
from tests.harness.media_samples import sample
from tests.harness.running import running_cell

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def keystone_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    options = StackOptions(
        directory=tmp_path_factory.mktemp("keystone"), keystone=True, fast=True, token_cache_seconds=-1
    )
    with EmbeddedStack(options) as stack:
        yield stack


# An examination of the store would request tokens, and use the endpoint of clients, at any time.
UNEXAMINED: dict[str, Any] = {"store_grants": "trusted"}


async def test_one_token_per_process(keystone_servers: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> None:
    keystone = keystone_servers.keystone
    assert keystone is not None
    video = sample("mp4").read_bytes().ljust(8 * SEGMENT_BYTES, b"\0")
    async with running_cell(keystone_servers, tmp_path_factory.mktemp("cell"), **UNEXAMINED) as cell:
        before = keystone.count_token_requests()
        views = await asyncio.gather(*(cell.upload(video) for _ in range(3)))
        # The gateway needs one token, to find the cluster's /info; the worker process one, for all segments.
        assert keystone.count_token_requests() - before == 2
        content = await cell.content(views[0]["id"])
        assert await cell.read(content["object"]["key"]) == video
        await cell.until_clean()


async def _as_admin(http: aiohttp.ClientSession, keystone: KeystoneEndpoint) -> dict[str, str]:
    user = {"name": keystone.admin_username, "domain": {"id": "default"}, "password": keystone.admin_password}
    scope = {"project": {"name": keystone.admin_project, "domain": {"id": "default"}}}
    login = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    async with http.post(f"{keystone.auth_url}/auth/tokens", json=login) as answer:
        assert answer.status == 201
        return {"X-Auth-Token": answer.headers["X-Subject-Token"]}


async def _revoke_all_tokens(http: aiohttp.ClientSession, keystone: KeystoneEndpoint) -> None:
    """Setting a user's password, even to the same value, revokes all tokens of this user. Returns in the next second:
    Keystone compares whole seconds, so a token that it issues in the same one is revoked too."""
    headers = await _as_admin(http, keystone)
    async with http.get(f"{keystone.auth_url}/users?name={keystone.username}", headers=headers) as answer:
        user_id = (await answer.json())["users"][0]["id"]
    change = {"user": {"password": keystone.password}}
    async with http.patch(f"{keystone.auth_url}/users/{user_id}", json=change, headers=headers) as answer:
        assert answer.status == 200
    await asyncio.sleep(1.0 - time.time() % 1.0)


async def test_a_token_that_is_revoked_during_an_upload_is_replaced_once(
    keystone_servers: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    keystone = keystone_servers.keystone
    assert keystone is not None
    video = sample("mp4").read_bytes().ljust(12 * SEGMENT_BYTES, b"\0")
    async with running_cell(keystone_servers, tmp_path_factory.mktemp("cell"), **UNEXAMINED) as cell:
        upload = await cell.create(len(video))
        for number in range(2, 8):  # without the first nothing is read, and no thumbnail stored
            await cell.put(upload, number, video)

        async def half_is_stored() -> bool:
            return int((await cell.status(upload["id"]))["bytes_stored"]) == 6 * SEGMENT_BYTES

        await eventually(half_is_stored, 60, lambda: "the first half to be stored")
        before = keystone.count_token_requests()
        await _revoke_all_tokens(cell.http, keystone)
        await cell.put_all(upload, video, at_once=16)
        content = await cell.content((await cell.until(upload["id"], "ready"))["id"])

        async def logged() -> bool:
            return keystone.count_token_requests() >= before + 2

        await eventually(logged, 30, lambda: "Keystone to log the tokens")
        # One is the administrator's, for revoking; one is the worker's, although many segments were refused at once.
        assert keystone.count_token_requests() == before + 2
        assert await cell.read(content["object"]["key"]) == video
        await cell.until_clean()


@asynccontextmanager
async def _public_endpoint(keystone: KeystoneEndpoint, url: str) -> AsyncIterator[None]:
    """Within the block the catalogue's public object-store endpoint is `url`; internal and admin do not change."""
    async with aiohttp.ClientSession() as http:
        headers = await _as_admin(http, keystone)
        async with http.get(f"{keystone.auth_url}/endpoints?interface=public", headers=headers) as answer:
            found = (await answer.json())["endpoints"]
        (endpoint,) = [item for item in found if item["url"].startswith(keystone.proxy_url)]

        async def move(to: str) -> None:
            change = {"endpoint": {"url": to}}
            where = f"{keystone.auth_url}/endpoints/{endpoint['id']}"
            async with http.patch(where, json=change, headers=headers) as answer:
                assert answer.status == 200, await answer.text()

        await move(endpoint["url"].replace(keystone.proxy_url, url))
        try:
            yield
        finally:
            await move(endpoint["url"])


async def test_a_delegated_token(keystone_servers: EmbeddedStack, tmp_path: Path) -> None:
    """A client with nothing but the token and the storage URL sends all segments to Swift itself."""
    keystone = keystone_servers.keystone
    assert keystone is not None
    credential: dict[str, Any] = {
        "swift_lent_application_credential_id": keystone.application_credential_id,
        "swift_lent_application_credential_secret": keystone.application_credential_secret,
    }
    async with running_cell(keystone_servers, tmp_path, **credential) as cell:
        data = video(cell)
        before = keystone.count_token_requests()
        upload = await cell.create(len(data), transport="token", filename="delegated.mp4")
        grants = upload["grants"]
        assert grants["storage_url"] == keystone.storage_url
        assert 0 < grants["expires_in"] <= 3600
        token, size = grants["token"], upload["segment_size"]
        async with aiohttp.ClientSession() as client:
            for grant in grants["segments"]:
                path = grant["url"].removeprefix(grants["storage_url"])
                assert path != grant["url"]
                part = data[(grant["number"] - 1) * size : grant["number"] * size]
                url = grants["storage_url"] + path
                async with client.put(url, data=BytesIO(part), headers={"X-Auth-Token": token}) as answer:
                    assert answer.status == 201, await answer.text()
        assert (await complete(cell, upload["id"]))[0] == 200
        await cell.until(upload["id"], "ready")
        content = await cell.content(upload["id"])
        assert await cell.read(content["object"]["key"]) == data
        async with cell.http.get(f"{cell.url}/v1/contents/{upload['id']}/download?via=gateway") as answer:
            assert await answer.read() == data

        async def logged() -> bool:
            return keystone.count_token_requests() > before

        await eventually(logged, 30, lambda: "Keystone to log the token")
        logs = "".join(path.read_text() for path in tmp_path.rglob("*.log"))
        assert token not in logs
        await cell.until_clean()


async def test_clients_are_sent_to_the_public_endpoint(keystone_servers: EmbeddedStack, tmp_path: Path) -> None:
    """URLs for clients name the catalogue's public endpoint; Sluice's own traffic never uses it."""
    keystone = keystone_servers.keystone
    assert keystone is not None
    settings: dict[str, Any] = {
        **UNEXAMINED,
        "swift_interface": "internal",
        "swift_tempurl_key": "a-key-of-the-test",
        "swift_lent_application_credential_id": keystone.application_credential_id,
        "swift_lent_application_credential_secret": keystone.application_credential_secret,
    }
    async with (
        relay_to(keystone.proxy_url) as public,
        _public_endpoint(keystone, public.url),
        running_cell(keystone_servers, tmp_path, **settings) as cell,
    ):
        data = video(cell)
        for transport in ("direct", "token"):
            sent = public.bytes_in
            upload = await cell.create(len(data), transport=transport)
            assert all(grant["url"].startswith(public.url) for grant in upload["grants"]["segments"])
            assert (upload["grants"]["storage_url"] or public.url).startswith(public.url)
            await send(cell, upload["grants"]["segments"], upload, data)
            assert public.bytes_in - sent > len(data), "the client did not use the public endpoint"
            through = (public.connections, public.bytes_in, public.bytes_out)
            assert (await complete(cell, upload["id"]))[0] == 200
            await cell.until(upload["id"], "ready")
            plain = await cell.upload(data)
            assert (public.connections, public.bytes_in, public.bytes_out) == through, (
                "internal traffic went through the public endpoint"
            )
        for content_id in (upload["id"], plain["id"]):
            path = f"{cell.url}/v1/contents/{content_id}"
            async with cell.http.get(f"{path}/download", allow_redirects=False) as answer:
                assert answer.headers["Location"].startswith(public.url)
            async with cell.http.get(f"{path}/download") as answer:
                assert await answer.read() == data
            async with cell.http.get(f"{path}/segments") as answer:
                listed = (await answer.json())["data"]["segments"]
            assert all(segment["url"].startswith(public.url) for segment in listed)
        await cell.until_clean()
