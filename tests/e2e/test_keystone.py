"""Behind Keystone: one token per process, however many segments go, and a new one when it is revoked in mid-upload."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from deploy.embedded import EmbeddedStack, StackOptions
from tests.cell import SEGMENT_BYTES, running_cell
from tests.media_samples import sample

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def keystone_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    options = StackOptions(directory=tmp_path_factory.mktemp("keystone"), keystone=True, fast=True)
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
