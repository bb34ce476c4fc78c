"""Every file of the corpus that has a picture has a thumbnail: of the right size, and turned as the file demands."""

from __future__ import annotations

import io

import pytest

from pipeline.adapters.media.inside.metadata import describe, described
from pipeline.adapters.media.inside.picture import picture, thumbnail_size
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
_READ_WHEN_DESCRIBED = ("mxf_piped", "ogg_late_theora")
"""Their packets show how long they are, so they are opened again."""
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


@pytest.mark.parametrize("name", [name for name, entry in CORPUS.items() if entry.kind == "video"])
def test_the_picture_is_the_same_from_the_file_as_it_is_open(name: str) -> None:
    content = corpus_file(name).read_bytes()
    file = io.BytesIO(content)
    with described(file, len(content)) as found:
        again = picture(file, found.metadata, 640, found.media)
        if name in _READ_WHEN_DESCRIBED:
            assert found.media is None
        else:
            assert found.media is not None
            assert not found.media.at_start
    assert again == picture(file, found.metadata, 640)
