"""How sizes, times and media metadata are formatted."""

from __future__ import annotations

import pytest

from deploy.cli.formatting import (
    count_of,
    format_bit_rate,
    format_bytes,
    format_media,
    format_ranges,
    format_seconds,
    format_stream,
)
from schemas.media import AudioStream, MediaMetadata, VideoStream

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (10 * 2**20, "10.0 MiB"),
        (5 * 2**40, "5.0 TiB"),
    ],
)
def test_bytes(count: int, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.04, "40 ms"), (1.26, "1.3 s"), (59.94, "59.9 s"), (75, "1:15 min"), (3725, "1:02:05 h")],
)
def test_seconds(seconds: float | None, text: str) -> None:
    assert format_seconds(seconds) == text


def test_ranges() -> None:
    assert format_ranges([(1, 3), (7, 7)]) == "1-3, 7"
    assert format_ranges([]) == "none"
    assert count_of([(1, 3), (7, 7)]) == 4


@pytest.mark.parametrize(("rate", "text"), [(None, "-"), (128_000, "128 kbit/s"), (2_500_000, "2.5 Mbit/s")])
def test_bit_rates(rate: int | None, text: str) -> None:
    assert format_bit_rate(rate) == text


def test_media() -> None:
    video = VideoStream(
        index=0,
        codec="h264",
        profile="High",
        width=1080,
        height=1920,
        coded_width=1920,
        coded_height=1080,
        rotation=90,
        frame_rate=29.97,
    )
    audio = AudioStream(index=1, codec="aac", channels=2, channel_layout="stereo", sample_rate=48_000, language="eng")
    media = MediaMetadata(kind="video", container="mp4", duration_seconds=12.0, size_bytes=5, streams=(video, audio))
    assert format_media(media) == "video · mp4 · 12.0 s"
    assert format_stream(video) == "h264 (High) · 1080x1920 · rotated by 90° · 29.97 frames/s"
    assert format_stream(audio) == "aac · stereo · 48000 Hz · eng"
