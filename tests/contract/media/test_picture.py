"""`picture` against real files: a small upright picture of what the file shows, whatever its format."""

from __future__ import annotations

import io
from typing import Any, cast

import pytest

from pipeline.adapters.media.inside.metadata import describe
from pipeline.adapters.media.inside.picture import picture, thumbnail_size
from pipeline.adapters.media.inside.refused import NotMedia
from schemas.media import MediaMetadata, VideoStream
from tests.harness.media_samples import sample
from tests.harness.media_stills import COLOURED, GREY, GREYS, HEIGHT, TRANSLUCENT, WIDTH, interlaced_png
from tests.harness.media_thumbnails import (
    BLACK,
    GREEN,
    MIRRORED,
    ORIENTED,
    RED,
    TURNED_90,
    TURNED_180,
    TURNED_270,
    UPRIGHT,
    WHITE,
    shown,
    thumbnail,
)

pytestmark = pytest.mark.contract


def stream(width: int = 1920, height: int = 1080, **fields: Any) -> VideoStream:
    return VideoStream(
        **{"index": 0, "codec": "h264", "width": width, "height": height, "coded_width": width, "coded_height": height}
        | fields
    )


@pytest.mark.parametrize(
    ("size", "fitted"),
    [
        ((1920, 1080), (640, 360)),
        ((1080, 1920), (360, 640)),
        ((640, 640), (640, 640)),
        ((639, 1), (639, 1)),
        ((1, 1), (1, 1)),
        ((10_000, 1), (640, 1)),
        ((1001, 667), (640, 426)),
    ],
)
def test_a_thumbnail_fits_the_square_and_is_never_enlarged(size: tuple[int, int], fitted: tuple[int, int]) -> None:
    assert thumbnail_size(stream(*size), 640) == fitted


