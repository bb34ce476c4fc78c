"""A runner that is frozen in the middle of its work, and continues when another one has had its content."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from pipeline.adapters.object_store.filesystem import FilesystemObjectStore
from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.adapters.postgres.replays import PostgresReplays
from pipeline.bootstrap.stores import OpenStores
from pipeline.core.stored_objects import StoredObject, object_key, thumbnail_key
from pipeline.ports import ByteSource, Frame
from pipeline.ports.replays import Remade, Replayable
from pipeline.upkeep.replayed_content import ReplayedContents
from pipeline.upkeep.replays import ReplayRules, ReplayRunner
from schemas.content import Content
from schemas.replays import ReplayFilters
from tests.contract.postgres.replays.conftest import expire
from tests.contract.postgres.test_contents import new_record

pytestmark = pytest.mark.contract


class Freezing(FilesystemObjectStore):
    """`frozen` is awaited once, before an object is stored."""

    frozen: Callable[[], Awaitable[None]] | None = None

    async def put_object(self, key: str, body: bytes, content_type: str) -> StoredObject:
        frozen, self.frozen = self.frozen, None
        if frozen is not None:
            await frozen()
        return await super().put_object(key, body, content_type)


def making(jpeg: bytes) -> Replayable:
    """A stage that reads the file, and makes this thumbnail."""

    async def stage(content: Content, source: ByteSource) -> Remade:
        assert await source.read(2, 4) == b"film"
        return Remade(frame=Frame(jpeg))

    return stage


@pytest.mark.parametrize("frozen_at", ["reading", "storing"])
async def test_it_writes_nothing_and_leaves_nothing(
    contents: PostgresContentRepository,
    replays: PostgresReplays,
    database: asyncpg.Connection,
    tmp_path: Path,
    frozen_at: str,
) -> None:
    async with Freezing(tmp_path) as store:
        stores = OpenStores({store.name: store})
        record = new_record()
        stored = await store.put_object(object_key(record.content_id), b"a film", "video/mp4")
        first = await store.put_object(thumbnail_key(record.content_id), b"the first", "image/jpeg")
        content_id = (await contents.save(replace(record, stored=stored, thumbnail=first))).id
        replay = await replays.create("thumbnail", ReplayFilters(), None)

        async def another_run() -> None:
            await expire(database)
            heir = ReplayedContents(replays, contents, stores, making(b"of the heir"), None)
            assert (await ReplayRunner(replays, heir, ReplayRules()).run(replay.id)).changed == 1

        async def slow(content: Content, source: ByteSource) -> Remade:
            if frozen_at == "reading":
                await another_run()
            return Remade(frame=Frame(b"of the frozen one"))

        if frozen_at == "storing":
            store.frozen = another_run
        runner = ReplayRunner(replays, ReplayedContents(replays, contents, stores, slow, None), ReplayRules())
        assert (await runner.run(replay.id)).changed == 1
        thumbnail = (await contents.get(content_id, None)).thumbnail
        assert thumbnail is not None
        assert b"".join([block async for block in store.read(thumbnail.key)]) == b"of the heir"
        assert {key async for key in store.list_keys()} == {object_key(content_id), thumbnail.key}
