"""The services of a process with an admission worker, made from the settings."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.adapters.postgres.deletions import PostgresDeletionRepository
from pipeline.bootstrap.redis import RedisParts
from pipeline.bootstrap.shared import cache_purge
from pipeline.bootstrap.volume import VolumeParts
from pipeline.contents.deletion import Deletions
from pipeline.engine.takeover import TakeOver
from pipeline.ports import Stores
from pipeline.settings import Settings
from pipeline.upkeep.cleanup import Cleanup, CleanupQueue
from pipeline.upkeep.expiry import Expiry
from pipeline.upkeep.orphaned_files import OrphanedFiles
from pipeline.upkeep.orphaned_objects import OrphanedObjects, OrphanRules
from pipeline.upkeep.volume import VolumeUpkeep
from pipeline.uploads.release import EarlyRelease


@dataclass(frozen=True, slots=True)
class AdmissionServices:
    """What the loops of an admission worker call."""

    takeover: TakeOver
    upkeep: VolumeUpkeep
    cleanups: CleanupQueue
    release: EarlyRelease
    deletions: Deletions
    orphaned_objects: OrphanedObjects


async def admission_services(
    stack: AsyncExitStack,
    settings: Settings,
    redis: RedisParts,
    stores: Stores,
    contents: PostgresContentRepository,
    parts: VolumeParts,
) -> AdmissionServices:
    """What it opens is closed with `stack`."""
    cell = parts.cell
    cleanup = Cleanup(cell, redis.ended, stores, contents, parts.recovery)
    expiry = Expiry(cell, parts.admission, parts.recovery, parts.expiry)
    purge = await cache_purge(stack, settings)
    return AdmissionServices(
        takeover=TakeOver(redis.stages, cell.queue),
        upkeep=VolumeUpkeep(
            cell, parts.recovery, parts.admission, expiry, OrphanedFiles(cell, redis.stages, parts.release)
        ),
        cleanups=CleanupQueue(cell, redis.ended, cleanup),
        release=parts.release,
        deletions=Deletions(PostgresDeletionRepository(contents.pool), stores, purge),
        orphaned_objects=OrphanedObjects(
            cell.uploads, stores, cleanup, OrphanRules(own=settings.cell, cells=frozenset(dict(settings.cells)))
        ),
    )
