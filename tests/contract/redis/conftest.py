"""The Redis adapters, with a key namespace of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from pydantic import SecretStr

from pipeline.bootstrap import RedisParts, redis_parts
from pipeline.settings import Settings
from tests.contract.redis.uploads import Play


@pytest.fixture
async def parts(redis_url: str, redis_namespace: str) -> AsyncIterator[RedisParts]:
    settings = Settings(redis_url=SecretStr(redis_url), redis_namespace=redis_namespace)
    async with redis_parts(settings) as opened:
        yield opened


@pytest.fixture
def plain_logs() -> Iterator[None]:
    """The default renderer takes seconds for a traceback. For tests that log many."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])
    yield
    structlog.reset_defaults()


@pytest.fixture
def play(parts: RedisParts) -> Play:
    return Play(parts)
