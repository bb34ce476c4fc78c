"""Files whose codec has no decoder here: media all the same, with what their headers state."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from pipeline.adapters.media.inside.metadata import describe
from pipeline.adapters.media.inside.picture import picture
from schemas.media import MediaMetadata
from tests.harness.media_samples import ffmpeg, sample

pytestmark = pytest.mark.contract

_SOUND = ("-f", "lavfi", "-i", "sine=440:duration=3:sample_rate=48000")
_PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=3")


def _described(content: bytes) -> MediaMetadata:
    return describe(io.BytesIO(content), len(content))


def _replaced(content: bytes, old: bytes, new: bytes) -> bytes:
    assert old in content
    return content.replace(old, new)


def _saved(form: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (320, 240), "red").save(file, form)
    return file.getvalue()


def test_an_unknown_video_codec() -> None:
    mp4 = _replaced(sample("mp4").read_bytes(), b"avc1", b"xyz1")
    matroska = ffmpeg("-i", sample("mp4"), "-c", "copy", "-f", "matroska", "pipe:1")
    avi = ffmpeg(*_PICTURE, "-c:v", "mpeg4", "-f", "avi", "pipe:1")
    for content in (
        mp4,
        _replaced(matroska, b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/XYZ"),
        _replaced(avi, b"FMP4", b"ZQZQ"),
    ):
        metadata = _described(content)
        assert metadata.kind == "video"
        assert metadata.duration_seconds
        assert metadata.picture is not None
        assert (metadata.picture.codec, metadata.picture.width, metadata.picture.height) == ("unknown", 320, 240)
        assert picture(io.BytesIO(content), metadata, 640) is None


def test_an_unknown_audio_codec() -> None:
    wav = ffmpeg(*_SOUND, "-f", "wav", "pipe:1")
    metadata = _described(_replaced(wav, b"fmt \x10\0\0\0\1\0", b"fmt \x10\0\0\0\x99\x99"))
    assert (metadata.kind, metadata.streams[0].codec) == ("audio", "unknown")
    assert metadata.duration_seconds == pytest.approx(3)


@pytest.mark.parametrize(("item", "codec"), [(b"vvc1", "vvc"), (b"zz01", "zz01")])
def test_a_heif_of_an_unknown_codec(item: bytes, codec: str) -> None:
    content = _replaced(_saved("AVIF"), b"av01", item)
    metadata = _described(content)
    assert metadata.kind == "image"
    assert metadata.picture is not None
    assert (metadata.picture.codec, metadata.picture.width, metadata.picture.height) == (codec, 320, 240)
    assert metadata.picture.bit_depth == 8
    assert picture(io.BytesIO(content), metadata, 640) is None


@pytest.mark.parametrize("marker", [0xC5, 0xC9, 0xCA, 0xCB, 0xCF])
def test_a_jpeg_of_every_kind_of_frame(marker: int) -> None:
    """Differential frames and arithmetic coding (ITU-T T.81, table B.1)."""
    metadata = _described(_replaced(_saved("JPEG"), b"\xff\xc0\0\x11", bytes([0xFF, marker, 0, 0x11])))
    assert metadata.picture is not None
    assert (metadata.container, metadata.picture.width, metadata.picture.height) == ("jpeg", 320, 240)
    assert metadata.picture.bit_depth == 8


@pytest.mark.parametrize("compression", [4, 5, 11])
def test_a_bmp_of_every_compression(compression: int) -> None:
    """JPEG, PNG and CMYK, which only printers read."""
    content = _saved("BMP")
    metadata = _described(content[:30] + bytes([compression]) + content[31:])
    assert metadata.picture is not None
    assert (metadata.picture.width, metadata.picture.height) == (320, 240)
