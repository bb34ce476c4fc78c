"""Who may join partial uploads: their owner, and the permit that created them, within its limits."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pipeline.settings import Settings
from tests.integration.gateway.conftest import OPTIONS
from tests.integration.gateway.creations import permit
from tests.integration.gateway.joining import store_part
from tests.integration.gateway.resumable import BODY, TUS
from tests.integration.gateway.site import Site, running_site
from tests.integration.gateway.truth import Response

pytestmark = pytest.mark.integration

SIZE = 600


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    async with running_site(settings, OPTIONS) as running:
        yield running


async def part(site: Site, credential: str | None) -> Response:
    headers = {**TUS, **BODY, "Upload-Concat": "partial", "Upload-Length": str(SIZE)}
    return await site.with_(credential, "POST", "/files/", headers=headers, data=bytes(SIZE))


async def held(site: Site, settings: Settings, credential: str | None) -> str:
    response = await part(site, credential)
    assert response.status == 201, response.body
    await store_part(settings, response.headers["Location"])
    return response.headers["Location"]


async def join(site: Site, credential: str | None, *urls: str) -> Response:
    return await site.with_(credential, "POST", "/files/", headers={**TUS, "Upload-Concat": f"final;{' '.join(urls)}"})


async def test_the_parts_of_another_owner_do_not_exist(site: Site, settings: Settings) -> None:
    own, other = site.credentials["key of the owner"], site.credentials["key of another owner"]
    mine, theirs = await held(site, settings, own), await held(site, settings, other)
    for urls in ((mine, theirs), (theirs,)):
        response = await join(site, own, *urls)
        assert (response.status, response.code) == (404, "UPLOAD_NOT_FOUND")
    for column in ("no key", "key with `read` only"):
        assert (await join(site, site.credentials[column], mine)).status in (401, 403)
    assert (await join(site, own, mine)).status == 201


async def test_a_permit_counts_parts_and_joins_its_own(site: Site, settings: Settings) -> None:
    token, another = await permit(site, count=2), await permit(site, count=2)
    urls = [await held(site, settings, token) for _ in range(2)]
    assert (await part(site, token)).code == "PERMIT_EXCEEDED"
    assert (await join(site, another, *urls)).code == "UPLOAD_NOT_FOUND"
    assert (await join(site, token, *urls)).status == 201, "the final upload is not counted"


async def test_the_size_that_a_permit_allows_is_that_of_the_whole_file(site: Site, settings: Settings) -> None:
    token = await permit(site, count=2, max_size=2 * SIZE - 1)
    urls = [await held(site, settings, token) for _ in range(2)]
    response = await join(site, token, *urls)
    assert (response.status, response.code) == (403, "PERMIT_EXCEEDED")
    assert (await join(site, token, urls[0])).status == 201
