"""The one place that turns settings into adapters, and adapters into what the gateway and the workers use.

Guarantee: whatever is opened here is closed in reverse order when the block ends; nothing is opened twice per process
(one Redis pool, one PostgreSQL pool, one store client with one token).
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pipeline.adapters.cache_purge import HttpCachePurge
from pipeline.adapters.media.ffmpeg import FfmpegThumbnailer
from pipeline.adapters.media.ffprobe import FfprobeMediaProbe
from pipeline.adapters.media.sandbox import Sandbox
from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.adapters.postgres.deletions import PostgresDeletionRepository
from pipeline.bootstrap.redis import RedisParts, redis_parts
from pipeline.bootstrap.stores import open_stores
from pipeline.bootstrap.volume import VolumeParts, volume_parts
from pipeline.contents.deletion import Deletions
from pipeline.contents.downloads import DownloadRules, Downloads
from pipeline.core.errors import SluiceError
from pipeline.core.retry import OutageBudget
from pipeline.core.stages import Stage
from pipeline.engine.contract import StageHandler
from pipeline.engine.engine import StageEngine
from pipeline.engine.limiter import SegmentLimiter
from pipeline.ports import CachePurge, ContentRepository, DeletionRepository, EventFeed
from pipeline.settings import Settings
from pipeline.stages.assemble import Assemble
from pipeline.stages.fetch import Fetcher
from pipeline.stages.persist import Persist
from pipeline.stages.probe import Probe
from pipeline.stages.seal import Seal
from pipeline.stages.thumbnail import Thumbnail
from pipeline.stages.transfer import Transfer
from pipeline.upkeep.cleanup import Cleanup
from pipeline.upkeep.orphans import OrphanedObjects, OrphanRules
from pipeline.upkeep.reaper import Reaper
from pipeline.uploads.create import Intake, IntakeRules
from pipeline.uploads.direct import DirectUploads
from pipeline.uploads.imports import Importer, ImportRules
from pipeline.uploads.incoming_segment import ReceiveRules
from pipeline.uploads.recall import Recall
from pipeline.uploads.receive import Receiver
from pipeline.uploads.receive_buffer import ReceiveBuffer


def content_repository(settings: Settings) -> PostgresContentRepository:
    url = settings.database_url.get_secret_value()
    return PostgresContentRepository(url, settings.database_pool, migrates=settings.database_migrate)


def _direct_ms(settings: Settings) -> int:
    """No direct upload expires under a grant that is still valid."""
    return int(max(settings.direct_seconds, settings.upload_grant_seconds) * 1000)


async def _cache_purge(stack: AsyncExitStack, settings: Settings) -> CachePurge | None:
    """The cache that has to be told of deletions, if there is one."""
    if not settings.cdn_purge_url:
        return None
    token = settings.cdn_purge_token.get_secret_value()
    return await stack.enter_async_context(HttpCachePurge(settings.cdn_purge_url, settings.cdn_purge_method, token))


@dataclass(frozen=True)
class GatewayServices:
    """What the gateway calls."""

    intake: Intake
    importer: Importer
    direct: DirectUploads
    receiver: Receiver
    contents: ContentRepository
    downloads: Downloads
    leftovers: Deletions
    deletion_list: DeletionRepository
    feed: EventFeed
    _redis: RedisParts
    _parts: VolumeParts
    _headroom_bytes: int

    async def problems(self) -> Mapping[str, str]:
        """Readiness: dependency -> what is wrong. Empty: ready. PostgreSQL is not among them: uploads go on without
        it."""
        found: dict[str, str] = {}
        try:
            if not await self._parts.recovery.open():
                found["redis"] = "It has lost uploads that are on the temp volume: run `sluice recover`."
        except SluiceError as error:
            found["redis"] = error.message
        try:
            await self._parts.volume.check()
        except SluiceError as error:
            if error.code != "TEMP_VOLUME_FULL":  # then uploads wait, and whoever waits must be told so
                found["temp_volume"] = error.message
        return found

    async def warnings(self) -> Mapping[str, str]:
        """What an operator should look at though requests are served: dependency -> what is wrong."""
        found: dict[str, str] = {}
        try:
            volume = await self._redis.ledger.snapshot()
            usable_bytes = await self._parts.volume.free_bytes() - self._headroom_bytes + volume.backed_bytes
        except SluiceError:  # among the problems
            return found
        if usable_bytes < volume.budget_bytes:
            found["temp_volume"] = (
                f"The disk has {max(0, usable_bytes)} of the {volume.budget_bytes} bytes that SLUICE_TEMP_BUDGET_BYTES "
                "promises: uploads that need the rest wait for it. `sluice doctor` says more."
            )
        return found

    async def collect(self) -> None:
        """Refresh the gauges that are read from Redis."""
        await self._redis.gauges.collect()


@asynccontextmanager
async def gateway_services(settings: Settings) -> AsyncIterator[GatewayServices]:
    """Everything a gateway needs, open as long as the block lasts."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_parts(settings))
        stores = await stack.enter_async_context(open_stores(settings))
        parts = volume_parts(settings, redis)
        journals = parts.journals
        contents = content_repository(settings)
        stack.push_async_callback(contents.close)
        deletion_list = PostgresDeletionRepository(contents.pool)
        purge = await _cache_purge(stack, settings)
        rules = IntakeRules(
            store=settings.store,
            limits=stores.named(settings.store).limits,
            volume=settings.volume,
            budget_bytes=settings.temp_budget_bytes,
            segment_bytes=settings.segment_bytes,
            waiting_ms=int(settings.waiting_seconds * 1000),
            direct_ms=_direct_ms(settings),
        )
        receiver = Receiver(
            redis.board,
            redis.segments,
            redis.ledger,
            redis.queue,
            parts.volume,
            journals,
            ReceiveBuffer(settings.receive_buffer_bytes),
            ReceiveRules(settings.segment_stall_seconds, settings.segment_deadline_seconds),
        )
        intake = Intake(redis.board, redis.segments, redis.ledger, parts.admission, journals, rules)
        sources = ImportRules(
            store=settings.store,
            buckets=settings.import_buckets,
            volume=settings.volume,
            budget_bytes=settings.temp_budget_bytes,
            segment_bytes=settings.segment_bytes,
        )
        yield GatewayServices(
            intake=intake,
            importer=Importer(intake, stores, contents, sources),
            direct=DirectUploads(intake, redis.board, redis.segments, stores, journals, settings.upload_grant_seconds),
            receiver=receiver,
            contents=contents,
            downloads=Downloads(
                contents, stores, DownloadRules(settings.download_grant_seconds, settings.store_stall_seconds)
            ),
            leftovers=Deletions(deletion_list, stores, purge),
            deletion_list=deletion_list,
            feed=redis.signals,
            _redis=redis,
            _parts=parts,
            _headroom_bytes=settings.temp_headroom_bytes,
        )


