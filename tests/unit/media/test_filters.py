"""The filter graph of a thumbnail: its size, the order of its steps, and the formats that are not accepted."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.adapters.media.filters import filter_graph, thumbnail_size
from pipeline.adapters.media.inside.formats import FORMAT_WHITELIST
from schemas.media import VideoStream

pytestmark = pytest.mark.unit


def stream(width: int = 1920, height: int = 1080, **fields: Any) -> VideoStream:
    return VideoStream(
        index=3, codec="h264", width=width, height=height, coded_width=width, coded_height=height, **fields
    )


def graph(picture: VideoStream, *, choose: bool = False, skip_black: bool = False, tone_map: bool = False) -> str:
    return filter_graph(picture, 640, choose=choose, skip_black=skip_black, tone_map=tone_map)


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


def test_frames_are_scaled_before_they_are_rotated() -> None:
    made = graph(stream(1080, 1920, rotation=90))
    assert made.startswith("[0:3]scale=640:360,transpose=clock,")
    assert made.endswith("[thumbnail]")


def test_tiles_are_joined_and_rotated_by_ffmpeg() -> None:
    made = graph(stream(rotation=180, mirrored=True, tiled=True))
    assert made.startswith("[0:g:3]scale=640:360,setsar")
    assert "flip" not in made


def test_frames_are_limited_before_they_are_compared() -> None:
    made = graph(stream(), choose=True, skip_black=True)
    assert (
        made.index("trim=end_frame=24") < made.index("scale=") < made.index("blackframe") < made.index("thumbnail=n=24")
    )


def test_only_hdr_is_tone_mapped_and_only_if_possible() -> None:
    assert "tonemap" in graph(stream(hdr=True), tone_map=True)
    assert "tonemap" not in graph(stream(hdr=True), tone_map=False)
    assert "tonemap" not in graph(stream(), tone_map=True)


@pytest.mark.parametrize(("pixel_format", "paper"), [("rgba", True), ("pal8", True), ("yuv420p", False), (None, False)])
def test_transparent_pixels_become_white(pixel_format: str | None, paper: bool) -> None:
    assert ("color=white" in graph(stream(pixel_format=pixel_format))) is paper


@pytest.mark.parametrize(
    "name",
    [
        "hls",
        "dash",
        "concat",
        "concatf",
        "image2",
        "lavfi",
        "sdp",
        "rtsp",
        "tty",
        "srt",
        "svg_pipe",
        "ffmetadata",
        "webm_dash_manifest",
    ],
)
def test_formats_that_refer_to_other_files_are_not_on_the_whitelist(name: str) -> None:
    assert name not in FORMAT_WHITELIST.split(",")
