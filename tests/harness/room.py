"""Samples the room that uploads take on a temp volume, as often as possible, while a test does something else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.harness.cell import Cell, hash_get


@dataclass
class Room:
    """What was seen: the most bytes reserved at once, and the uploads that had a temp file."""

    most_reserved_bytes: int = 0
    files: set[str] = field(default_factory=set)
    samples: int = 0


@asynccontextmanager
async def room_of(cell: Cell) -> AsyncIterator[Room]:
    """Sample until the block ends."""
    room, ended = Room(), asyncio.Event()

    async def sample() -> None:
        volume = cell.keys.volume(cell.settings.volume)
        while not ended.is_set():
            reserved_bytes = int(await hash_get(cell.redis, volume, "reserved_bytes") or 0)
            room.most_reserved_bytes = max(room.most_reserved_bytes, reserved_bytes)
            room.files |= {path.stem for path in cell.settings.temp_dir.glob("*.data")}
            room.samples += 1
            await asyncio.sleep(0)

    sampling = asyncio.create_task(sample())
    try:
        yield room
    finally:
        ended.set()
        await sampling
    assert room.samples > 1
