"""Measures the constants of `sluice plan`: photos, short videos and long ones, each sent at a fixed rate.

What a type of process needs without uploads is measured first and subtracted by time. The cost of a second is the
difference between long videos from slow and from fast clients, that of a GiB the difference between long and short
videos; what remains of a short video, or of a photo, is the cost of an upload.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from rich.console import Console

from deploy.cli.plan_constants import Constants, ProcessCost, RedisBytes
from deploy.cli.plan_model import GIB
from tests.harness.running import CellProcesses
from tests.programs.bench.bed import Bed
from tests.programs.bench.cells import MIB
from tests.programs.bench.paced import Ended, PacedLoad, send_paced
from tests.programs.bench.redis_state import RedisState, settled
from tests.programs.bench.samples import PHOTO_BYTES, make_large_video, make_photo
from tests.programs.bench.scale_clients import clients_of
from tests.programs.bench.usage import CpuMeter, resident_bytes

_IDLE_SECONDS: Final = 20.0
_PHOTOS: Final = 150
_SHORT, _SHORT_BYTES = 60, 2 * MIB
_LONG, _LONG_MIB, _LEAST_LONG_MIB = 12, 64, 12
_IDLE_UPLOADS: Final = 50
_EVENTS: Final = 10_000


@dataclass
class Laboratory:
    """A cell whose uploads are measured."""

    bed: Bed
    cell: CellProcesses
    state: RedisState
    console: Console
    scale: float

    @property
    def groups(self) -> dict[str, list[int]]:
        servers = self.bed.by_process()
        own = {name: [pid] for name, pid in self.cell.processes.pids().items()}
        return {**own, "redis": servers["redis"], "postgres": servers["postgres"]}

    def count(self, most: int, least: int) -> int:
        return max(least, int(most * self.scale))

    async def idle(self) -> dict[str, float]:
        """What each process needs without uploads, as a share of a core."""
        await settled(self.state)
        meter, began = CpuMeter(self.groups), time.monotonic()
        await asyncio.sleep(max(2.0, _IDLE_SECONDS * self.scale))
        seconds = time.monotonic() - began
        return {name: used / seconds for name, used in meter.read().items()}

    async def spent(self, load: PacedLoad, idle: Mapping[str, float]) -> tuple[dict[str, float], Ended]:
        """CPU seconds per upload of each process, beyond those of idle ones, until everything is cleaned up."""
        meter, began = CpuMeter(self.groups), time.monotonic()
        ended = await send_paced(self.cell.processes.url, load)
        await settled(self.state)
        seconds = time.monotonic() - began
        used = meter.read()
        return {name: max(0.0, used[name] - idle[name] * seconds) / load.count for name in used}, ended

    def growth(self, before: tuple[int, int]) -> float:
        """Bytes by which Redis has grown since `memory`, without its stream of events."""
        used, events = self.memory()
        return (used - before[0]) - (events - before[1])

    def memory(self) -> tuple[int, int]:
        """Bytes of all data, and of the stream of events."""
        return self.state.used_bytes(), self.state.events()[0]


async def measure_constants(
    laboratory: Laboratory, idle: Mapping[str, float], alone: Mapping[str, float], machine: Mapping[str, Any]
) -> Constants:
    """All constants. `idle`: of all processes; `alone`: of Redis and PostgreSQL before the cell started."""
    bed, cell, state = laboratory.bed, laboratory.cell, laboratory.state
    photo, short, long = (bed.directory / name for name in ("photo.jpg", "short.mp4", "long.mp4"))
    make_photo(bed.ffmpeg, photo)
    make_large_video(bed.ffmpeg, short, _SHORT_BYTES)
    long_bytes = laboratory.count(_LONG_MIB, _LEAST_LONG_MIB) * MIB
    make_large_video(bed.ffmpeg, long, long_bytes)
    base = laboratory.memory()
    in_flight = await _in_flight_bytes(laboratory, photo.read_bytes())
    disk = await _database_bytes(cell)
    records = state.record_bytes()
    photos = PacedLoad(photo, "image/jpeg", laboratory.count(_PHOTOS, 10), 0.2, 10 * MIB)
    photo_cpu, _ = await laboratory.spent(photos, idle)
    ended_bytes = (state.record_bytes() - records) / photos.count
    shorts = PacedLoad(short, "video/mp4", laboratory.count(_SHORT, 5), 0.5, 4 * MIB)
    short_cpu, shorts_sent = await laboratory.spent(shorts, idle)
    longs = PacedLoad(long, "video/mp4", laboratory.count(_LONG, 2), 1.5, 16 * MIB)
    long_cpu, longs_sent = await laboratory.spent(longs, idle)
    slow = PacedLoad(long, "video/mp4", laboratory.count(_LONG, 2), 3.0, 2 * MIB)
    slow_cpu, _ = await laboratory.spent(slow, idle)
    contents = photos.count + shorts.count + longs.count + slow.count
    events_bytes, events = state.events()
    segments = -(-long_bytes // cell.settings.segment_bytes)
    more_bytes = _mean_key_bytes(state, longs_sent) - _mean_key_bytes(state, shorts_sent)
    processes = {}
    for name, pids in laboratory.groups.items():
        share = max(0.0, slow_cpu[name] - long_cpu[name]) / (slow.send_seconds - longs.send_seconds)
        more = long_cpu[name] - short_cpu[name] - share * (longs.send_seconds - shorts.send_seconds)
        gib = max(0.0, more) * GIB / (long_bytes - _SHORT_BYTES)
        processes[name] = ProcessCost(
            photo_seconds=max(0.0, photo_cpu[name] - gib * PHOTO_BYTES / GIB - share * photos.send_seconds),
            video_seconds=max(0.0, short_cpu[name] - gib * _SHORT_BYTES / GIB - share * shorts.send_seconds),
            gib_seconds=gib,
            sending_share=share,
            idle_cores=max(0.0, idle[name] - alone.get(name, 0.0)),
            resident_bytes=sum(resident_bytes(pid) for pid in pids),
        )
    return Constants(
        measured_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        machine=machine,
        store=cell.settings.store,
        segment_bytes=cell.settings.segment_bytes,
        release_seconds=_release_seconds(state, longs_sent),
        processes=processes,
        redis=RedisBytes(
            base=base[0] - base[1] + _EVENTS * events_bytes / events,
            in_flight=max(0.0, in_flight),
            ended=max(0.0, ended_bytes),
            segment=max(0.0, more_bytes / (segments - 1)),
        ),
        database_bytes=(await _database_bytes(cell) - disk) / contents,
    )


async def _in_flight_bytes(laboratory: Laboratory, photo: bytes) -> float:
    """What an upload that was admitted adds to Redis. The uploads are cancelled afterwards."""
    count = laboratory.count(_IDLE_UPLOADS, 10)
    before = laboratory.state.record_bytes()
    async with clients_of(laboratory.cell.processes.url, photo) as clients:
        uploads = await clients.create(count)
        growth = (laboratory.state.record_bytes() - before) / count
        for upload in uploads:
            await clients.cancel(upload["id"])
    await settled(laboratory.state)
    return growth


def _mean_key_bytes(state: RedisState, sent: Ended) -> float:
    return statistics.mean(state.key_bytes(sent.upload_ids).values())


def _release_seconds(state: RedisState, sent: Ended) -> float:
    """From the arrival of the last byte until nothing of the file is on the volume."""
    arrived, released = (_seconds(state, sent.upload_ids, name) for name in ("processing_at_ms", "released_at_ms"))
    return statistics.median(after - before for before, after in zip(arrived, released, strict=True))


def _seconds(state: RedisState, upload_ids: Sequence[str], name: str) -> list[float]:
    return [milliseconds / 1000 for upload_id in upload_ids for milliseconds in state.times([upload_id], name)]


async def _database_bytes(cell: CellProcesses) -> int:
    connection = await asyncpg.connect(cell.settings.database_url.get_secret_value())
    try:
        return int(await connection.fetchval("SELECT pg_database_size(current_database())"))
    finally:
        await connection.close()
