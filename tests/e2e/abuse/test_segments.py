"""Requests that are small and cost much for each segment that they name, beside another owner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.abuse.conftest import guarded, site_of
from tests.harness.cell import Cell
from tests.harness.shared_stack import Servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_MANY = 120
"""Segments of a file: more than one response has grants for."""


async def refused(cell: Cell, path: str, body: Any = None) -> None:
    """This request is refused before a store is asked or a URL is signed."""
    status, answer, headers = await cell.call("POST", path, json=body)
    error = answer["error"]
    assert (status, error["code"], error["detail"].get("what")) == (429, "RATE_LIMITED", "segments")
    assert int(headers["Retry-After"]) > 0


@pytest.mark.parametrize("store", ["swift", "s3"])
async def test_signing_and_counting_segments_in_a_loop(servers: Servers, tmp_path: Path, store: str) -> None:
    """Signing for S3 takes half a millisecond of the gateway for each URL, and a completion lists what the store holds:
    an owner gets so many segments, however few requests name them. A repeated creation is not limited otherwise."""
    settings: dict[str, Any] = {"owner_requests_per_second": 10, "swift_tempurl_key": "a-key-of-the-test"}
    with guarded(servers, tmp_path, store=store, **settings) as started:
        async with site_of(started) as site:
            size = _MANY * 5 * 1024 * 1024  # the smallest part of S3
            key = {"Idempotency-Key": "the-same"}
            wanted = {"filename": "a.mp4", "size": size, "transport": "direct"}
            _, answer, _ = await site.mallory.call("POST", "/v1/uploads", json=wanted, headers=key, expect=201)
            upload = answer["data"]["id"]
            assert len(answer["data"]["grants"]["segments"]) == 100
            status, _, _ = await site.mallory.call("POST", "/v1/uploads", json=wanted, headers=key)
            assert status == 200
            await refused(site.mallory, "/v1/uploads", wanted)
            await refused(site.mallory, f"/v1/uploads/{upload}/complete")
            await refused(site.mallory, f"/v1/uploads/{upload}/grants", {"segments": [[1, _MANY]] * 9})
            await site.alice.call("POST", "/v1/uploads", json=wanted, expect=201)
