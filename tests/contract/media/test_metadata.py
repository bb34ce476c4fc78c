"""The metadata of real files: what is read is what was made."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.adapters.media.inside.metadata import describe
from pipeline.adapters.media.inside.refused import NotMedia
from schemas.media import AudioStream, MediaMetadata, SubtitleStream
from tests.harness.media_samples import sample

pytestmark = pytest.mark.contract

# name -> kind, container, duration (None: none; a number: within 0.06 s), codecs, displayed size of the picture
EXPECTED: dict[str, tuple[str, str, float | None, list[str], tuple[int, int] | None]] = {
    "mp4": ("video", "mp4", 2.0, ["h264", "aac"], (320, 240)),
    "mp4_faststart": ("video", "mp4", 2.0, ["h264", "aac"], (320, 240)),
    "mp4_fragmented": ("video", "mp4", 2.0, ["h264", "aac"], (320, 240)),
    "mp4_fragmented_pipe": ("video", "mp4", 2.0, ["h264", "aac"], (320, 240)),
    "mp4_turned_90": ("video", "mp4", 2.0, ["h264", "aac"], (240, 320)),
    "mp4_turned_180": ("video", "mp4", 2.0, ["h264", "aac"], (320, 240)),
    "mp4_turned_270": ("video", "mp4", 2.0, ["h264", "aac"], (240, 320)),
    "mp4_wide_pixels": ("video", "mp4", 2.0, ["h264"], (427, 240)),
    "mp4_hdr": ("video", "mp4", 1.0, ["hevc"], (320, 240)),
    "mp4_large": ("video", "mp4", 1.0, ["h264"], (1918, 1078)),
    "mp4_one_frame": ("video", "mp4", 0.04, ["h264"], (320, 240)),
    "mov": ("video", "mov", 2.0, ["h264", "aac"], (320, 240)),
    "mkv": ("video", "matroska", 2.0, ["h264", "aac", "aac", "subrip"], (320, 240)),
    "webm": ("video", "webm", 2.0, ["vp8", "opus"], (320, 240)),
    "webm_recorder": ("video", "webm", 3.0, ["vp8", "opus"], (320, 240)),
    "avi": ("video", "avi", 2.0, ["mpeg4"], (320, 240)),
    "mpegts": ("video", "mpegts", 2.0, ["h264", "aac"], (320, 240)),
    "mpeg": ("video", "mpeg", 2.0, ["mpeg1video"], (320, 240)),
    "mp3": ("audio", "mp3", 2.0, ["mp3"], None),
    "mp3_cover": ("audio", "mp3", 2.0, ["mp3", "mjpeg"], (320, 240)),
    "flac": ("audio", "flac", 2.0, ["flac"], None),
    "wav": ("audio", "wav", 2.0, ["pcm_s16le"], None),
    "ogg": ("audio", "ogg", 2.0, ["opus"], None),
    "m4a": ("audio", "m4a", 2.0, ["aac"], None),
    "aac": ("audio", "aac", 2.0, ["aac"], None),
    "jpeg": ("image", "jpeg", None, ["mjpeg"], (320, 240)),
    "jpeg_odd": ("image", "jpeg", None, ["mjpeg"], (1001, 667)),
    "png": ("image", "png", None, ["png"], (320, 240)),
    "png_alpha": ("image", "png", None, ["png"], (320, 240)),
    "png_animated": ("image", "png", 0.3, ["apng"], (320, 240)),
    "webp": ("image", "webp", None, ["webp"], (320, 240)),
    "webp_animated": ("image", "webp", 1.0, ["webp"], (320, 240)),
    "gif": ("image", "gif", None, ["gif"], (320, 240)),
    "gif_animated": ("image", "gif", 2.0, ["gif"], (320, 240)),
    "avif": ("image", "avif", None, ["av1"], (320, 240)),
    "avif_grid": ("image", "avif", None, ["av1"], (310, 250)),
    "heic": ("image", "heic", None, ["hevc"], (320, 240)),
    "heic_turned": ("image", "heic", None, ["hevc"], (240, 320)),
    "heic_grid": ("image", "heic", None, ["hevc"], (310, 250)),
    "heic_grid_turned": ("image", "heic", None, ["hevc"], (250, 310)),
}


def described(name: str) -> MediaMetadata:
    path = sample(name)
    with path.open("rb") as file:
        return describe(file, path.stat().st_size)


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_read_is_what_was_made(name: str) -> None:
    kind, container, duration, codecs, size = EXPECTED[name]
    metadata = described(name)

    assert (metadata.kind, metadata.container) == (kind, container)
    assert [stream.codec for stream in metadata.streams] == codecs
    assert metadata.size_bytes == sample(name).stat().st_size
    picture = metadata.picture
    assert (None if picture is None else (picture.width, picture.height)) == size
    if duration is None:
        assert metadata.duration_seconds is None
        assert metadata.bit_rate is None
    else:
        assert metadata.duration_seconds == pytest.approx(duration, abs=0.06)
        assert metadata.duration_seconds
        assert metadata.bit_rate == pytest.approx(metadata.size_bytes * 8 / metadata.duration_seconds, rel=0.05)
    assert MediaMetadata.model_validate_json(metadata.model_dump_json()) == metadata


@pytest.mark.parametrize(
    ("name", "rotation", "mirrored"),
    [
        ("mp4", 0, False),
        ("mp4_turned_90", 90, False),
        ("mp4_turned_180", 180, False),
        ("mp4_turned_270", 270, False),
        ("mp4_mirrored", 0, True),
        ("heic_turned", 90, False),
        ("heic_grid_turned", 90, False),
        ("jpeg_exif_1", 0, False),
        ("jpeg_exif_2", 0, True),
        ("jpeg_exif_3", 180, False),
        ("jpeg_exif_4", 180, True),
        ("jpeg_exif_5", 270, True),
        ("jpeg_exif_6", 90, False),
        ("jpeg_exif_7", 90, True),
        ("jpeg_exif_8", 270, False),
    ],
)
def test_rotation_is_clockwise_and_the_coded_size_stays(name: str, rotation: int, mirrored: bool) -> None:
    picture = described(name).picture
    assert picture is not None
    assert (picture.rotation, picture.mirrored) == (rotation, mirrored)
    assert picture.coded_width > picture.coded_height
    assert (picture.width > picture.height) == (rotation in (0, 180))


def test_every_track_with_its_language() -> None:
    metadata = described("mkv")
    sounds = [stream for stream in metadata.streams if isinstance(stream, AudioStream)]
    assert [(sound.language, sound.channels, sound.sample_rate) for sound in sounds] == [
        ("eng", 1, 48000),
        ("fre", 1, 48000),
    ]
    assert [stream.language for stream in metadata.streams if isinstance(stream, SubtitleStream)] == ["ger"]
    assert metadata.tags["title"] == "A gate in the water"


def test_details_of_pictures_and_sound() -> None:
    video = described("mp4").picture
    assert video is not None
    assert (video.frame_rate, video.average_frame_rate, video.pixel_format, video.bit_depth) == (25, 25, "yuv420p", 8)
    assert (video.default, video.hdr, video.attached_picture, video.sample_aspect_ratio) == (True, False, False, 1.0)

    hdr = described("mp4_hdr").picture
    assert hdr is not None
    assert hdr.hdr
    assert hdr.colour.model_dump() == {
        "primaries": "bt2020",
        "transfer": "smpte2084",
        "matrix": "bt2020nc",
        "range": "tv",
    }

    wide = described("mp4_wide_pixels").picture
    assert wide is not None
    assert wide.coded_width == 320
    assert wide.sample_aspect_ratio == pytest.approx(4 / 3)

    (sound,) = described("wav").streams
    assert isinstance(sound, AudioStream)
    assert (sound.channels, sound.sample_rate, sound.bit_depth, sound.bit_rate) == (2, 48000, 16, 1_536_000)

    cover = described("mp3_cover").picture
    assert cover is not None
    assert (cover.attached_picture, cover.frame_rate) == (True, None)


def test_a_still_picture_has_no_frame_rate_and_an_animated_one_has() -> None:
    rates: dict[str, Any] = {}
    for name in ("jpeg", "png", "webp", "gif", "avif", "heic", "png_animated", "webp_animated", "gif_animated"):
        picture = described(name).picture
        assert picture is not None
        rates[name] = picture.frame_rate
    assert rates == {
        **dict.fromkeys(("jpeg", "png", "webp", "gif", "avif", "heic")),
        "png_animated": pytest.approx(10),
        "webp_animated": pytest.approx(5),
        "gif_animated": pytest.approx(5),
    }


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("random", "no known media format"),
        ("text", "no known media format"),
        ("short", "no known media format"),
        ("empty", "no known media format"),
        ("zeros", "no known media format"),
        ("zip", "not one that is accepted"),
        ("srt", "not one that is accepted"),
        ("svg", "not one that is accepted"),
        ("mp4_cut_off", "its index (moov) is missing"),
        ("png_enormous", "40000 x 30000"),
    ],
)
def test_no_media_is_refused_with_a_reason_for_people(name: str, reason: str) -> None:
    with pytest.raises(NotMedia) as caught:
        described(name)
    assert reason in caught.value.reason
