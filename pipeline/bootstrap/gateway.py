"""The services that a gateway calls, made from the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pipeline.access.authenticator import Authenticator
from pipeline.adapters.plain_http import HttpPlainClient
from pipeline.adapters.postgres.deletions import PostgresDeletionRepository
from pipeline.adapters.postgres.health import DatabaseHealth
from pipeline.adapters.sns import SnsMessages, SnsRules
from pipeline.bootstrap.access import authenticator, receipt_signer
from pipeline.bootstrap.redis import RedisParts, redis_parts
from pipeline.bootstrap.shared import cache_purge, content_repository
from pipeline.bootstrap.stores import open_stores
from pipeline.bootstrap.volume import VolumeParts, volume_parts
from pipeline.bootstrap.webhooks import webhook_service
from pipeline.contents.deletion import Deletions
from pipeline.contents.downloads import DownloadRules, Downloads
from pipeline.contents.early_thumbnails import EarlyThumbnails
from pipeline.contents.known_stores import ExaminedStores, KnowledgeRules
from pipeline.contents.receipts import Receipts
from pipeline.core.errors import SluiceError
from pipeline.core.windows import BLOCK_BYTES
from pipeline.ports import (
    CellOverview,
    ContentRepository,
    DeletionRepository,
    EventFeed,
    SignedMessages,
    VolumeSnapshot,
)
from pipeline.settings import Settings
from pipeline.uploads.append import Appender
from pipeline.uploads.cell_rooms import CellRooms
from pipeline.uploads.concatenation import Concatenation
from pipeline.uploads.create import CreationRules, UploadCreation
from pipeline.uploads.direct import DirectUploads
from pipeline.uploads.imports import Importer, ImportRules
from pipeline.uploads.incoming_bytes import ReceiveRules
from pipeline.uploads.lookup import UploadLookup
from pipeline.uploads.other_cells import OtherCells
from pipeline.uploads.ownership import Ownership
from pipeline.uploads.placement import Placement
from pipeline.uploads.receive import Receiver
from pipeline.uploads.receive_buffer import ReceiveBuffer
from pipeline.uploads.room import SegmentRoom
from pipeline.uploads.stage_retries import StageRetrying
from pipeline.uploads.traces import UploadTraces
from pipeline.webhooks.service import Webhooks

_NAMED_WORKERS = 5


@dataclass(frozen=True)
class GatewayServices:
    """What the gateway calls."""

    authenticator: Authenticator
    ownership: Ownership
    traces: UploadTraces
    creation: UploadCreation
    lookup: UploadLookup
    importer: Importer
    signed_messages: SignedMessages
    direct: DirectUploads
    receiver: Receiver
    receive_buffer: ReceiveBuffer
    appender: Appender
    concatenation: Concatenation
    contents: ContentRepository
    downloads: Downloads
    receipts: Receipts
    early_thumbnails: EarlyThumbnails
    deletions: Deletions
    deletion_list: DeletionRepository
    feed: EventFeed
    overview: CellOverview
    other_cells: OtherCells
    stage_retries: StageRetrying
    webhooks: Webhooks
    placement: Placement
    volume: str
    _redis: RedisParts
    _parts: VolumeParts
    _known: ExaminedStores
    _headroom_bytes: int
    _database: DatabaseHealth

    async def problems(self) -> Mapping[str, str]:
        """Readiness: dependency -> problem. Empty: ready. PostgreSQL is not among them: uploads continue without it."""
        found: dict[str, str] = {}
        try:
            if not await self._parts.recovery.open():
                found["redis"] = "Redis has lost uploads that are on the temp volume: run `sluice recover`."
            await self._redis.health.check()
        except SluiceError as error:
            found["redis"] = error.message
        try:
            await self._parts.cell.volume.check()
        except SluiceError as error:
            if error.code != "TEMP_VOLUME_FULL":  # then uploads wait for room, and their clients must be able to ask
                found["temp_volume"] = error.message
        return found

    async def warnings(self) -> Mapping[str, str]:
        """What an operator should check although requests are served: dependency -> problem."""
        found: dict[str, str] = {}
        if problems := self._known.problems():
            found["store"] = f"{'; '.join(problems)}. Run `sluice doctor` for details."
        if problem := self._redis.signals.problem:
            found["redis"] = f"Changes are found by polling, which is slower: {problem}"
        if database := await self._database.problem():
            found["database"] = (
                f"{database}. Uploads wait at `persist`, and requests for contents receive DATABASE_UNAVAILABLE. Run "
                "`sluice doctor` for details."
            )
        try:
            if unconfined := await self._redis.workers.unconfined(self.volume):
                found["media_reader"] = (
                    "A hostile file may do harm where these workers run, because their sandbox is incomplete: "
                    f"{', '.join(unconfined[:_NAMED_WORKERS])}. Run `sluice doctor` there for details."
                )
            volume = await self._redis.ledger.snapshot()
            free_bytes = await self._parts.cell.volume.free_bytes()
        except SluiceError:  # reported by `problems`
            return found
        usable_bytes = free_bytes - self._headroom_bytes + volume.backed_bytes
        if free_bytes < max(self._headroom_bytes, BLOCK_BYTES):
            found["temp_volume"] = (
                f"The disk is full: {free_bytes} bytes are free, less than SLUICE_TEMP_HEADROOM_BYTES. No upload is "
                "admitted until there is room; uploads that hold bytes continue. It has "
                f"{max(0, usable_bytes)} of the {volume.budget_bytes} bytes of SLUICE_TEMP_BUDGET_BYTES. Run `sluice "
                "doctor` for details."
            )
        elif usable_bytes < volume.budget_bytes:
            found["temp_volume"] = (
                f"The disk has {max(0, usable_bytes)} of the {volume.budget_bytes} bytes of SLUICE_TEMP_BUDGET_BYTES: "
                "uploads that need the rest wait for it. Run `sluice doctor` for details."
            )
        return found

    async def room(self) -> VolumeSnapshot | None:
        """The counters of the temp volume; None while Redis is unavailable."""
        return await _room(self._redis)

    async def collect(self) -> None:
        """Refresh the gauges that are read from Redis."""
        await self._redis.gauges.collect()


@asynccontextmanager
async def gateway_services(settings: Settings) -> AsyncIterator[GatewayServices]:
    """Everything a gateway needs, open while the block runs."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_parts(settings))
        stores = await stack.enter_async_context(open_stores(settings))
        parts = volume_parts(settings, redis)
        cell = parts.cell
        contents = content_repository(settings)
        stack.push_async_callback(contents.close)
        health = DatabaseHealth(contents.pool)
        stack.push_async_callback(health.aclose)
        deletion_list = PostgresDeletionRepository(contents.pool)
        purge = await cache_purge(stack, settings)
        rules = CreationRules(
            store=settings.store,
            volume=settings.volume,
            cell=settings.cell,
            segment_bytes=settings.segment_bytes,
            deferred_bytes=settings.deferred_bytes,
        )
        receive = ReceiveRules(settings.segment_stall_seconds, settings.segment_deadline_seconds)
        room = SegmentRoom(cell, redis.signals, parts.release, settings.segment_deadline_seconds)
        buffer = ReceiveBuffer(settings.receive_buffer_bytes)
        lookup = UploadLookup(cell.uploads, cell.journals, parts.expiry)
        creation = UploadCreation(cell, lookup, parts.admission, stores, rules)
        ownership = Ownership(cell.uploads, cell.journals)
        client = await stack.enter_async_context(HttpPlainClient(settings.store_ca_file))
        knowledge = KnowledgeRules(settings.store, trusted=settings.store_grants == "trusted")
        known = await stack.enter_async_context(ExaminedStores(stores, client, knowledge))
        sources = ImportRules(
            store=settings.store,
            buckets=settings.import_buckets,
            owner=settings.import_owner,
            volume=settings.volume,
            cell=settings.cell,
            segment_bytes=settings.segment_bytes,
        )
        messages = SnsMessages(client, SnsRules(frozenset(settings.sns_topics), frozenset(settings.sns_hosts)))
        stack.push_async_callback(messages.aclose)
        authentication, ring = authenticator(settings, contents.pool, client)
        stack.push_async_callback(ring.aclose)
        downloads = Downloads(contents, stores, known, _download_rules(settings))
        rooms = CellRooms(settings.cell, dict(settings.cells), client, lambda: _room(redis))
        await stack.enter_async_context(rooms)
        yield GatewayServices(
            authenticator=authentication,
            ownership=ownership,
            traces=UploadTraces(cell.uploads),
            creation=creation,
            lookup=lookup,
            importer=Importer(creation, stores, contents, sources),
            signed_messages=messages,
            direct=DirectUploads(cell, creation, lookup, stores, known, settings.upload_grant_seconds),
            receiver=Receiver(cell, buffer, receive, room),
            receive_buffer=buffer,
            appender=Appender(cell, room, buffer, receive, redis.appends, redis.signals, settings.append_hold_seconds),
            concatenation=Concatenation(
                cell, creation, ownership, stores, rules, redis.signals, settings.append_hold_seconds
            ),
            contents=contents,
            downloads=downloads,
            receipts=Receipts(downloads, receipt_signer(settings), settings.receipt_issuer),
            early_thumbnails=EarlyThumbnails(redis.stages, contents),
            deletions=Deletions(deletion_list, stores, purge),
            deletion_list=deletion_list,
            feed=redis.signals,
            overview=redis.overview,
            other_cells=OtherCells(settings.cell, settings.cells, client),
            webhooks=webhook_service(settings, contents.pool),
            placement=Placement(rooms, redis.claims),
            volume=settings.volume,
            stage_retries=StageRetrying(redis.stages, cell.queue, cell.journals),
            _redis=redis,
            _parts=parts,
            _known=known,
            _headroom_bytes=settings.temp_headroom_bytes,
            _database=health,
        )


async def _room(redis: RedisParts) -> VolumeSnapshot | None:
    try:
        return await redis.ledger.snapshot()
    except SluiceError:
        return None


def _download_rules(settings: Settings) -> DownloadRules:
    # `content-md5` says that the ETags of this S3 store are no MD5 digests.
    md5_stores = {"swift", "filesystem"} | ({"s3"} if settings.s3_verify == "etag" else set())
    return DownloadRules(settings.download_grant_seconds, settings.store_stall_seconds, frozenset(md5_stores))
