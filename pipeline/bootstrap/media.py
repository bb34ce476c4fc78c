"""The media reader of a worker process, made from the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pipeline.core.stages import WorkerType
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.adapters.media.reader import SandboxedReader

READING = frozenset({WorkerType.PROBE, WorkerType.THUMBNAIL})
"""The worker types that read files."""


@asynccontextmanager
async def media_reader(settings: Settings) -> AsyncIterator[SandboxedReader]:
    """A reader that is started and has tested its sandbox. Raises UnconfinedError where the settings demand a sandbox
    that does not work."""
    from pipeline.adapters.media.reader import ReaderRules, SandboxedReader

    rules = ReaderRules(
        required=settings.media_confinement == "required",
        metadata_cpu_seconds=settings.media_metadata_cpu_seconds,
        frame_cpu_seconds=settings.media_frame_cpu_seconds,
        memory_bytes=settings.media_memory_bytes,
        concurrency=settings.media_concurrency,
    )
    async with SandboxedReader(rules) as reader:
        yield reader
