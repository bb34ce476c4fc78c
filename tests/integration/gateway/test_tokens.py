"""Upload tokens, tickets and links: what they permit, and when they end. `test_permits.py` is about permits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from uuid6 import uuid7

from deploy.access_table import OTHER, OWNER
from pipeline.access.key_ring import KEY_PREFIX
from pipeline.bootstrap import open_store
from pipeline.core.access import Scope
from pipeline.core.model import ContentRecord
from pipeline.core.stored_objects import object_key
from pipeline.settings import Settings
from schemas.media import MediaMetadata
from tests.harness.cell import eventually
from tests.integration.gateway.conftest import OPTIONS
from tests.integration.gateway.creations import FILE, create
from tests.integration.gateway.site import BOTH, Site, running_site
from tests.integration.gateway.wire import connect

pytestmark = pytest.mark.integration

MEBIBYTE = 1024 * 1024


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"store": "filesystem", "filesystem_dir": tmp_path / "store"})


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    options = replace(OPTIONS, owner_downloads=2, download_stall_seconds=600, events_keepalive_seconds=600)
    async with running_site(settings, options) as running:
        yield running


# -- upload tokens


async def test_a_browser_sends_with_the_upload_token_what_a_backend_has_created(site: Site) -> None:
    created = await site.as_("key of the owner", "POST", "/v1/uploads", json=FILE)
    upload, token = created.data, created.data["upload_token"]["token"]
    assert upload["owner"] == OWNER
    sent = await site.with_(token, "PUT", f"/v1/uploads/{upload['id']}/segments/1", data=b"x" * upload["segment_size"])
    assert sent.status == 200
    shown = await site.with_(token, "GET", f"/v1/uploads/{upload['id']}")
    assert shown.data["bytes_received"] == upload["segment_size"]
    assert "upload_token" not in shown.data or shown.data["upload_token"] is None, "a token does not renew itself"


# -- tickets and links


async def test_a_ticket_opens_the_event_stream_in_its_url_and_nothing_else(site: Site) -> None:
    name = await site.new_upload()
    ticket = await site.as_("key of the owner", "POST", f"/v1/uploads/{name}/tickets")
    url = ticket.data["url"]
    async with site.client.session.get(url) as stream:
        assert stream.status == 200
        assert (await stream.content.readline()).startswith(b"event: upload")
    token = url.partition("token=")[2]
    assert (await site.with_(token, "GET", f"/v1/uploads/{name}")).status == 403
    assert (await site.client.request("GET", f"/v1/uploads/{name}?token={token}")).status == 401


async def test_a_link_downloads_its_content_and_nothing_else(site: Site, settings: Settings) -> None:
    name, other = await stored(site, settings, b"bytes"), await stored(site, settings, b"other")
    made = await site.as_("key of the owner", "POST", f"/v1/contents/{name}/links", json={"expires_in": 60})
    assert made.data["thumbnail"] is None
    found = await site.client.request("GET", made.data["download"])
    assert (found.status, found.body) == (200, b"bytes")
    assert found.headers["Content-Security-Policy"] == "sandbox"
    token = made.data["download"].partition("token=")[2]
    assert (await site.client.request("GET", f"/v1/contents/{other}/download?token={token}")).status == 404
    assert (await site.client.request("GET", f"/v1/contents/{name}?token={token}")).status == 401
    key = site.credentials["key of the owner"]
    assert (await site.client.request("GET", f"/v1/contents/{name}/download?token={key}")).code == "CREDENTIAL_INVALID"


# -- revocation


async def test_what_a_key_has_issued_ends_with_the_key(site: Site, settings: Settings) -> None:
    key = await site.key(OWNER, *BOTH)
    name = await stored(site, settings, b"bytes")
    created = await create(site, key)
    upload = created.data["id"]
    token = created.data["upload_token"]["token"]
    allowed = (await site.with_(key, "POST", "/v1/permits", json={"count": 100})).data["token"]
    link = (await site.with_(key, "POST", f"/v1/contents/{name}/links", json={})).data["download"]
    ticket = (await site.with_(token, "POST", f"/v1/uploads/{upload}/tickets")).data["url"]
    async with site.client.session.get(ticket) as stream:
        assert (await stream.content.readline()).startswith(b"event: upload")
        await site.keys.revoke(key.removeprefix(KEY_PREFIX).partition("_")[0])

        async def refused() -> bool:
            return (await site.with_(key, "GET", "/v1/uploads")).status == 401

        await eventually(refused, 15, lambda: "the key to be refused")
        assert (await site.with_(token, "GET", f"/v1/uploads/{upload}")).code == "CREDENTIAL_INVALID"
        assert (await create(site, allowed, size=1000)).code == "CREDENTIAL_INVALID"
        assert (await site.client.request("GET", link)).code == "CREDENTIAL_INVALID"
        assert (await site.client.request("GET", ticket)).code == "CREDENTIAL_INVALID"
        async with asyncio.timeout(15):  # the open stream ends too
            await stream.read()
    assert (await site.as_("key of the owner", "GET", f"/v1/uploads/{upload}")).status == 200


async def test_a_download_in_progress_ends_when_its_key_is_revoked(site: Site, settings: Settings) -> None:
    name = await stored(site, settings, bytes(64 * MEBIBYTE))
    key = await site.key(OWNER, Scope.READ)
    headers = {"Authorization": f"Bearer {key}"}
    async with site.client.session.get(f"{site.client.url}/v1/contents/{name}/download", headers=headers) as response:
        await response.content.readexactly(1000)
        await site.keys.revoke(key.removeprefix(KEY_PREFIX).partition("_")[0])
        with pytest.raises(aiohttp.ClientError):
            await read_slowly(response)


async def test_a_download_that_nobody_reads_ends_when_its_key_is_revoked(site: Site, settings: Settings) -> None:
    large, small = await stored(site, settings, bytes(64 * MEBIBYTE)), await stored(site, settings, b"bytes")
    key = await site.key(OWNER, Scope.READ)
    headers = {"Authorization": f"Bearer {key}"}
    async with AsyncExitStack() as stack:
        for _ in range(2):
            connection = await stack.enter_async_context(connect(site.client.url))
            await connection.begin("GET", f"/v1/contents/{large}/download", headers)
            assert (await connection.head()).status == 200
        path = f"/v1/contents/{small}/download"
        assert (await site.as_("key of the owner", "GET", path)).code == "DOWNLOAD_LIMIT"
        await site.keys.revoke(key.removeprefix(KEY_PREFIX).partition("_")[0])

        async def free() -> bool:
            return (await site.as_("key of the owner", "GET", path)).status == 200

        await eventually(free, 15, lambda: "the slots to be free again")


async def read_slowly(response: aiohttp.ClientResponse) -> None:
    """Slower than the gateway finds out that a key is revoked. Raises ClientError when it aborts the download."""
    async with asyncio.timeout(60):
        async for _ in response.content.iter_chunked(4 * MEBIBYTE):
            await asyncio.sleep(0.5)


# -- fair shares of downloads


async def test_slow_downloads_of_one_owner_leave_others_theirs(site: Site, settings: Settings) -> None:
    mine = await stored(site, settings, bytes(64 * MEBIBYTE))
    theirs = await stored(site, settings, b"bytes", OTHER)
    url, key = f"{site.client.url}/v1/contents/{mine}/download", site.credentials["key of the owner"]
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        site.client.session.get(url, headers=headers) as first,
        site.client.session.get(url, headers=headers) as second,
    ):
        await first.content.readexactly(1)
        await second.content.readexactly(1)
        third = await site.as_("key of the owner", "GET", f"/v1/contents/{mine}/download")
        assert (third.status, third.code, third.detail["limit"]) == (429, "DOWNLOAD_LIMIT", 2)
        assert int(third.headers["Retry-After"]) >= 1
        other = await site.as_("key of another owner", "GET", f"/v1/contents/{theirs}/download")
        assert (other.status, other.body) == (200, b"bytes")

    async def free() -> bool:
        return (await site.as_("key of the owner", "HEAD", f"/v1/contents/{mine}/download")).status == 200

    await eventually(free, 15, lambda: "the slots to be free again")


async def stored(site: Site, settings: Settings, body: bytes, owner: str = OWNER) -> str:
    """The id of a new content with these bytes."""
    name = str(uuid7())
    async with open_store(settings) as store:
        kept = await store.put_object(object_key(name), body, "video/mp4")
    media = MediaMetadata.model_validate({"kind": "video", "container": "mp4", "size_bytes": len(body)})
    record = ContentRecord(name, "a.mp4", "video/mp4", kept, None, media.model_dump(mode="json"), {}, owner)
    await site.services.contents.save(record)
    return name
