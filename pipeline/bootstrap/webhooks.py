"""Builds the management of webhooks from the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipeline.adapters.postgres.pool import LazyPool
from pipeline.adapters.postgres.webhooks import PostgresWebhooks
from pipeline.adapters.webhook_signatures import StandardSigner
from pipeline.core.public_addresses import parse_networks
from pipeline.settings import Settings
from pipeline.webhooks.service import WebhookRules, Webhooks


def webhook_service(settings: Settings, pool: LazyPool) -> Webhooks:
    """Uses a pool that another object owns."""
    rules = WebhookRules(parse_networks(settings.webhook_networks), settings.webhook_limit)
    return Webhooks(PostgresWebhooks(pool), StandardSigner(), rules)


@asynccontextmanager
async def webhook_management(settings: Settings) -> AsyncIterator[Webhooks]:
    """The webhooks in the database, for commands."""
    pool = LazyPool(settings.database_url.get_secret_value(), 1, migrates=settings.database_migrate)
    try:
        yield webhook_service(settings, pool)
    finally:
        pool.terminate()
