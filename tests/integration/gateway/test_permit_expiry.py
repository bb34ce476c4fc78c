"""A permit expires while its upload is in flight: what the permit still does, and what the upload's token does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from pipeline.core.access import MediaLimits
from pipeline.settings import Settings
from tests.harness.cell import eventually
from tests.integration.gateway.conftest import OPTIONS
from tests.integration.gateway.creations import create, permit
from tests.integration.gateway.site import Site, running_site

pytestmark = pytest.mark.integration

_TUS = {"Tus-Resumable": "1.0.0"}
_BODY = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    async with running_site(settings, OPTIONS) as running:
        yield running


async def expiring(site: Site, seconds: float, count: int = 1) -> str:
    """The token of a permit that is valid for so long."""
    authenticator = site.services.authenticator
    owner = await authenticator.bearer(site.credentials["key of the owner"] or "")
    _, issued = authenticator.issue_permit(owner, seconds, count=count, max_size_bytes=None, media=MediaLimits())
    return issued.token


async def until_expired(site: Site, token: str) -> None:
    async def is_expired() -> bool:
        return (await site.with_(token, "GET", "/v1/uploads")).status == 401

    await eventually(is_expired, 30, lambda: "the permit to expire")


async def test_an_upload_token_outlives_its_permit(site: Site) -> None:
    token = await expiring(site, 5, count=2)
    made = await create(site, token, "key", size=1000)
    assert made.status == 201, made.body
    await until_expired(site, token)
    upload, path = made.data["upload_token"]["token"], f"/v1/uploads/{made.data['id']}"
    assert (await site.with_(upload, "GET", path)).status == 200
    sent = await site.with_(upload, "PUT", f"{path}/segments/1", data=bytes(1000))
    assert sent.status == 200, sent.body
    assert (await create(site, token, "key", size=1000)).code == "CREDENTIAL_EXPIRED"
    again = await create(site, await permit(site), "key", size=1000)
    assert (again.status, again.data["id"] == made.data["id"]) == (201, False), (
        "another permit does not know the upload"
    )


async def test_a_tus_client_continues_with_the_token_of_its_upload(site: Site) -> None:
    token = await expiring(site, 5)
    creation: dict[str, Any] = {**_TUS, "Upload-Length": "1000"}
    made = await site.with_(token, "POST", "/files/", headers=creation)
    assert made.status == 201, made.body
    path = f"/files/{made.headers['Sluice-Upload-Id']}"
    await until_expired(site, token)
    refused = await site.with_(token, "PATCH", path, headers=_TUS | _BODY, data=bytes(1000))
    assert (refused.status, refused.code) == (401, "CREDENTIAL_EXPIRED")
    assert (await site.with_(await permit(site), "HEAD", path, headers=_TUS)).status == 404
    upload = made.headers["Sluice-Upload-Token"]
    assert (await site.with_(upload, "HEAD", path, headers=_TUS)).headers["Upload-Offset"] == "0"
    sent = await site.with_(upload, "PATCH", path, headers=_TUS | _BODY, data=bytes(1000))
    assert (sent.status, sent.headers["Upload-Offset"]) == (204, "1000")
