"""Brings windowed uploads to the states that tests of early release are about."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any, cast

from pipeline.core.lifecycle import Event
from pipeline.core.model import StageJob, Upload
from pipeline.core.stages import Stage
from pipeline.core.stored_objects import StoredSegment
from pipeline.ports.recording import ReleaseOrder
from tests.contract.redis.uploads import SEGMENT_BYTES, VOLUME, Play, crc_of
from tests.harness.new_uploads import new_upload

READERS = (Stage.PROBE, Stage.THUMBNAIL)
REPEAT_MS = 5000
"""As in release.lua: a release that its process did not complete is repeated after this time."""


async def windowed(play: Play, segments: int = 6, window: int = 4, **more: Any) -> Upload:
    """An admitted upload that holds `window` of its `segments` segments at once; the reader needs the first one."""
    upload, _ = await play.board.create(
        new_upload(size_bytes=segments * SEGMENT_BYTES, window_bytes=window * SEGMENT_BYTES, **more)
    )
    await play.board.apply(upload.upload_id, Event.ADMIT)
    await reads(play, upload, 1)
    return await play.board.get(upload.upload_id)


async def reads(play: Play, upload: Upload, *numbers: int) -> None:
    """The reader has requested these segments."""
    key = play.parts.keys.upload(upload.upload_id)
    await cast("Awaitable[int]", play.parts.client.sadd(f"{key}:reads", *map(str, numbers)))
    await cast("Awaitable[int]", play.parts.client.hset(key, "stage.probe.requests", "1"))


async def set_states(play: Play, upload: Upload, state: str, stages: Iterable[Stage] = READERS, **fields: str) -> None:
    """Put stages into a state, whatever the graph says about how they reach it."""
    for stage in stages:
        named = {f"stage.{stage}.{name}": value for name, value in {"state": state, **fields}.items()}
        await cast("Awaitable[int]", play.parts.client.hset(play.parts.keys.upload(upload.upload_id), mapping=named))


async def receive(play: Play, upload: Upload, number: int) -> list[StageJob]:
    """One request: it claims the segment, and records it."""
    token = f"request-{number}"
    assert (await play.segments.claim(upload.upload_id, number, token, 60)).claimed
    verdict = await play.segments.record_received(
        upload.upload_id, number, upload.plan.length(number), crc_of(number), token
    )
    assert verdict.accepted
    return list(verdict.jobs)


async def transfer_of(play: Play, upload: Upload, numbers: Iterable[int]) -> StageJob:
    """Receive these segments; the running transfer."""
    jobs = [job for number in numbers for job in await receive(play, upload, number)]
    return await play.started(next(job for job in jobs if job.stage is Stage.TRANSFER))


async def is_listed(play: Play, upload: Upload) -> bool:
    """Whether the admission worker will look at this upload."""
    return await play.parts.client.zscore(play.parts.keys.releasing(VOLUME), upload.upload_id) is not None


async def choose(play: Play, upload: Upload) -> ReleaseOrder:
    """What the admission worker is to release now."""
    return await play.segments.choose_releases(upload.upload_id, VOLUME, 100)


async def time_passes(play: Play, upload: Upload) -> None:
    """So much that what a process was to give back, and has not, may be given back by another one."""
    giving = f"{play.parts.keys.upload(upload.upload_id)}:giving"
    for number in await play.parts.client.zrange(giving, 0, -1):
        await play.parts.client.zincrby(giving, -REPEAT_MS, number)


async def stored(play: Play, upload: Upload, job: StageJob, number: int) -> bool:
    """The store has acknowledged a segment; whether it is released at once."""
    segment = StoredSegment(number, upload.plan.length(number), f"etag-{number}")
    return (await play.segments.record_stored(job, segment)).released
