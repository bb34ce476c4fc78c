"""A worker's media reader, and a stored object as it reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipeline.bootstrap import open_store
from pipeline.bootstrap.media import media_reader
from pipeline.ports import ByteSource, MediaReader
from pipeline.settings import Settings
from pipeline.uploads.bytes import ObjectBytes


@asynccontextmanager
async def worker_reader(settings: Settings) -> AsyncIterator[MediaReader]:
    """The reader of a worker with these settings."""
    async with media_reader(settings) as reader:
        yield reader


@asynccontextmanager
async def stored_source(settings: Settings, key: str, size_bytes: int) -> AsyncIterator[ByteSource]:
    """An object in the store, read by ranged requests."""
    async with open_store(settings) as store:
        yield ObjectBytes(store, key, size_bytes, segment_bytes=settings.segment_bytes)
