"""Adapters that gateways and workers make alike from the settings."""

from __future__ import annotations

from contextlib import AsyncExitStack

from pipeline.adapters.cache_purge import HttpCachePurge
from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.ports import CachePurge
from pipeline.settings import Settings


def content_repository(settings: Settings) -> PostgresContentRepository:
    """Connects on first use."""
    url = settings.database_url.get_secret_value()
    return PostgresContentRepository(url, settings.database_pool, migrates=settings.database_migrate)


async def cache_purge(stack: AsyncExitStack, settings: Settings) -> CachePurge | None:
    """The cache in front of the store that deletions purge, if one is configured."""
    url, token = settings.cdn_purge_url.get_secret_value(), settings.cdn_purge_token.get_secret_value()
    if not url:
        return None
    return await stack.enter_async_context(
        HttpCachePurge(url, settings.cdn_purge_method, token, ca_file=settings.store_ca_file)
    )
