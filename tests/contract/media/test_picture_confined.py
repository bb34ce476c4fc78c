"""`picture` needs nothing that the sandbox forbids: the result inside is that outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pytest

from pipeline.adapters.media.reader import ReaderRules, SandboxedReader
from tests.harness.byte_sources import MemorySource
from tests.harness.media_films import FILMS, film, heic_sequence
from tests.harness.media_samples import sample
from tests.harness.media_stills import COLOURED, GREY, TRANSLUCENT
from tests.harness.media_thumbnails import thumbnail

pytestmark = pytest.mark.contract

_SAME_DECODER = (
    "black_25_of_30",
    "black_25_of_30_1080p_one_keyframe",
    "black_from_10_to_30_of_200",
    "picture_in_the_first_second",
    "matroska_from_3600",
    "live_webm_from_3600",
)
"""Films of a container and a codec that others have, too: nothing else can differ in the sandbox."""
_SAMPLES = ("mp4_hdr", "mp4_turned_90", "webm_recorder", "mp3_cover", "avif_grid", "heic_grid_turned", "jpeg_exif_6")
_GROUPS: Mapping[str, Mapping[str, Callable[[], bytes]]] = {
    "coloured": COLOURED,
    "translucent": TRANSLUCENT,
    "grey": GREY,
    "films": {
        **{name: partial(film, name) for name in FILMS if name not in _SAME_DECODER},
        "heic_sequence": heic_sequence,
    },
    "samples": {name: sample(name).read_bytes for name in _SAMPLES},
}


@pytest.mark.timeout(900)  # it makes dozens of files first
@pytest.mark.parametrize("group", _GROUPS)
async def test_the_sandbox_changes_no_thumbnail(group: str) -> None:
    async with SandboxedReader(ReaderRules(required=False)) as reader:
        for name, make in _GROUPS[group].items():
            content = make()
            reading = await reader.read(MemorySource(content))
            frame = reading.frame or await reader.thumbnail(MemorySource(content), reading.metadata)
            expected = thumbnail(content)
            assert expected is not None, name
            assert frame.jpeg == expected.jpeg, name
