"""`stages.reading` on a real board, temp volume and store: when a file is read a second time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from pipeline.adapters.media.lanes import Deferred
from pipeline.adapters.object_store.filesystem import FilesystemObjectStore
from pipeline.core.errors import MediaError
from pipeline.engine.contract import Done, Outcome, Parked, StageRun
from pipeline.ports import EventFeed, Stores
from pipeline.stages import reading as reading_module
from pipeline.stages.reading import FileReads
from pipeline.uploads.bytes import FileBytes
from tests.contract.redis.scenes import LONG, Scene, SealedOnly, opened
from tests.contract.redis.uploads import Play, cell_state
from tests.harness.redis_calls import reply

pytestmark = pytest.mark.contract


@dataclass
class OneStore:
    store: FilesystemObjectStore | SealedOnly

    def named(self, name: str) -> FilesystemObjectStore | SealedOnly:
        return self.store


@dataclass
class Reader:
    """Reads the first bytes of segment 2. A reading of anything else finds no media."""

    scene: Scene
    got: list[bytes] = field(default_factory=list)
    right_from: int = 1
    loses_hold: bool = False
    deferred: Deferred = field(default_factory=Deferred)
    needs: int = 2
    store: SealedOnly | None = None

    async def run(self) -> Outcome:
        scene, play = self.scene, self.scene.play
        stores = cast(Stores, OneStore(self.store or scene.store))
        feed: EventFeed = play.parts.signals
        files = FileReads(cell_state(play, scene.volume), play.stages, stores, feed, self.deferred.counted)
        return await files.reading(StageRun(scene.probe, scene.upload), self.read)

    async def read(self, source: FileBytes) -> Outcome:
        await source.read(LONG, (self.needs - 1) * LONG)
        if self.loses_hold and not self.got:  # Redis has come back without its last second
            scene = self.scene
            reads = f"{scene.play.parts.keys.upload(scene.upload.upload_id)}:reads"
            await reply(scene.play.parts.client.srem(reads, 2))
            await scene.stored(2)
            await scene.release(2)
        self.got.append(await source.read(LONG, 10))
        if self.got[-1] != self.scene.segment(2)[:10] or len(self.got) < self.right_from:
            raise MediaError("NOT_MEDIA", reason="its beginning")
        await source.require_unchanged()
        return Done({"of": "the file"})


@pytest.fixture
async def reader(play: Play, tmp_path: Path) -> AsyncIterator[Reader]:
    """Of a windowed upload whose first two segments have arrived."""
    async with opened(play, tmp_path, LONG, segments=6, received=2, window_bytes=4 * LONG) as scene:
        yield Reader(scene)


async def test_a_file_whose_bytes_were_compared_is_rejected_at_once(reader: Reader) -> None:
    reader.right_from = 2
    with pytest.raises(MediaError):
        await reader.run()
    assert len(reader.got) == 1


@pytest.mark.parametrize(("right_from", "readings"), [(1, 1), (2, 2), (3, 2)])
async def test_a_file_is_not_rejected_for_what_the_store_sent_once(
    reader: Reader, right_from: int, readings: int
) -> None:
    await reader.scene.stored(2)
    await reader.scene.release(2)
    reader.right_from = right_from
    if right_from > 2:
        with pytest.raises(MediaError):
            await reader.run()
    else:
        assert await reader.run() == Done({"of": "the file"})
    assert len(reader.got) == readings


async def test_a_segment_that_is_released_while_it_is_read_is_read_from_the_store(reader: Reader) -> None:
    reader.loses_hold = True
    assert await reader.run() == Done({"of": "the file"})
    assert reader.got == [reader.scene.segment(2)[:10]]


async def test_a_file_is_not_rejected_for_a_hole_that_a_lost_hold_has_left(reader: Reader) -> None:
    """Where the store cannot read a segment before the manifest."""
    reader.loses_hold = True
    reader.store = SealedOnly(reader.scene.store)
    assert await reader.run() == Parked()
    assert reader.got == [bytes(10)]


async def test_a_run_that_stays_for_a_segment_counts_as_no_job_of_its_worker(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise clients that do not look at wanted segments would keep a worker's slots for two seconds each."""
    monkeypatch.setattr(reading_module, "LINGER_SECONDS", 60)
    waits = asyncio.Event()
    reader.deferred.listeners.append(waits.set)
    reader.needs = 3
    running = asyncio.create_task(reader.run())
    await waits.wait()
    assert reader.deferred.count() == 1
    assert reader.got == []
    await reader.scene.receive(3)
    assert await running == Done({"of": "the file"})
    assert reader.deferred.count() == 0
