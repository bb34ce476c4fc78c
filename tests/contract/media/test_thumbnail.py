"""ffmpeg's adapter against real files: a small upright picture of what the file shows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy.embedded.media_tools import media_tool_path
from pipeline.adapters.media.ffmpeg import FfmpegThumbnailer
from pipeline.adapters.media.ffprobe import FfprobeMediaProbe
from pipeline.core.errors import MediaError
from tests.harness.media_samples import sample

pytestmark = pytest.mark.contract

UPRIGHT = ("red", "green", "blue", "white")  # as one reads: top left, top right, bottom left, bottom right
TURNED_90 = ("blue", "red", "white", "green")  # clockwise
TURNED_180 = ("white", "blue", "green", "red")
TURNED_270 = ("green", "white", "red", "blue")
MIRRORED = ("green", "red", "white", "blue")

_NEEDS = {"png": "decoder png", "avif": "decoder libdav1d", "webp_animated": "demuxer webp_anim"}


def corners(jpeg: bytes) -> tuple[tuple[str, ...], tuple[int, int]]:
    """The colours in the middle of the four quarters, and the size, of a JPEG."""
    command = [
        media_tool_path("ffmpeg"),
        "-v",
        "error",
        "-i",
        "pipe:0",
        "-pix_fmt",
        "rgb24",
        "-f",
        "rawvideo",
        "pipe:1",
    ]
    pixels = subprocess.run(command, input=jpeg, capture_output=True, check=True).stdout
    width, height = jpeg_size(jpeg)
    assert len(pixels) == width * height * 3
    names = []
    for y in (height // 4, height * 3 // 4):
        for x in (width // 4, width * 3 // 4):
            at = (y * width + x) * 3
            names.append(_name(*pixels[at : at + 3]))
    return tuple(names), (width, height)


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Width and height in the frame header (ITU-T T.81, B.2.2)."""
    at = 2
    while jpeg[at + 1] not in (0xC0, 0xC2):
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return int.from_bytes(jpeg[at + 7 : at + 9], "big"), int.from_bytes(jpeg[at + 5 : at + 7], "big")


def _name(red: int, green: int, blue: int) -> str:
    bits = (red > 128, green > 128, blue > 128)
    return {
        (True, False, False): "red",
        (False, True, False): "green",
        (False, False, True): "blue",
        (True, True, True): "white",
        (False, False, False): "black",
    }.get(bits, "mixed")


@pytest.mark.parametrize(
    ("name", "shown", "size"),
    [
        ("mp4", UPRIGHT, (320, 240)),
        ("mp4_fragmented_pipe", UPRIGHT, (320, 240)),
        ("mp4_turned_90", TURNED_90, (240, 320)),
        ("mp4_turned_180", TURNED_180, (320, 240)),
        ("mp4_turned_270", TURNED_270, (240, 320)),
        ("mp4_mirrored", MIRRORED, (320, 240)),
        ("mp4_wide_pixels", UPRIGHT, (427, 240)),
        ("mp4_hdr", None, (320, 240)),
        ("mp4_large", UPRIGHT, (640, 360)),
        ("mp4_one_frame", UPRIGHT, (320, 240)),
        ("mp4_black_then_picture", UPRIGHT, (320, 240)),
        ("mp4_black", ("black",) * 4, (320, 240)),
        ("mkv", UPRIGHT, (320, 240)),
        ("webm", UPRIGHT, (320, 240)),
        ("webm_recorder", UPRIGHT, (320, 240)),
        ("avi", UPRIGHT, (320, 240)),
        ("mpegts", UPRIGHT, (320, 240)),
        ("mpeg", UPRIGHT, (320, 240)),
        ("mp3_cover", UPRIGHT, (320, 240)),
        ("jpeg", UPRIGHT, (320, 240)),
        ("jpeg_odd", UPRIGHT, (640, 426)),
        ("jpeg_exif_2", MIRRORED, (320, 240)),
        ("jpeg_exif_3", TURNED_180, (320, 240)),
        ("jpeg_exif_4", ("blue", "white", "red", "green"), (320, 240)),
        ("jpeg_exif_5", ("red", "blue", "green", "white"), (240, 320)),
        ("jpeg_exif_6", TURNED_90, (240, 320)),
        ("jpeg_exif_7", ("white", "green", "blue", "red"), (240, 320)),
        ("jpeg_exif_8", TURNED_270, (240, 320)),
        ("png", UPRIGHT, (320, 240)),
        ("png_alpha", ("red", "green", "white", "white"), (320, 240)),  # the blue quarter is transparent
        ("png_animated", UPRIGHT, (320, 240)),
        ("webp", UPRIGHT, (320, 240)),
        ("webp_animated", UPRIGHT, (320, 240)),
        ("gif", UPRIGHT, (320, 240)),
        ("avif", UPRIGHT, (320, 240)),
        ("avif_grid", UPRIGHT, (310, 250)),
        ("heic", UPRIGHT, (320, 240)),
        ("heic_turned", TURNED_90, (240, 320)),
        ("heic_grid", UPRIGHT, (310, 250)),
        ("heic_grid_turned", TURNED_90, (250, 310)),
    ],
)
async def test_the_picture_is_upright_and_fits(
    probe: FfprobeMediaProbe,
    thumbnailer: FfmpegThumbnailer,
    name: str,
    shown: tuple[str, ...] | None,
    size: tuple[int, int],
) -> None:
    jpeg = await thumbnailer.thumbnail(sample(name), await probe.probe(sample(name)))
    if jpeg is None:
        await _is_missing(thumbnailer, name)
        return
    colours, seen = corners(jpeg)
    assert seen == size
    if shown is not None:
        assert colours == shown
    assert b"Exif" not in jpeg
    assert len(jpeg) < 100_000


