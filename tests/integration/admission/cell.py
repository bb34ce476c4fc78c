"""One temp volume and its ledger, shared by several processes; without stages, so that no store is needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pydantic import SecretStr

from pipeline.bootstrap import RedisParts, redis_parts, volume_parts
from pipeline.ports import TempVolume
from pipeline.settings import Settings
from pipeline.upkeep.cleanup import Cleanup, CleanupQueue
from pipeline.upkeep.expiry import Expiry
from pipeline.upkeep.orphaned_files import OrphanedFiles
from pipeline.upkeep.volume import VolumeUpkeep
from pipeline.uploads.admission import Admission
from pipeline.uploads.cell import CellState
from tests.harness.new_uploads import new_upload

KIBIBYTE = 1024
BUDGET_BYTES = 3_000 * KIBIBYTE


@dataclass(frozen=True)
class Cell:
    redis: RedisParts
    state: CellState
    volume: TempVolume
    admission: Admission
    upkeep: VolumeUpkeep
    cleanups: CleanupQueue

    async def register(self, size_bytes: int) -> str:
        """A new upload that is `waiting` and has not requested room yet."""
        new = new_upload(size_bytes=size_bytes, segment_bytes=size_bytes, volume=self.volume.name, store="none")
        upload, _ = await self.redis.board.create(new)
        return upload.upload_id

    async def request(self, upload_id: str) -> None:
        """Request room for an upload, as its gateway does."""
        await self.admission.request(await self.redis.board.get(upload_id))


class Untouched:
    """Stands in for a store and a database that must not be called: no stage has run for the upload."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"{name} was asked for")


class Hanging:
    """Stands in for a store or a database that accepts calls and never returns."""

    def __init__(self) -> None:
        self.asked = 0

    def __getattr__(self, name: str) -> Callable[..., Awaitable[NoReturn]]:
        async def ask(*_: object) -> NoReturn:
            self.asked += 1
            await asyncio.Event().wait()
            raise AssertionError

        return ask


@asynccontextmanager
async def open_cell(
    redis_url: str,
    namespace: str,
    directory: Path,
    lease_seconds: float = 60.0,
    budget_bytes: int = BUDGET_BYTES,
    elsewhere: Untouched | Hanging | None = None,
    headroom_bytes: int = 0,
    share: float = 0.25,
) -> AsyncIterator[Cell]:
    """`elsewhere` stands in for both store and database."""
    settings = Settings(
        redis_url=SecretStr(redis_url),
        redis_namespace=namespace,
        temp_dir=directory,
        temp_budget_bytes=budget_bytes,
        temp_headroom_bytes=headroom_bytes,
        temp_share=share,
        lease_seconds=lease_seconds,
        max_passes=4,
    )
    async with cell_of(settings, elsewhere) as cell:
        yield cell


@asynccontextmanager
async def cell_of(settings: Settings, elsewhere: Untouched | Hanging | None = None) -> AsyncIterator[Cell]:
    """The same with these settings."""
    outside: Any = elsewhere or Untouched()
    async with redis_parts(settings) as redis:
        parts = volume_parts(settings, redis)
        state = parts.cell
        cleanup = Cleanup(state, redis.ended, outside, outside, parts.recovery)
        expiry = Expiry(state, parts.admission, parts.recovery, parts.expiry)
        orphans = OrphanedFiles(state, redis.stages, parts.release)
        cleanups = CleanupQueue(state, redis.ended, cleanup, batch_seconds=60)  # a test waits for all of them
        upkeep = VolumeUpkeep(state, parts.recovery, parts.admission, expiry, orphans)
        try:
            yield Cell(redis, state, state.volume, parts.admission, upkeep, cleanups)
        finally:
            await cleanups.stop()
