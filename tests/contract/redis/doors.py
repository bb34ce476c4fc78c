"""Gateways of one cell, on the real boards, the real ledger and a real temp volume, and an upload that they receive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.volume.temp_volume import DirectoryTempVolume
from pipeline.core.admission import DiskReading
from pipeline.core.errors import SluiceError
from pipeline.core.lifecycle import Event
from pipeline.core.model import ClientDigest, Deferred, StageJob, Upload
from pipeline.core.stages import Stage
from pipeline.core.stored_objects import StoredSegment
from pipeline.ports import EventFeed
from pipeline.uploads.cell import CellState
from pipeline.uploads.incoming_bytes import ReceiveRules
from pipeline.uploads.receive import Receiver, SegmentReceipt
from pipeline.uploads.receive_buffer import ReceiveBuffer
from pipeline.uploads.release import EarlyRelease
from pipeline.uploads.room import SegmentRoom
from tests.contract.redis.uploads import VOLUME, Play, cell_state
from tests.harness.new_uploads import new_upload

SEGMENT = 64 * 1024
WINDOW = 5
COUNT = 8


def part(number: int, variant: int = 0) -> bytes:
    return bytes([number, variant]) * (SEGMENT // 2)


@dataclass
class Door:
    """Two gateways of one cell, and an admitted upload that needs room for its segments. The reader needs segment 1."""

    play: Play
    cell: CellState
    upload: Upload
    release: EarlyRelease
    gateways: list[Receiver]
    read: list[int] = field(default_factory=list)

    async def send(
        self, number: int, body: AsyncIterator[bytes] | None = None, *digests: ClientDigest, gateway: int = 0
    ) -> SegmentReceipt:
        receiver = self.gateways[gateway]
        slot = await receiver.open(self.upload.upload_id, number, None)
        return await receiver.receive(slot, body or self.whole(part(number)), digests)

    async def whole(self, data: bytes) -> AsyncIterator[bytes]:
        self.read.append(len(data))
        yield data

    async def refused(self, number: int, body: AsyncIterator[bytes] | None = None, *digests: ClientDigest) -> str:
        with pytest.raises(SluiceError) as raised:
            await self.send(number, body, *digests)
        return raised.value.code

    def on_disk(self) -> int:
        return self.cell.volume.path(self.upload.upload_id).stat().st_blocks * 512

    async def taken(self) -> set[int]:
        return set(await self.cell.ledger.taken(self.upload.upload_id))

    async def transfer(self) -> StageJob:
        status = (await self.play.board.get(self.upload.upload_id)).stages[Stage.TRANSFER]
        job = StageJob(self.upload.upload_id, Stage.TRANSFER, status.fencing_token, VOLUME)
        return job if status.state == "running" else await self.play.started(job)

    async def store(self, *numbers: int) -> list[bool]:
        job = await self.transfer()
        return [
            (await self.play.segments.record_stored(job, StoredSegment(number, SEGMENT, f"etag-{number}"))).released
            for number in numbers
        ]


async def opened(
    play: Play, directory: Path, window: int | None = WINDOW, count: int = COUNT, *, deferred: bool = False
) -> Door:
    """`deferred`: the length of the file is not known; it has `count` segments at most."""
    volume = DirectoryTempVolume(VOLUME, directory)
    cell = cell_state(play, volume)
    size_bytes, window_bytes = count * SEGMENT, window * SEGMENT if window else None
    length: dict[str, Any] = {"size_bytes": size_bytes}
    if deferred:
        length = {"size_bytes": 0, "deferred": Deferred.LENGTH, "most_bytes": size_bytes}
    upload, _ = await play.board.create(new_upload(segment_bytes=SEGMENT, window_bytes=window_bytes, **length))
    await cell.ledger.open("run")
    outcome = await cell.ledger.request(upload.upload_id, size_bytes, DiskReading(2**40, 0, 0), window_bytes)
    assert outcome is not None
    if window:
        await volume.allocate_sparse(upload.upload_id, size_bytes)
    backed = 0 if window else await volume.allocate(upload.upload_id, size_bytes)
    await play.board.apply(upload.upload_id, Event.ADMIT)
    await cell.ledger.confirm(upload.upload_id, backed)
    await cell.record.begin_journal(upload)
    release = EarlyRelease(cell)
    feed: EventFeed = play.parts.signals
    gateways = [
        Receiver(cell, ReceiveBuffer(2**20), ReceiveRules(5, 10), SegmentRoom(cell, feed, release, 10)) for _ in "ab"
    ]
    return Door(play, cell, upload, release, gateways)


async def broken(data: bytes) -> AsyncIterator[bytes]:
    yield data[: len(data) // 2]
    raise ConnectionError
