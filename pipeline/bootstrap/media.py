"""The media reader of a worker process, made from the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from pipeline.adapters.media.reader import ReaderRules, SandboxedReader
from pipeline.core.stages import WorkerType
from pipeline.settings import Settings

READING = frozenset({WorkerType.PROBE, WorkerType.THUMBNAIL})
"""The worker types that read files."""


@asynccontextmanager
async def media_reader(settings: Settings, kinds: Collection[WorkerType] = READING) -> AsyncIterator[SandboxedReader]:
    """The reader of a process with workers of these types. If one of them reads files, it is started and has tested its
    sandbox; raises UnconfinedError where the settings demand a sandbox that does not work."""
    reader = SandboxedReader(
        ReaderRules(
            required=settings.media_confinement == "required",
            metadata_cpu_seconds=settings.media_metadata_cpu_seconds,
            frame_cpu_seconds=settings.media_frame_cpu_seconds,
            memory_bytes=settings.media_memory_bytes,
            concurrency=settings.media_concurrency,
        )
    )
    try:
        if READING & set(kinds):
            await reader.start()
        yield reader
    finally:
        await reader.aclose()
