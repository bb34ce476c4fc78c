"""Files that cost a lot to read do not delay others (the reader's two lanes).

An interlaced PNG of 256 million pixels is one of them, and has a thumbnail.
"""

from __future__ import annotations

import asyncio

import pytest

from pipeline.adapters.media import reader as reader_module
from pipeline.adapters.media.reader import ReaderRules, SandboxedReader
from pipeline.core.errors import MediaError
from pipeline.ports.media import Frame, Reading
from pipeline.telemetry import REGISTRY
from schemas.media import MediaMetadata
from tests.harness.byte_sources import MemorySource
from tests.harness.media_expensive import EXPENSIVE
from tests.harness.media_samples import sample
from tests.harness.media_thumbnails import UPRIGHT, decoded

pytestmark = pytest.mark.contract

_OF_EACH = 2
_CHEAP_CPU_SECONDS = 5.0


async def _read(reader: SandboxedReader, content: bytes) -> tuple[MediaMetadata, Frame]:
    source = MemorySource(content)
    reading: Reading = await reader.read(source)
    return reading.metadata, reading.frame or await reader.thumbnail(source, reading.metadata)


def _cheap_cpu_seconds() -> float:
    """What the children in the cheap lane have used."""
    return REGISTRY.get_sample_value("sluice_reader_cpu_seconds_total", {"lane": "cheap"}) or 0.0


@pytest.mark.timeout(600)
async def test_an_honest_file_is_read_beside_expensive_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take little time of the lane in which it waits, however long that is on a busy machine."""
    monkeypatch.setattr(reader_module, "_LANE_SECONDS", 500)
    monkeypatch.setattr(reader_module, "_CHEAP_WALL_SECONDS", 500)
    monkeypatch.setattr(reader_module, "_WALL_PER_CPU_SECOND", 500)
    contents = [make() for make in EXPENSIVE.values()] * _OF_EACH
    honest = sample("jpeg").read_bytes()
    async with SandboxedReader(ReaderRules(required=False)) as reader:
        await _read(reader, honest)  # the host has started
        before = _cheap_cpu_seconds()
        expensive = [asyncio.create_task(_read(reader, content)) for content in contents]
        beside = 0
        while not all(task.done() for task in expensive) and beside < 20:
            _, frame = await _read(reader, honest)
            assert frame.jpeg
            beside += not all(task.done() for task in expensive)
        results = await asyncio.gather(*expensive, return_exceptions=True)
    assert beside
    assert 0 < _cheap_cpu_seconds() - before < _CHEAP_CPU_SECONDS
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
