"""Any bytes become valid metadata or are refused with a reason."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.adapters.media.inside.metadata import describe
from pipeline.adapters.media.inside.refused import NotMedia
from schemas.media import MediaMetadata
from tests.harness.media_corpus_images import exif, jpeg_with, png_with
from tests.harness.media_heif import CodedPicture, heif
from tests.harness.media_pictures import png

pytestmark = pytest.mark.unit

_TILE = CodedPicture(b"sample", struct.pack(">I4s", 8, b"hvcC"), 64, 64)
_WAV = (
    b"RIFF" + struct.pack("<I", 2**32 - 1) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 2, 8000, 32000, 4, 16)
    + b"data" + struct.pack("<I", 0) + bytes(400)
)  # fmt: skip
SEEDS = (
    b"",
    png(),
    png(frames=3),
    png_with(b"eXIf", exif(6), after=True, png=png()),
    jpeg_with((1, b"Exif\0\0" + exif(6))),
    heif([_TILE] * 4, columns=2, quarter_turns=1),
    _WAV,
    b"\x1a\x45\xdf\xa3\x84\x42\x82\x81a\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff\x1f\x43\xb6\x75\x84\xe7\x82\0\1",
    b"\0\0\0\x18ftypisom\0\0\2\0isomiso2\0\0\0\x10moov\0\0\0\x08mvex",
    b"OggS\0\2" + bytes(20) + b"\1\x1e\1vorbis" + bytes(23),
    b"fLaC\x80\0\0\x22" + bytes(34),
    b"ID3\4\0\0\0\0\0\x0aTXXX" + bytes(40),
    b"FLV\1\5\0\0\0\x09" + bytes(40),
    b"FORM\0\0\0\0AIFFCOMM\0\0\0\x12" + bytes(18) + b"SSND" + bytes(8),
    b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0" + bytes(64),
    b"RIFF\0\0\0\0AVI LIST" + bytes(40) + b"movi",
    b"\xff\x0a" + bytes(range(60)),
    b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(40),
    b"GIF89a\x01\0\x01\0\0\0\0",
    b"#!AMR\n" + bytes(60),
)
"""The beginnings of most formats."""


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A seed with some bytes replaced, removed or added."""
    content = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(content)))
        content[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=6))
    return bytes(content) + draw(st.binary(max_size=64))


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=300) | damaged())
def test_any_bytes_become_metadata_or_are_refused(content: bytes) -> None:
    reason, metadata = "", None
    try:
        metadata = describe(io.BytesIO(content), len(content))
    except NotMedia as refusal:
        reason = refusal.reason
    if metadata is None:
        assert reason
    else:
        assert metadata.size_bytes == len(content)
        assert MediaMetadata.model_validate_json(metadata.model_dump_json()) == metadata


def test_errors_of_the_file_are_passed_on() -> None:
    class Gone(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 100:
                raise ConnectionError("the worker has gone")
            return super().read(size)

    content = _WAV + bytes(10_000)
    with pytest.raises(ConnectionError):
        describe(Gone(content), len(content))
