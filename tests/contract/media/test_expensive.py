"""Files that cost a lot to read do not delay others (the reader's two lanes).

An interlaced PNG of 256 million pixels is one of them, and has a thumbnail.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from pipeline.adapters.media.reader import ReaderRules, SandboxedReader
from pipeline.core.errors import MediaError
from pipeline.ports.media import Frame, Reading
from schemas.media import MediaMetadata
from tests.harness.byte_sources import MemorySource
from tests.harness.media_expensive import EXPENSIVE
from tests.harness.media_samples import sample
from tests.harness.media_thumbnails import UPRIGHT, decoded

pytestmark = pytest.mark.contract

_OF_EACH = 2
_HONEST_SECONDS = 5.0


async def _read(reader: SandboxedReader, content: bytes) -> tuple[MediaMetadata, Frame]:
    source = MemorySource(content)
    reading: Reading = await reader.read(source)
    return reading.metadata, reading.frame or await reader.thumbnail(source, reading.metadata)


@pytest.mark.timeout(600)
async def test_an_honest_file_is_read_at_once_beside_expensive_ones() -> None:
    contents = [make() for make in EXPENSIVE.values()] * _OF_EACH
    honest = sample("jpeg").read_bytes()
    async with SandboxedReader(ReaderRules(required=False)) as reader:
        await _read(reader, honest)  # the host has started
        expensive = [asyncio.create_task(_read(reader, content)) for content in contents]
        took: list[float] = []
        while not all(task.done() for task in expensive) and len(took) < 20:
            begin = time.monotonic()
            _, frame = await _read(reader, honest)
            took.append(time.monotonic() - begin)
            assert frame.jpeg
        results = await asyncio.gather(*expensive, return_exceptions=True)
    assert max(took) < _HONEST_SECONDS, took
    assert all(isinstance(result, tuple | MediaError) for result in results), results
    pictures = results[list(EXPENSIVE).index("png_of_16000") :: len(EXPENSIVE)]
    for result in pictures:
        assert isinstance(result, tuple), result
        metadata, frame = result
        assert metadata.picture is not None
        assert (metadata.picture.width, metadata.picture.height) == (16_000, 16_000)
        assert frame.jpeg
        found = decoded(frame.jpeg)
        assert found.size == (640, 640)
        assert found.shows(UPRIGHT)
