"""An upload of a few segments with a running probe, on a real board, temp volume and store."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import google_crc32c

from pipeline.adapters.object_store.filesystem import FilesystemObjectStore
from pipeline.adapters.volume.temp_volume import DirectoryTempVolume
from pipeline.core.model import StageJob, Upload
from pipeline.core.stages import Stage
from pipeline.core.stored_objects import StoredSegment
from pipeline.ports import Store
from pipeline.uploads.bytes import UploadBytes
from pipeline.uploads.segment_files import segment_source
from pipeline.uploads.target import target_of
from tests.contract.redis.uploads import Play, cell_state
from tests.harness.redis_calls import reply

MIB = 1024 * 1024
LONG, SHORT = 2 * MIB, 64 * 1024


@dataclass
class Scene:
    """An upload of five segments whose first has arrived, and its running probe."""

    play: Play
    volume: DirectoryTempVolume
    store: FilesystemObjectStore
    upload: Upload
    data: bytes
    probe: StageJob
    transfer: StageJob

    async def receive(self, *numbers: int) -> dict[Stage, StageJob]:
        jobs: dict[Stage, StageJob] = {}
        for number in numbers:
            part = self.segment(number)
            await self.volume.write(self.upload.upload_id, self.upload.plan.offset(number), [part], 0)
            verdict = await self.play.receive(self.upload, number, google_crc32c.value(part))
            jobs |= self.play.by_stage(verdict.jobs)
        return jobs

    def segment(self, number: int) -> bytes:
        start = self.upload.plan.offset(number)
        return self.data[start : start + self.upload.plan.length(number)]

    async def stored(self, *numbers: int) -> list[StoredSegment]:
        """Put segments into the store, and record it."""
        found = []
        for number in numbers:
            crc32c = google_crc32c.value(self.segment(number))
            source = segment_source(self.volume, self.upload.upload_id, self.upload.plan, number, crc32c)
            found.append(await self.store.put_segment(target_of(self.upload), source))
            await self.play.segments.record_stored(self.transfer, found[-1])
        return found

    async def release(self, *numbers: int) -> None:
        """Their bytes leave the temp volume."""
        key, plan = self.play.parts.keys.upload(self.upload.upload_id), self.upload.plan
        added = await reply(self.play.parts.client.sadd(f"{key}:released", *numbers))
        await reply(self.play.parts.client.hincrby(key, "bytes_released", added * plan.segment_bytes))
        await self.volume.punch(self.upload.upload_id, [(plan.offset(n), plan.length(n)) for n in numbers])

    async def reads(self) -> set[int]:
        """The segments that the reader has requested, or holds."""
        key = f"{self.play.parts.keys.upload(self.upload.upload_id)}:reads"
        return {int(number) for number in await reply(self.play.parts.client.smembers(key))}

    async def seal(self) -> None:
        """Store and seal everything; the upload is read anew."""
        segments = await self.stored(*range(1, self.upload.plan.count + 1))
        await self.store.seal(target_of(self.upload), segments)
        (seal,) = self.play.by_stage((await self.play.stages.finish(self.transfer, None)).jobs).values()
        await self.play.finished(seal, {"etag": "e"})
        self.upload = await self.play.board.get(self.upload.upload_id)

    def bytes(self, *, store: Any = None) -> UploadBytes:
        """As a run of the probe reads them."""
        reading = cast(Store, store or self.store)
        return UploadBytes(cell_state(self.play, self.volume), self.play.stages, reading, self.probe, self.upload)


class SealedOnly:
    """The store without the ability to read segments before the manifest, like S3."""

    def __init__(self, store: FilesystemObjectStore) -> None:
        self.read = store.read


@asynccontextmanager
async def opened(
    play: Play, tmp_path: Path, segment_bytes: int, *, segments: int = 5, received: int = 1, **more: Any
) -> AsyncIterator[Scene]:
    """Of a file of so many segments, the last one short, the first `received` have arrived."""
    data = random.Random(segment_bytes).randbytes((segments - 1) * segment_bytes + 1234)
    upload = await play.admitted(size_bytes=len(data), segment_bytes=segment_bytes, **more)
    volume = DirectoryTempVolume("local", tmp_path / "temp")
    await (volume.allocate_sparse if upload.window_bytes else volume.allocate)(upload.upload_id, upload.size_bytes)
    async with FilesystemObjectStore(tmp_path / "store", fsync=False) as store:
        made = Scene(play, volume, store, upload, data, cast(StageJob, None), cast(StageJob, None))
        jobs = await made.receive(*range(1, received + 1))
        made.probe = await play.started(jobs[Stage.PROBE])
        made.transfer = await play.started(jobs[Stage.TRANSFER])
        yield made
