"""From a file to the columns: the reader describes real media, the repository saves it, and lists find it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from uuid6 import uuid7

from pipeline.adapters.media.inside.metadata import describe
from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.core.model import ContentRecord
from pipeline.core.stored_objects import StoredObject
from schemas.content import Content
from schemas.content_list import NEWEST_FIRST, ContentFilters
from tests.harness.media_samples import VP9, ffmpeg, sample

pytestmark = pytest.mark.contract

_TEST_PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=320x240:duration=2:rate=30000/1001")
_SINE = ("-f", "lavfi", "-i", "sine=440:duration=2:sample_rate=48000")
_VP9 = (*VP9, "-c:a", "libopus", "-ac", "2")
_NTSC = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-ar", "44100", "-ac", "6")
_EIGHT_KHZ = ("-ar", "8000", "-ac", "1", "-c:a", "pcm_s16le")

_MADE: dict[str, tuple[str, ...]] = {
    "webm_vp9": (*_TEST_PICTURE, *_SINE, *_VP9, "-f", "webm"),
    "mp4_ntsc": (*_TEST_PICTURE, *_SINE, *_NTSC, "-f", "mp4"),
    "wav_telephone": (*_SINE, *_EIGHT_KHZ, "-f", "wav"),
    "mp4_silent": (*_TEST_PICTURE, "-c:v", "libx264", "-preset", "ultrafast", "-f", "mp4"),
}

# name -> kind, format, video codec, audio codec, frame rate, channels, sample rate, rotation, width, height
EXPECTED: dict[str, tuple[object, ...]] = {
    "mp4": ("video", "mp4", "h264", "aac", 25.0, 1, 48000, 0, 320, 240),
    "mp4_turned_90": ("video", "mp4", "h264", "aac", 25.0, 1, 48000, 90, 240, 320),
    "mp4_ntsc": ("video", "mp4", "h264", "aac", 29.97003, 6, 44100, 0, 320, 240),
    "mp4_silent": ("video", "mp4", "h264", None, 29.97003, None, None, 0, 320, 240),
    "mp4_hdr": ("video", "mp4", "hevc", None, 25.0, None, None, 0, 320, 240),
    "mov": ("video", "mov", "h264", "aac", 25.0, 1, 48000, 0, 320, 240),
    "mkv": ("video", "matroska", "h264", "aac", 25.0, 1, 48000, 0, 320, 240),
    "webm": ("video", "webm", "vp8", "opus", 25.0, 1, 48000, 0, 320, 240),
    "webm_vp9": ("video", "webm", "vp9", "opus", 29.97003, 2, 48000, 0, 320, 240),
    "mp3": ("audio", "mp3", None, "mp3", None, 1, 48000, None, None, None),
    "mp3_cover": ("audio", "mp3", None, "mp3", None, 1, 48000, None, None, None),
    "flac": ("audio", "flac", None, "flac", None, 1, 48000, None, None, None),
    "wav": ("audio", "wav", None, "pcm_s16le", None, 2, 48000, None, None, None),
    "wav_telephone": ("audio", "wav", None, "pcm_s16le", None, 1, 8000, None, None, None),
    "jpeg": ("image", "jpeg", "mjpeg", None, None, None, None, 0, 320, 240),
    "jpeg_exif_6": ("image", "jpeg", "mjpeg", None, None, None, None, 90, 240, 320),
    "png": ("image", "png", "png", None, None, None, None, 0, 320, 240),
    "gif": ("image", "gif", "gif", None, None, None, None, 0, 320, 240),
    "gif_animated": ("image", "gif", "gif", None, 5.0, None, None, 0, 320, 240),
    "heic_turned": ("image", "heic", "hevc", None, None, None, None, 90, 240, 320),
    "avif": ("image", "avif", "av1", None, None, None, None, 0, 320, 240),
}
COLUMNS = (
    "kind", "container_format", "video_codec", "audio_codec", "frame_rate", "channels", "sample_rate", "rotation",
    "width", "height",
)  # fmt: skip


@pytest.fixture(scope="module")
def file_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("media")

    def find(name: str) -> Path:
        if name not in _MADE:
            return sample(name)
        ffmpeg(*_MADE[name], folder / name)
        return folder / name

    return find


async def test_the_columns_hold_what_the_reader_finds(
    contents: PostgresContentRepository, database: asyncpg.Connection, file_of: Callable[[str], Path]
) -> None:
    saved: dict[str, Content] = {}
    for name in EXPECTED:
        path = file_of(name)
        with path.open("rb") as file:
            media = describe(file, path.stat().st_size)
        content_id = str(uuid7())
        stored = StoredObject("swift", "c", f"contents/{content_id}/original", media.size_bytes, "etag")
        saved[name] = await contents.save(
            ContentRecord(content_id, name, "a/b", stored, None, media.model_dump(mode="json"), {})
        )
    for name, content in saved.items():
        row = await database.fetchrow("SELECT * FROM contents WHERE id = $1", content.id)
        assert row is not None
        assert tuple(row[column] for column in COLUMNS) == EXPECTED[name], name
        assert tuple(getattr(content, column) for column in COLUMNS) == EXPECTED[name], name
        assert row["bit_rate"] == content.bit_rate == content.media.bit_rate
        if row["duration_seconds"] is None:
            assert row["bit_rate"] is None
        else:
            average = row["size_bytes"] * 8 / row["duration_seconds"]
            assert row["bit_rate"] == pytest.approx(average, rel=0.05), name
    for filters, wanted in {
        ContentFilters(video_codec="h264", min_width=300): {"mp4", "mp4_ntsc", "mp4_silent", "mov", "mkv"},
        ContentFilters(video_codec="vp9", audio_codec="opus"): {"webm_vp9"},
        ContentFilters.model_validate({"min_frame_rate": "30000/1001"}): {"mp4_ntsc", "mp4_silent", "webm_vp9"},
        ContentFilters(channels=6): {"mp4_ntsc"},
        ContentFilters(max_sample_rate=44100): {"mp4_ntsc", "wav_telephone"},
        ContentFilters(kind="image", rotation=90): {"jpeg_exif_6", "heic_turned"},
        ContentFilters(container_format="mp3"): {"mp3", "mp3_cover"},
    }.items():
        found = await contents.page(filters, NEWEST_FIRST, None, 200)
        assert {content.filename for content in found} == wanted, filters
