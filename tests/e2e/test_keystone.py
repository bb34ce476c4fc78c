"""Behind Keystone: one token per process, however many segments go, and one more when it is revoked in mid-upload."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aiohttp
import pytest

from deploy.embedded import EmbeddedStack, KeystoneEndpoint, StackOptions
from tests.cell import SEGMENT_BYTES, eventually, running_cell
from tests.media_samples import sample

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def keystone_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    options = StackOptions(
        directory=tmp_path_factory.mktemp("keystone"), keystone=True, fast=True, token_cache_seconds=-1
    )
    with EmbeddedStack(options) as stack:
        yield stack


async def test_one_token_per_process(keystone_servers: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> None:
    keystone = keystone_servers.keystone
    assert keystone is not None
    video = sample("mp4").read_bytes().ljust(40 * SEGMENT_BYTES, b"\0")
    async with running_cell(keystone_servers, tmp_path_factory.mktemp("cell")) as cell:
        before = keystone.count_token_requests()
        views = await asyncio.gather(*(cell.upload(video) for _ in range(3)))
        # The gateway asks the store for nothing; the one worker process asks Keystone once for 120 segments.
        assert keystone.count_token_requests() - before == 1
        content = await cell.content(views[0]["id"])
        assert await cell.read(content["object"]["key"]) == video
        await cell.until_clean()


async def _revoke_all_tokens(http: aiohttp.ClientSession, keystone: KeystoneEndpoint) -> None:
    """A password that is set anew ends every token of its user."""
    user = {"name": keystone.admin_username, "domain": {"id": "default"}, "password": keystone.admin_password}
    scope = {"project": {"name": keystone.admin_project, "domain": {"id": "default"}}}
    login = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    async with http.post(f"{keystone.auth_url}/auth/tokens", json=login) as answer:
        assert answer.status == 201
        headers = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
    async with http.get(f"{keystone.auth_url}/users?name={keystone.username}", headers=headers) as answer:
        user_id = (await answer.json())["users"][0]["id"]
    change = {"user": {"password": keystone.password}}
    async with http.patch(f"{keystone.auth_url}/users/{user_id}", json=change, headers=headers) as answer:
        assert answer.status == 200


async def test_a_token_revoked_in_mid_upload(
    keystone_servers: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    keystone = keystone_servers.keystone
    assert keystone is not None
    video = sample("mp4").read_bytes().ljust(20 * SEGMENT_BYTES, b"\0")
    async with running_cell(keystone_servers, tmp_path_factory.mktemp("cell")) as cell:
        upload = await cell.create(len(video))
        for number in range(1, 11):
            await cell.put(upload, number, video)

        async def half_is_stored() -> bool:
            return int((await cell.status(upload["id"]))["bytes_stored"]) == 10 * SEGMENT_BYTES

        await eventually(half_is_stored, 60, lambda: "the first half to be stored")
        before = keystone.count_token_requests()
        await _revoke_all_tokens(cell.http, keystone)
        await cell.put_all(upload, video, at_once=16)
        content = await cell.content((await cell.until(upload["id"], "ready"))["id"])

        async def logged() -> bool:
            return keystone.count_token_requests() >= before + 2

        await eventually(logged, 10, lambda: "Keystone to log the tokens")
        # One is the administrator's, for revoking; one is the worker's, though many segments were refused at once.
        assert keystone.count_token_requests() == before + 2
        assert await cell.read(content["object"]["key"]) == video
        await cell.until_clean()