@pytest.mark.parametrize(
    ("name", "shown"), [("mp4", UPRIGHT), ("webm", UPRIGHT), ("jpeg_exif_6", TURNED_90), ("heic_turned", TURNED_90)]
)
async def test_the_small_build_shows_the_same(
    probe: FfprobeMediaProbe, small_thumbnailer: FfmpegThumbnailer, name: str, shown: tuple[str, ...]
) -> None:
    jpeg = await small_thumbnailer.thumbnail(sample(name), await probe.probe(sample(name)))
    assert jpeg is not None
    assert corners(jpeg)[0] == shown


@pytest.mark.parametrize("name", ["png", "avif", "avif_grid", "webp_animated"])
async def test_what_the_small_build_cannot_decode_shows_nothing(
    probe: FfprobeMediaProbe, small_thumbnailer: FfmpegThumbnailer, name: str
) -> None:
    jpeg = await small_thumbnailer.thumbnail(sample(name), await probe.probe(sample(name)))
    if jpeg is None:
        await _is_missing(small_thumbnailer, name)
    else:
        assert corners(jpeg)[0] == UPRIGHT


async def _is_missing(thumbnailer: FfmpegThumbnailer, name: str) -> None:
    """Builds differ in decoders: nothing to show is right exactly where one is missing."""
    needed = next(need for prefix, need in _NEEDS.items() if name.startswith(prefix))
    assert needed in await thumbnailer.missing_abilities()


@pytest.mark.parametrize("name", ["mp3", "flac", "wav", "ogg", "m4a"])
async def test_sound_without_a_cover_shows_nothing(
    probe: FfprobeMediaProbe, thumbnailer: FfmpegThumbnailer, name: str
) -> None:
    assert await thumbnailer.thumbnail(sample(name), await probe.probe(sample(name))) is None


async def test_a_header_without_frames_shows_nothing(probe: FfprobeMediaProbe, thumbnailer: FfmpegThumbnailer) -> None:
    path = sample("mp4_faststart_header_only")
    assert await thumbnailer.thumbnail(path, await probe.probe(path)) is None


async def test_too_many_pixels_are_refused_before_anything_is_read(
    probe: FfprobeMediaProbe, thumbnailer: FfmpegThumbnailer, tmp_path: Path
) -> None:
    metadata = await probe.probe(sample("jpeg"))
    picture = metadata.streams[0].model_copy(update={"coded_width": 40_000, "coded_height": 30_000})
    with pytest.raises(MediaError) as caught:
        await thumbnailer.thumbnail(sample("jpeg"), metadata.model_copy(update={"streams": (picture,)}))
    assert caught.value.code == "NOT_MEDIA"


async def test_it_never_exceeds_the_asked_edge(probe: FfprobeMediaProbe, sandbox: object) -> None:
    metadata = await probe.probe(sample("mp4_large"))
    thumbnailer = FfmpegThumbnailer(media_tool_path("ffmpeg"), 20, sandbox, max_edge_pixels=99)  # type: ignore[arg-type]
    jpeg = await thumbnailer.thumbnail(sample("mp4_large"), metadata)
    assert jpeg is not None
    assert jpeg_size(jpeg) == (99, 56)
