"""The sandbox changes nothing in the metadata of the corpus.

Of the files that have the same container and codecs one is enough: the sandbox sees the calls of demuxers and decoders.
"""

from __future__ import annotations

import pytest

from pipeline.adapters.media.inside.metadata import describe
from pipeline.adapters.media.reader import ReaderRules, SandboxedReader
from tests.harness.byte_sources import MemorySource
from tests.harness.media_corpus import corpus_file
from tests.harness.media_corpus_images import IMAGES
from tests.harness.media_corpus_sounds import SOUNDS
from tests.harness.media_corpus_unfinished import UNFINISHED
from tests.harness.media_corpus_videos import VIDEOS

pytestmark = pytest.mark.contract


@pytest.mark.parametrize(
    "names", [VIDEOS, SOUNDS, IMAGES, UNFINISHED], ids=["videos", "sounds", "images", "unfinished"]
)
async def test_metadata_is_the_same_in_the_sandbox(names: dict[str, object]) -> None:
    async with SandboxedReader(ReaderRules(required=False)) as reader:
        seen = set[tuple[str, ...]]()
        for name in names:
            path = corpus_file(name)
            with path.open("rb") as file:
                expected = describe(file, path.stat().st_size)
            shape = (expected.container, *(stream.codec for stream in expected.streams))
            if shape in seen:
                continue
            seen.add(shape)
            reading = await reader.read(MemorySource(path.read_bytes()))
            assert reading.metadata == expected, name
