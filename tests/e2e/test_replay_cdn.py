"""A thumbnail that `sluice replay` replaces, seen through the cache in front of the store."""

from __future__ import annotations

import asyncpg
import pytest

from tests.e2e.test_cdn import Cdn, cdn, published, video
from tests.e2e.test_replay import of_earlier_release, replay

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

__all__ = ["cdn", "video"]  # fixtures


async def test_a_replaced_thumbnail_is_served_under_its_new_name(cdn: Cdn, video: bytes) -> None:
    content = await published(cdn, video)
    old = content["thumbnail"]["key"]
    connection = await asyncpg.connect(cdn.cell.settings.database_url.get_secret_value())
    try:
        await of_earlier_release(cdn.cell, connection, content["id"])
    finally:
        await connection.close()
    assert (await cdn.get(f"/{old}"))[0] == 200
    ended = await replay(cdn.cell, "thumbnail", "--id", content["id"])
    assert ended["changed"] == 1
    new = (await cdn.cell.content(content["id"]))["thumbnail"]["key"]
    status, body, headers = await cdn.get(f"/{new}")
    assert (status, headers["Content-Type"], body[:3]) == (200, "image/jpeg", b"\xff\xd8\xff")
    assert (await cdn.get(f"/{old}"))[0] == 404
    _, gone, _ = await cdn.cell.call("DELETE", f"/v1/contents/{content['id']}", expect=200)
    assert gone["data"]["leftover"] is False
    assert (await cdn.get(f"/{new}"))[0] == 404
