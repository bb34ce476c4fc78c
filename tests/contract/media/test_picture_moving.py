"""`picture` of films: a frame that shows something, from few bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from av.video.frame import VideoFrame

from pipeline.adapters.media.inside.metadata import describe
from pipeline.adapters.media.inside.picture import picture
from pipeline.adapters.media.inside.picture_search import Search
from tests.harness.media_films import FILMS, combed, film, heic_sequence
from tests.harness.media_samples import directory, ffmpeg, sample
from tests.harness.media_stills import saved, translucent
from tests.harness.media_thumbnails import BLACK, BLUE, GREEN, RED, UPRIGHT, WHITE, CountingFile, decoded, shown
from tests.harness.session import made_once

pytestmark = [pytest.mark.contract, pytest.mark.timeout(600)]  # making films takes long on a busy machine

_SIZES = {
    "black_25_of_30_1080p_one_keyframe": (640, 360),
    "mxf_mpeg2": (640, 512),
    "dv": (640, 480),
    "odd_size": (321, 241),
    "thin": (640, 1),
}
_COLOURS = {
    "black_25_of_30_1080p_one_keyframe": ((255, 23, 0), (0, 215, 0), (0, 13, 255), WHITE),  # BT.709 is assumed
    "thin": (RED,) * 4,
    "prores_alpha": (RED, GREEN, WHITE, WHITE),
    "animation_alpha": (RED, GREEN, WHITE, WHITE),
}


@pytest.mark.parametrize("name", FILMS)
def test_a_film_shows_its_picture(name: str) -> None:
    found = shown(film(name))
    assert found.size == _SIZES.get(name, (320, 240))
    assert found.shows(_COLOURS.get(name, UPRIGHT)), found.quarters


def test_a_film_of_black_shows_black() -> None:
    content = ffmpeg(
        *("-f", "lavfi", "-i", "color=black:size=320x240:rate=25:duration=30", "-c:v", "libx264"),
        *("-movflags", "+frag_keyframe+empty_moov", "-f", "mp4", "pipe:1"),
    )
    assert shown(content).shows((BLACK,) * 4)


def test_an_interlaced_film_shows_one_field() -> None:
    assert shown(combed("red", "blue")).shows((RED,) * 4)
    assert shown(combed("blue", "red")).shows((BLUE,) * 4)


def test_a_heic_of_moving_pictures_shows_its_picture() -> None:
    assert shown(heic_sequence()).shows(UPRIGHT)


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
def test_an_animation_that_begins_with_black_shows_its_picture(form: str) -> None:
    black = translucent().convert("RGB").point(lambda _: 0)
    frames = [*[black.copy()] * 30, translucent().convert("RGB")]
    for number, frame in enumerate(frames[:30]):
        frame.putpixel((number, 0), (9, 9, 9))  # writers join frames that are equal
    options = {"lossless": True} if form == "WEBP" else {}
    content = saved(frames[0], form, save_all=True, append_images=frames[1:], duration=100, **options)
    assert shown(content).shows(UPRIGHT)


def test_a_colour_is_better_than_black() -> None:
    graph = "color=black:size=320x240:rate=5:duration=25[a];color=red:size=320x240:rate=5:duration=5[b];[a][b]concat"
    content = ffmpeg("-f", "lavfi", "-i", graph, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-f", "matroska", "pipe:1")
    assert shown(content).shows((RED,) * 4)


def test_the_most_typical_frame_is_shown() -> None:
    """A flash of white after the keyframe is not typical."""
    flash = "color=white:size=320x240:rate=25:duration=0.08[a];color=red:size=320x240:rate=25:duration=4[b]"
    content = ffmpeg(
        *("-f", "lavfi", "-i", f"{flash};[a][b]concat", "-c:v", "libx264", "-g", "1000", "-sc_threshold", "0"),
        *("-pix_fmt", "yuv420p", "-f", "matroska", "pipe:1"),
    )
    assert shown(content).shows((RED,) * 4)


def test_few_large_frames_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 4K."""
    content = ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=3840x2160:rate=25:duration=1", "-c:v", "libx264", "-preset", "ultrafast"),
        *("-pix_fmt", "yuv420p", "-f", "matroska", "pipe:1"),
    )
    file = CountingFile(io.BytesIO(content))
    metadata = describe(cast(BinaryIO, file), len(content))
    decode, decoded_frames = Search._decoded, 0

    def counted(self: Search, skipped_packets: int = 0) -> Iterator[VideoFrame]:
        nonlocal decoded_frames
        for frame in decode(self, skipped_packets):
            decoded_frames += 1
            yield frame

    monkeypatch.setattr(Search, "_decoded", counted)
    assert picture(cast(BinaryIO, file), metadata, 640) is not None
    assert 1 <= decoded_frames <= 4


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_a_large_file_is_read_in_small_part(container: str, tmp_path: Path) -> None:
    """100 MB at 14 Mbit/s: 1 MiB at most is read for a thumbnail, beside opening the file once more."""
    path = tmp_path / "film"
    noise = "testsrc2=size=1280x720:rate=25:duration=2,noise=alls=40:allf=t"
    rate = ("-b:v", "14M", "-maxrate", "14M", "-bufsize", "14M", "-g", "50")
    encoder = ("-c:v", "libx264", "-preset", "ultrafast", *rate, "-pix_fmt", "yuv420p", "-f", "mp4")
    clip = made_once(directory() / "film-clip", lambda path: ffmpeg("-f", "lavfi", "-i", noise, *encoder, path))
    ffmpeg("-stream_loop", "29", "-i", clip, "-c", "copy", "-f", container, path)
    size_bytes = path.stat().st_size
    assert size_bytes > 80_000_000
    with path.open("rb") as opened:
        file = CountingFile(opened)
        metadata = describe(cast(BinaryIO, file), size_bytes)
        described_bytes = file.read_bytes
        jpeg = picture(cast(BinaryIO, file), metadata, 640)
    assert jpeg is not None
    assert decoded(jpeg).size == (640, 360)
    assert file.read_bytes - described_bytes <= described_bytes + 1024 * 1024
    assert file.read_bytes <= 4 * 1024 * 1024


def test_a_cover_is_shown_if_there_is_no_film() -> None:
    assert shown(sample("mp3_cover").read_bytes()).shows(UPRIGHT)
