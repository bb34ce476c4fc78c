"""The services that a worker process runs, made from the settings."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from pipeline.adapters.media.reader import SandboxedReader
from pipeline.adapters.postgres.deletions import PostgresDeletionRepository
from pipeline.bootstrap.media import media_reader
from pipeline.bootstrap.redis import RedisParts, redis_address, redis_parts
from pipeline.bootstrap.shared import cache_purge, content_repository
from pipeline.bootstrap.stores import open_stores
from pipeline.bootstrap.volume import volume_parts
from pipeline.contents.deletion import Deletions
from pipeline.core.retry import OutageBudget
from pipeline.core.stages import Stage, WorkerType
from pipeline.engine.contract import StageHandler
from pipeline.engine.engine import EngineRules, StageEngine
from pipeline.engine.limiter import SegmentLimiter
from pipeline.engine.takeover import TakeOver
from pipeline.ports import ContentRepository, Stores
from pipeline.settings import Settings
from pipeline.stages.assemble import Assemble
from pipeline.stages.persist import Persist
from pipeline.stages.probe import Probe
from pipeline.stages.reading import FileReads
from pipeline.stages.seal import Seal
from pipeline.stages.thumbnail import Thumbnail
from pipeline.stages.transfer import Transfer
from pipeline.upkeep.cleanup import Cleanup, CleanupQueue
from pipeline.upkeep.expiry import Expiry
from pipeline.upkeep.orphaned_files import OrphanedFiles
from pipeline.upkeep.orphaned_objects import OrphanedObjects, OrphanRules
from pipeline.upkeep.volume import VolumeUpkeep
from pipeline.uploads.cell import CellState
from pipeline.uploads.release import EarlyRelease


@dataclass(frozen=True, slots=True)
class WorkerServices:
    """What the workers run: `engine` runs stages, two of which read files with `media`; an admission worker runs all
    the others."""

    redis: RedisParts
    engine: StageEngine
    media: SandboxedReader
    takeover: TakeOver
    upkeep: VolumeUpkeep
    cleanups: CleanupQueue
    release: EarlyRelease
    deletions: Deletions
    orphaned_objects: OrphanedObjects
    redis_url: str = field(repr=False)
    name: str
    volume: str


def stage_handlers(
    settings: Settings,
    redis: RedisParts,
    cell: CellState,
    stores: Stores,
    contents: ContentRepository,
    media: SandboxedReader,
    release: EarlyRelease,
) -> dict[Stage, StageHandler]:
    """A handler for every stage."""
    limiter = SegmentLimiter(settings.store_concurrency)
    files = FileReads(cell, redis.stages, stores, redis.signals, media.deferred.counted)
    return {
        Stage.TRANSFER: Transfer(cell, redis.stages, stores, limiter, redis.signals, release),
        Stage.SEAL: Seal(cell, stores),
        Stage.ASSEMBLE: Assemble(files, limiter),
        Stage.PROBE: Probe(files, media, stores),
        Stage.THUMBNAIL: Thumbnail(files, redis.stages, media, stores),
        Stage.PERSIST: Persist(redis.stages, contents, stores),
    }


@asynccontextmanager
async def worker_services(settings: Settings, kinds: Collection[WorkerType] = ()) -> AsyncIterator[WorkerServices]:
    """Everything a process with workers of these types needs, open while the block runs. Raises UnconfinedError if one
    of them reads files and the sandbox does not work."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_parts(settings))
        stores = await stack.enter_async_context(open_stores(settings))
        parts = volume_parts(settings, redis)
        cell = parts.cell
        contents = content_repository(settings)
        stack.push_async_callback(contents.close)
        budget = OutageBudget(
            settings.store_patience_seconds,
            settings.database_patience_seconds,
            settings.disk_patience_seconds,
            settings.crash_patience_seconds,
        )
        media = await stack.enter_async_context(media_reader(settings, kinds))
        handlers = stage_handlers(settings, redis, cell, stores, contents, media, parts.release)
        cleanup = Cleanup(cell, redis.ended, stores, contents, parts.recovery)
        expiry = Expiry(cell, parts.admission, parts.recovery, parts.expiry)
        purge = await cache_purge(stack, settings)
        yield WorkerServices(
            redis=redis,
            engine=StageEngine(
                redis.stages, cell.uploads, cell.queue, handlers, parts.recovery, EngineRules(name, budget)
            ),
            media=media,
            takeover=TakeOver(redis.stages, cell.queue),
            upkeep=VolumeUpkeep(
                cell, parts.recovery, parts.admission, expiry, OrphanedFiles(cell, redis.stages, parts.release)
            ),
            release=parts.release,
            cleanups=CleanupQueue(cell, redis.ended, cleanup),
            deletions=Deletions(PostgresDeletionRepository(contents.pool), stores, purge),
            orphaned_objects=OrphanedObjects(cell.uploads, stores, cleanup, OrphanRules()),
            redis_url=redis_address(settings),
            name=name,
            volume=settings.volume,
        )
