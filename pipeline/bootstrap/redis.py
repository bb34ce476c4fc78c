"""Builds the Redis adapters from the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.adapters.arq.queue import ArqStageQueue, envelope_key
from pipeline.adapters.redis import Redis  # first: it decides what redis-py imports
from pipeline.adapters.redis.address import client_url
from pipeline.adapters.redis.append_board import RedisAppendBoard
from pipeline.adapters.redis.connecting import open_pool
from pipeline.adapters.redis.draining import RedisDraining
from pipeline.adapters.redis.ended_list import RedisEndedList
from pipeline.adapters.redis.gauges import RedisGauges
from pipeline.adapters.redis.health import RedisHealth
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.ledger import LedgerRules, RedisReservationLedger
from pipeline.adapters.redis.news import RedisNews
from pipeline.adapters.redis.owner_counts import RedisOwnerCounts
from pipeline.adapters.redis.placements import RedisPlacementClaims
from pipeline.adapters.redis.samples import RedisSamples
from pipeline.adapters.redis.scripts import Scripts
from pipeline.adapters.redis.segment_board import RedisSegmentBoard
from pipeline.adapters.redis.signals import RedisSignals
from pipeline.adapters.redis.stage_board import RedisStageBoard
from pipeline.adapters.redis.upload_board import RedisUploadBoard
from pipeline.adapters.redis.worker_records import RedisWorkerRecords
from pipeline.core.admission import OwnerShare
from pipeline.core.creation_limits import CreationLimits, CreationRate, OwnerLimits
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.adapters.redis.overview import RedisOverview

# A Redis that has not responded for this long counts as unavailable; clients receive a 503 before they give up.
_RESPONSE_SECONDS = 5.0
# A queued stage that has not started for this long is enqueued again, which is harmless if its job still exists.
_REQUEUE_MS = 10_000
# The one that listens, and one that is being closed.
_LISTENER_CONNECTIONS = 2


@dataclass(frozen=True, slots=True)
class RedisParts:
    """The adapters of one Redis."""

    client: Redis
    keys: Keys
    board: RedisUploadBoard
    owners: RedisOwnerCounts
    segments: RedisSegmentBoard
    appends: RedisAppendBoard
    stages: RedisStageBoard
    ended: RedisEndedList
    ledger: RedisReservationLedger
    draining: RedisDraining
    claims: RedisPlacementClaims
    queue: ArqStageQueue
    signals: RedisSignals
    gauges: RedisGauges
    workers: RedisWorkerRecords
    health: RedisHealth
    samples: RedisSamples
    news: RedisNews
    scripts: Scripts

    @property
    def overview(self) -> RedisOverview:
        """What operators see. Only gateways show it, so only they import its models."""
        from pipeline.adapters.redis.overview import RedisOverview

        return RedisOverview(self.client, self.scripts, self.keys)


def redis_health(client: Redis, scripts: Scripts, keys: Keys) -> RedisHealth:
    """Checks the server, and the user's rights to our keys and to those of arq's jobs."""
    return RedisHealth(client, scripts, [keys.probe, envelope_key(keys.probe)])


def creation_limits(settings: Settings) -> CreationLimits:
    """What may be created. Without authentication everybody is one owner, to whom no limits of owners apply."""
    if settings.auth == "none":
        return CreationLimits(settings.queue_uploads)
    per_second = settings.owner_creations_per_second
    own = OwnerLimits(
        waiting=settings.owner_waiting,
        in_flight=settings.owner_uploads,
        bytes=settings.owner_bytes,
        bytes_per_day=settings.owner_bytes_per_day or None,
        creations=CreationRate(per_second, max(1, round(4 * per_second))),
    )
    return CreationLimits(settings.queue_uploads, own)


def redis_address(settings: Settings) -> str:
    """The URL of Redis for `open_pool`: a secret."""
    return client_url(
        settings.redis_url.get_secret_value(),
        ca_file=settings.redis_ca_file,
        certificate_file=settings.redis_certificate_file,
        key_file=settings.redis_key_file,
    )


def _owner_share(settings: Settings) -> OwnerShare:
    """Without authentication everybody is one owner, who may hold everything."""
    if settings.auth == "none":
        return OwnerShare()
    return OwnerShare(int(settings.temp_budget_bytes * settings.owner_share), settings.owner_uploads)


@asynccontextmanager
async def redis_parts(settings: Settings) -> AsyncIterator[RedisParts]:
    """Connect lazily, because Redis may be unavailable, and listen to signals while the block runs."""
    url = redis_address(settings)
    keys = Keys(settings.redis_namespace)
    client: Redis = Redis(
        connection_pool=open_pool(
            url,
            max_connections=settings.redis_connections,
            after_switch=("INCR", keys.switches),
            decode_responses=True,
            socket_timeout=_RESPONSE_SECONDS,
            socket_connect_timeout=_RESPONSE_SECONDS,
            health_check_interval=15,
        )
    )
    listener: Redis = Redis(
        connection_pool=open_pool(
            url,
            max_connections=_LISTENER_CONNECTIONS,
            decode_responses=True,
            socket_timeout=_RESPONSE_SECONDS,
            socket_connect_timeout=_RESPONSE_SECONDS,
        )
    )
    scripts = Scripts(client, keys.prefix)
    rules = LedgerRules(
        settings.temp_budget_bytes,
        settings.lease_seconds,
        settings.max_passes,
        settings.lookahead,
        share=_owner_share(settings),
        first_seconds=settings.first_segment_seconds,
        deadline_seconds=settings.upload_deadline_seconds,
    )
    retention_ms = int(settings.retention_seconds * 1000)
    signals = RedisSignals(listener, keys)
    async with AsyncExitStack() as stack:
        for connection in (client, listener):
            stack.push_async_callback(connection.aclose, close_connection_pool=True)
        await stack.enter_async_context(signals.listening())
        yield RedisParts(
            client=client,
            keys=keys,
            board=RedisUploadBoard(
                client,
                scripts,
                keys,
                retention_ms,
                _REQUEUE_MS,
                empty_ms=int(settings.retention_empty_seconds * 1000),
                limits=creation_limits(settings),
                deadline_ms=rules.deadline_ms,
            ),
            owners=RedisOwnerCounts(client, scripts, keys),
            segments=RedisSegmentBoard(
                client, scripts, keys, _REQUEUE_MS, lease_ms=rules.lease_ms, limits=creation_limits(settings)
            ),
            appends=RedisAppendBoard(client, scripts, keys, _REQUEUE_MS, limits=creation_limits(settings)),
            stages=RedisStageBoard(client, scripts, keys, int(settings.stage_lease_seconds * 1000), _REQUEUE_MS),
            ended=RedisEndedList(client, scripts, keys),
            ledger=RedisReservationLedger(client, scripts, keys, settings.volume, rules),
            draining=RedisDraining(client, scripts, keys),
            claims=RedisPlacementClaims(client, scripts, keys, retention_ms),
            queue=ArqStageQueue(client, keys),
            signals=signals,
            gauges=RedisGauges(client, keys),
            workers=RedisWorkerRecords(client, keys),
            health=redis_health(client, scripts, keys),
            samples=RedisSamples(scripts),
            news=RedisNews(client, keys, settings.volume),
            scripts=scripts,
        )
