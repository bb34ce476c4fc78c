"""What a notify worker runs, made from the settings."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from pipeline.adapters.postgres.pool import LazyPool
from pipeline.adapters.postgres.webhooks import PostgresOutbox
from pipeline.adapters.webhook_sender import WebhookHttpSender
from pipeline.adapters.webhook_signatures import StandardSigner
from pipeline.bootstrap.redis import RedisParts
from pipeline.core.public_addresses import parse_networks
from pipeline.core.webhooks import RetryRules
from pipeline.settings import Settings
from pipeline.webhooks.delivery import Deliveries, DeliveryRules
from pipeline.webhooks.news import NewsCopy


@dataclass(frozen=True, slots=True)
class NotifyServices:
    """What the loops of a notify worker call."""

    news: NewsCopy
    deliveries: Deliveries


async def notify_services(
    stack: AsyncExitStack, settings: Settings, redis: RedisParts, pool: LazyPool
) -> NotifyServices:
    """What it opens is closed with `stack`."""
    sender = await stack.enter_async_context(
        WebhookHttpSender(
            parse_networks(settings.webhook_networks), settings.webhook_timeout_seconds, settings.webhook_ca_file
        )
    )
    outbox = PostgresOutbox(pool)
    rules = DeliveryRules(
        RetryRules(settings.webhook_retry_seconds, settings.webhook_pause_seconds),
        concurrency=settings.webhook_concurrency,
        timeout_seconds=settings.webhook_timeout_seconds,
        kept_seconds=settings.webhook_kept_seconds,
    )
    return NotifyServices(
        news=NewsCopy(redis.news, outbox, settings.volume),
        deliveries=Deliveries(outbox, sender, StandardSigner(), rules),
    )