@dataclass(frozen=True, slots=True)
class WorkerServices:
    """What the workers run: the engine for stages, the reaper for admission."""

    redis: RedisParts
    engine: StageEngine
    reaper: Reaper
    leftovers: Deletions
    strays: OrphanedObjects
    redis_url: str
    name: str
    volume: str


@asynccontextmanager
async def worker_services(settings: Settings) -> AsyncIterator[WorkerServices]:
    """Everything a worker process needs, open as long as the block lasts."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_parts(settings))
        stores = await stack.enter_async_context(open_stores(settings))
        parts = volume_parts(settings, redis)
        volume, journals, recovery = parts.volume, parts.journals, parts.recovery
        contents = content_repository(settings)
        stack.push_async_callback(contents.close)
        sandbox = Sandbox()
        probe = FfprobeMediaProbe(settings.ffprobe, settings.probe_timeout_seconds, sandbox)
        thumbnailer = FfmpegThumbnailer(settings.ffmpeg, settings.thumbnail_timeout_seconds, sandbox)
        limiter = SegmentLimiter(settings.store_concurrency)
        recall = Recall(redis.segments, redis.ledger, journals)
        handlers: dict[Stage, StageHandler] = {
            Stage.TRANSFER: Transfer(
                redis.segments, redis.stages, recall, stores, volume, limiter, redis.signals, journals
            ),
            Stage.SEAL: Seal(redis.segments, stores, journals),
            Stage.ASSEMBLE: Assemble(redis.segments, volume, Fetcher(redis.segments, volume, stores, limiter), recall),
            Stage.PROBE: Probe(volume, probe),
            Stage.THUMBNAIL: Thumbnail(redis.stages, volume, thumbnailer, stores),
            Stage.PERSIST: Persist(redis.stages, contents),
        }
        cleanup = Cleanup(redis.ended, redis.board, redis.ledger, volume, stores, contents, journals, recovery)
        yield WorkerServices(
            redis=redis,
            engine=StageEngine(
                redis.stages,
                redis.board,
                redis.queue,
                handlers,
                name,
                OutageBudget(
                    settings.store_patience_seconds,
                    settings.database_patience_seconds,
                    settings.disk_patience_seconds,
                ),
            ),
            reaper=Reaper(
                parts.admission,
                cleanup,
                recovery,
                redis.board,
                redis.stages,
                redis.queue,
                redis.ended,
                redis.ledger,
                volume,
                journals,
                int(settings.waiting_seconds * 1000),
                _direct_ms(settings),
            ),
            leftovers=Deletions(PostgresDeletionRepository(contents.pool), stores, await _cache_purge(stack, settings)),
            strays=OrphanedObjects(redis.board, stores, cleanup, OrphanRules()),
            redis_url=settings.redis_url.get_secret_value(),
            name=name,
            volume=settings.volume,
        )
