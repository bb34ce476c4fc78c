"""Which files a permit allows, by their metadata."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.access import MediaLimits
from pipeline.core.errors import MediaError
from pipeline.uploads.permits import require_within
from schemas.media import MediaMetadata


def video(index: int = 0, **changes: Any) -> dict[str, Any]:
    size = {"width": 1280, "height": 720, "coded_width": 1280, "coded_height": 720}
    return {"index": index, "codec": "h264", "type": "video", **size, **changes}


def media(**changes: Any) -> MediaMetadata:
    film = {
        "kind": "video",
        "container": "mp4",
        "duration_seconds": 12.0,
        "size_bytes": 1000,
        "streams": [video(), {"index": 1, "codec": "aac", "type": "audio", "channels": 2}],
    }
    return MediaMetadata.model_validate(film | changes)


COVER = video(2, codec="mjpeg", width=3000, height=3000, attached_picture=True)
SECOND = video(2, codec="av1", width=3840, height=2160)
PHOTO = {"kind": "image", "container": "jpeg", "duration_seconds": None, "streams": [video(codec="mjpeg")]}


@pytest.mark.parametrize(
    ("limits", "file"),
    [
        (MediaLimits(), media()),
        (MediaLimits(max_duration_seconds=12, max_width=1280, max_height=720), media()),
        (MediaLimits(kinds=("video",), content_types=("video/*",)), media()),
        (MediaLimits(video_codecs=("h264",), audio_codecs=("aac",)), media()),
        (MediaLimits(video_codecs=("h264",), max_width=1280), media(streams=[*media().streams, COVER])),
        (MediaLimits(max_duration_seconds=1), media(**PHOTO)),
    ],
)
def test_a_file_within_its_limits_passes(limits: MediaLimits, file: MediaMetadata) -> None:
    require_within(limits, file, "video/mp4")


@pytest.mark.parametrize(
    ("limits", "file", "reason"),
    [
        (MediaLimits(kinds=("image", "audio")), media(), "its kind is video"),
        (MediaLimits(content_types=("image/*", "video/webm")), media(), "its type is video/mp4"),
        (MediaLimits(max_duration_seconds=11.9), media(), "it lasts 12.0 s, more than 11.9"),
        (MediaLimits(max_duration_seconds=60), media(duration_seconds=None), "its duration is unknown"),
        (MediaLimits(max_width=1279), media(), "a picture is 1280 pixels wide, more than 1279"),
        (MediaLimits(max_height=719), media(), "a picture is 720 pixels high, more than 719"),
        (MediaLimits(max_width=1920), media(streams=[video(), SECOND]), "a picture is 3840 pixels wide"),
        (MediaLimits(max_height=1080), media(streams=[SECOND, video(default=True)]), "a picture is 2160 pixels high"),
        (MediaLimits(video_codecs=("h264",)), media(streams=[video(), SECOND]), "a stream has the codec av1"),
        (MediaLimits(audio_codecs=("opus",)), media(), "a stream has the codec aac"),
    ],
)
def test_a_file_that_breaks_a_limit_is_refused(limits: MediaLimits, file: MediaMetadata, reason: str) -> None:
    with pytest.raises(MediaError, match=reason) as refused:
        require_within(limits, file, "video/mp4")
    assert refused.value.code == "MEDIA_NOT_PERMITTED"