@pytest.mark.parametrize(
    ("name", "colours", "size"),
    [
        ("mp4", UPRIGHT, (320, 240)),
        ("mp4_fragmented_pipe", UPRIGHT, (320, 240)),
        ("mp4_turned_90", TURNED_90, (240, 320)),
        ("mp4_turned_180", TURNED_180, (320, 240)),
        ("mp4_turned_270", TURNED_270, (240, 320)),
        ("mp4_mirrored", MIRRORED, (320, 240)),
        ("mp4_wide_pixels", UPRIGHT, (427, 240)),
        ("mp4_one_frame", UPRIGHT, (320, 240)),
        ("mp4_black_then_picture", UPRIGHT, (320, 240)),
        ("mp4_black", (BLACK,) * 4, (320, 240)),
        ("mkv", UPRIGHT, (320, 240)),
        ("webm", UPRIGHT, (320, 240)),
        ("webm_recorder", UPRIGHT, (320, 240)),
        ("avi", UPRIGHT, (320, 240)),
        ("mpegts", UPRIGHT, (320, 240)),
        ("mpeg", UPRIGHT, (320, 240)),
        ("mp3_cover", UPRIGHT, (320, 240)),
        ("jpeg", UPRIGHT, (320, 240)),
        ("jpeg_odd", UPRIGHT, (640, 426)),
        *(
            (f"jpeg_exif_{number}", ORIENTED[number], (320, 240) if number < 5 else (240, 320))
            for number in range(1, 9)
        ),
        ("png", UPRIGHT, (320, 240)),
        ("png_alpha", (RED, GREEN, WHITE, WHITE), (320, 240)),  # the blue quarter is transparent
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
def test_the_picture_is_upright_and_fits(name: str, colours: Any, size: tuple[int, int]) -> None:
    found = shown(sample(name).read_bytes())
    assert found.size == size
    assert found.shows(colours), found.quarters
    assert len(found.jpeg) < 20_000


@pytest.mark.parametrize("name", COLOURED)
def test_every_kind_of_image_keeps_its_colours(name: str) -> None:
    found = shown(COLOURED[name]())
    assert found.size == (WIDTH, HEIGHT)
    assert found.shows(UPRIGHT), found.quarters


@pytest.mark.parametrize("name", TRANSLUCENT)
def test_transparent_pixels_become_white(name: str) -> None:
    found = shown(TRANSLUCENT[name]())
    assert found.shows((RED, GREEN, WHITE, WHITE)), found.quarters


@pytest.mark.parametrize("name", GREY)
def test_grey_levels_are_kept(name: str) -> None:
    found = shown(GREY[name]())
    assert found.shows(tuple((level,) * 3 for level in GREYS), 4), found.quarters


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("name", ["png_16", "webp", "gif", "bmp", "tiff_tiff_lzw", "jp2", "avif", "heic", "jpeg_cmyk"])
def test_every_orientation_applies_to_every_format(name: str, number: int) -> None:
    """The metadata states it, wherever it was found."""
    content = COLOURED[name]()
    metadata = describe(io.BytesIO(content), len(content))
    assert metadata.picture is not None
    rotation = {3: 180, 4: 180, 5: 270, 6: 90, 7: 90, 8: 270}.get(number, 0)
    fields = {"rotation": rotation, "mirrored": number in (2, 4, 5, 7)}
    if rotation in (90, 270):
        fields |= {"width": HEIGHT, "height": WIDTH}
    turned = metadata.model_copy(update={"streams": (metadata.picture.model_copy(update=fields),)})
    found = shown(content, metadata=turned)
    assert found.size == ((HEIGHT, WIDTH) if rotation in (90, 270) else (WIDTH, HEIGHT))
    assert found.shows(ORIENTED[number]), found.quarters


@pytest.mark.parametrize("name", ["mp3", "flac", "wav", "ogg", "m4a", "aac"])
def test_sound_without_a_cover_shows_nothing(name: str) -> None:
    assert thumbnail(sample(name).read_bytes()) is None


def test_a_header_without_frames_shows_nothing() -> None:
    assert thumbnail(sample("mp4_faststart_header_only").read_bytes()) is None


@pytest.mark.parametrize("container", ["jpegxl", "tiff", "heic", "mp4", "unheard-of"])
def test_what_cannot_be_decoded_shows_nothing(container: str) -> None:
    metadata = MediaMetadata(
        kind="image", container=container, size_bytes=5000, streams=(stream(100, 100, codec="jpegxl"),)
    )
    assert thumbnail(b"\xff\x0a" + bytes(4998), metadata=metadata) is None


@pytest.mark.parametrize("keep", [0.3, 0.7])
@pytest.mark.parametrize("name", ["jpeg_progressive", "png_16", "jp2"])
def test_an_image_that_is_cut_off_shows_what_there_is(name: str, keep: float) -> None:
    content = COLOURED[name]()
    metadata = describe(io.BytesIO(content), len(content))
    found = thumbnail(content[: int(len(content) * keep)], metadata=metadata)
    assert found is None or found.size == (WIDTH, HEIGHT)


def test_too_many_pixels_are_refused_before_anything_is_read() -> None:
    picture_stream = stream(40_000, 30_000)
    metadata = MediaMetadata(kind="image", container="jpeg", size_bytes=1, streams=(picture_stream,))
    with pytest.raises(NotMedia, match="more than 268 million pixels"):
        picture(cast(Any, None), metadata, 640)


@pytest.mark.parametrize(("edge", "size"), [(99, (99, 56)), (1, (1, 1)), (5000, (1918, 1078))])
def test_it_never_exceeds_the_asked_edge(edge: int, size: tuple[int, int]) -> None:
    assert shown(sample("mp4_large").read_bytes(), edge).size == size


def test_a_large_interlaced_png_is_read_in_part() -> None:
    content = interlaced_png(6400, 6400)
    metadata = MediaMetadata(
        kind="image", container="png", size_bytes=len(content), streams=(stream(6400, 6400, codec="png"),)
    )
    cut = content[: len(content) // 3]  # the first pass is 1/64 of the picture
    found = shown(cut, metadata=metadata)
    assert found.size == (640, 640)
    assert found.shows(UPRIGHT), found.quarters
