"""Every file of the corpus that has a picture has a thumbnail: of the right size, and turned as the file demands."""

from __future__ import annotations

import io

import pytest

from pipeline.adapters.media.inside.metadata import describe
from pipeline.adapters.media.inside.picture import thumbnail_size
from tests.harness.media_corpus import CORPUS, corpus_file
from tests.harness.media_thumbnails import ORIENTED, thumbnail

pytestmark = pytest.mark.contract

_NUMBERS = {
    (0, True): 2,
    (180, False): 3,
    (180, True): 4,
    (270, True): 5,
    (90, False): 6,
    (90, True): 7,
    (270, False): 8,
}
_NO_DECODER = ("jpegxl", "jpegxl_anim")


@pytest.mark.parametrize("name", CORPUS)
def test_the_corpus_has_thumbnails(name: str) -> None:
    content = corpus_file(name).read_bytes()
    metadata = describe(io.BytesIO(content), len(content))
    found = thumbnail(content, metadata=metadata)
    if metadata.picture is None or metadata.picture.codec in _NO_DECODER:
        assert found is None
        return
    assert found is not None
    assert found.size == thumbnail_size(metadata.picture, 640)
    number = _NUMBERS.get(CORPUS[name].turned)  # those show four quarters
    if number is not None:
        assert found.shows(ORIENTED[number], 16), found.quarters
