"""The services that a worker process runs, made from the settings."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.bootstrap.media import READING, media_reader
from pipeline.bootstrap.redis import RedisParts, redis_address, redis_parts
from pipeline.bootstrap.stores import OpenStores, open_stores
from pipeline.bootstrap.volume import VolumeParts, volume_parts
from pipeline.core.retry import OutageBudget
from pipeline.core.stages import GRAPH, Stage, WorkerType
from pipeline.engine.contract import StageHandler
from pipeline.engine.engine import EngineRules, StageEngine
from pipeline.engine.limiter import SegmentLimiter
from pipeline.ports import ContentRepository, Stores
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.adapters.media.reader import SandboxedReader
    from pipeline.bootstrap.admission import AdmissionServices
    from pipeline.bootstrap.notify import NotifyServices


_WITH_DATABASE = frozenset({WorkerType.ADMISSION, WorkerType.PERSIST, WorkerType.NOTIFY})


@dataclass(frozen=True, slots=True)
class WorkerServices:
    """What the workers of a process run: `engine` the stages of their types. `media` is there if one of them reads
    files, `admission` if one of them is an admission worker, `notify` if one of them is a notify worker."""

    redis: RedisParts
    engine: StageEngine
    media: SandboxedReader | None
    admission: AdmissionServices | None
    notify: NotifyServices | None
    redis_url: str = field(repr=False)
    name: str
    volume: str


@dataclass(frozen=True, slots=True)
class _Handlers:
    """Makes the handlers of stages. Each kind is imported where it is made, so a process has those that it runs."""

    redis: RedisParts
    stores: Stores
    parts: VolumeParts
    limiter: SegmentLimiter

    def of_transfer(self) -> dict[Stage, StageHandler]:
        from pipeline.stages.seal import Seal
        from pipeline.stages.transfer import Transfer

        cell, stages, stores = self.parts.cell, self.redis.stages, self.stores
        transfer = Transfer(cell, stages, stores, self.limiter, self.redis.signals, self.parts.release)
        return {Stage.TRANSFER: transfer, Stage.SEAL: Seal(cell, stores)}

    def of_assemble(self) -> dict[Stage, StageHandler]:
        from pipeline.adapters.media.lanes import Deferred
        from pipeline.stages.assemble import Assemble
        from pipeline.stages.reading import FileReads

        redis = self.redis
        files = FileReads(self.parts.cell, redis.stages, self.stores, redis.signals, Deferred().counted)
        return {Stage.ASSEMBLE: Assemble(files, self.limiter)}

    def of_media(self, media: SandboxedReader) -> dict[Stage, StageHandler]:
        from pipeline.stages.probe import Probe
        from pipeline.stages.reading import FileReads
        from pipeline.stages.thumbnail import Thumbnail

        redis, stores = self.redis, self.stores
        files = FileReads(self.parts.cell, redis.stages, stores, redis.signals, media.deferred.counted)
        return {
            Stage.PROBE: Probe(files, media, stores),
            Stage.THUMBNAIL: Thumbnail(files, redis.stages, media, stores),
        }

    def of_persist(self, contents: ContentRepository) -> dict[Stage, StageHandler]:
        from pipeline.stages.persist import Persist

        return {Stage.PERSIST: Persist(self.redis.stages, contents, self.stores, self.parts.cell.segments)}


@asynccontextmanager
async def worker_services(settings: Settings, kinds: Collection[WorkerType]) -> AsyncIterator[WorkerServices]:
    """Everything a process with workers of these types needs, open while the block runs. Raises UnconfinedError if one
    of them reads files and the sandbox does not work."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_parts(settings))
        needs_stores = set(kinds) != {WorkerType.NOTIFY}
        stores = await stack.enter_async_context(open_stores(settings)) if needs_stores else OpenStores({})
        parts = volume_parts(settings, redis)
        makers = _Handlers(redis, stores, parts, SegmentLimiter(settings.store_concurrency))
        handlers: dict[Stage, StageHandler] = {}
        media = admission = notify = None
        if WorkerType.TRANSFER in kinds:
            handlers |= makers.of_transfer()
        if WorkerType.ASSEMBLE in kinds:
            handlers |= makers.of_assemble()
        if READING & set(kinds):
            media = await stack.enter_async_context(media_reader(settings))
            handlers |= makers.of_media(media)
        if _WITH_DATABASE & set(kinds):
            from pipeline.bootstrap.shared import content_repository

            contents = content_repository(settings)
            stack.push_async_callback(contents.close)
            if WorkerType.PERSIST in kinds:
                handlers |= makers.of_persist(contents)
            if WorkerType.ADMISSION in kinds:
                from pipeline.bootstrap.admission import admission_services

                admission = await admission_services(stack, settings, redis, stores, contents, parts)
            if WorkerType.NOTIFY in kinds:
                from pipeline.bootstrap.notify import notify_services

                notify = await notify_services(stack, settings, redis, contents.pool)
        budget = OutageBudget(
            settings.store_patience_seconds,
            settings.database_patience_seconds,
            settings.disk_patience_seconds,
            settings.crash_patience_seconds,
        )
        rules = EngineRules(name, budget, frozenset(stage for stage, spec in GRAPH.items() if spec.worker in kinds))
        yield WorkerServices(
            redis=redis,
            engine=StageEngine(redis.stages, parts.cell.queue, handlers, parts.recovery, rules),
            media=media,
            admission=admission,
            notify=notify,
            redis_url=redis_address(settings),
            name=name,
            volume=settings.volume,
        )
