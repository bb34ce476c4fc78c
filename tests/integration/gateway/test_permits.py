"""Permits: what they permit, what limits them, and how often they may be used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from deploy.access_table import OWNER
from pipeline.core.access import MediaLimits
from pipeline.settings import Settings
from tests.integration.gateway.conftest import OPTIONS
from tests.integration.gateway.creations import create, permit
from tests.integration.gateway.site import Site, running_site

pytestmark = pytest.mark.integration


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    async with running_site(settings, OPTIONS) as running:
        yield running


async def test_a_permit_counts_its_uploads_also_when_they_come_at_once(site: Site) -> None:
    token = await permit(site, count=3)
    responses = await asyncio.gather(*(create(site, token, size=1000) for _ in range(8)))
    assert sorted(response.status for response in responses) == [201] * 3 + [403] * 5
    assert {response.code for response in responses if response.status == 403} == {"PERMIT_EXCEEDED"}
    made = next(response for response in responses if response.status == 201)
    assert made.data["owner"] == OWNER


async def test_a_repeated_request_uses_a_permit_once(site: Site) -> None:
    token = await permit(site, count=1)
    first, again = await create(site, token, "k", size=1000), await create(site, token, "k", size=1000)
    assert (first.status, again.status) == (201, 200)
    assert first.data["id"] == again.data["id"]
    assert (await create(site, token, "other", size=1000)).code == "PERMIT_EXCEEDED"


@pytest.mark.parametrize(
    ("limits", "file", "allowed"),
    [
        ({"max_size": 1000}, {"size": 1000}, True),
        ({"max_size": 1000}, {"size": 1001}, False),
        ({"content_types": ["video/mp4"]}, {"content_type": "video/mp4; codecs=avc1"}, True),
        ({"content_types": ["video/*"]}, {"content_type": "VIDEO/webm"}, True),
        ({"content_types": ["Video/MP4"]}, {"content_type": "video/mp4"}, True),
        ({"content_types": ["image/*"]}, {"content_type": "video/mp4"}, False),
        ({"content_types": ["image/*"]}, {"content_type": "application/octet-stream"}, True),
        ({"kinds": ["video"], "max_duration_seconds": 5}, {}, True),
    ],
)
async def test_what_a_request_declares_is_compared_with_its_permit(
    site: Site, limits: dict[str, Any], file: dict[str, Any], allowed: bool
) -> None:
    response = await create(site, await permit(site, **limits), **file)
    assert (response.status, response.status == 403 and response.code) == (
        (201, False) if allowed else (403, "PERMIT_EXCEEDED")
    )


@pytest.mark.parametrize(
    "limits",
    [
        {"count": 0},
        {"expires_in": 0},
        {"expires_in": 10**9},
        {"max_size": -1},
        {"kinds": ["music"]},
        {"content_types": ["video"]},
        {"max_duration_seconds": 0},
        {"unknown": 1},
    ],
)
async def test_a_permit_with_limits_that_mean_nothing_is_refused(site: Site, limits: dict[str, Any]) -> None:
    response = await site.as_("key of the owner", "POST", "/v1/permits", json=limits)
    assert response.code == "VALIDATION_FAILED"


async def test_the_longest_permit_fits_in_a_header(site: Site) -> None:
    token = await permit(
        site,
        content_types=[f"video/{'x' * 56}{number:02}" for number in range(32)],
        video_codecs=[f"{'v' * 30}{number:02}" for number in range(32)],
        audio_codecs=[f"{'a' * 30}{number:02}" for number in range(32)],
        kinds=["video", "image", "audio"],
        count=10_000,
        max_size=2**53 - 1,
        max_duration_seconds=1.7976931348623157e308,
        max_width=2**31 - 1,
        max_height=2**31 - 1,
        expires_in=7 * 24 * 3600,
    )
    created = await create(site, token, size=1000, content_type="application/octet-stream")
    assert created.status == 201, created.body


@pytest.mark.parametrize("limits", [{"content_types": [f"video/{'x' * 59}"]}, {"video_codecs": ["x" * 33]}])
async def test_a_name_that_is_too_long_for_a_permit(site: Site, limits: dict[str, Any]) -> None:
    response = await site.as_("key of the owner", "POST", "/v1/permits", json=limits)
    assert response.code == "VALIDATION_FAILED"


async def test_an_expired_permit_creates_nothing(site: Site) -> None:
    authenticator = site.services.authenticator
    owner = await authenticator.bearer(site.credentials["key of the owner"] or "")
    _, expired = authenticator.issue_permit(owner, -60, count=1, max_size_bytes=None, media=MediaLimits())
    assert (await create(site, expired.token)).code == "CREDENTIAL_EXPIRED"


# -- idempotency keys


async def test_idempotency_keys_of_owners_and_permits_do_not_meet(site: Site) -> None:
    credentials = [
        site.credentials["key of the owner"] or "",
        site.credentials["key of another owner"] or "",
        await permit(site, count=5),
        await permit(site, count=5),
    ]
    made = [await create(site, credential, "same", size=1000) for credential in credentials]
    assert [response.status for response in made] == [201] * 4
    assert len({response.data["id"] for response in made}) == 4
    again = [await create(site, credential, "same", size=1000) for credential in credentials]
    assert [response.data["id"] for response in again] == [response.data["id"] for response in made]
