"""Short films with properties that matter for a thumbnail; ffmpeg makes them on first use. `film("name")` is one."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tests.harness.media_samples import VP8, VP9, directory, ffmpeg, quarters, sample
from tests.harness.session import made_once

_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
_ONE_KEYFRAME = ("-g", "10000", "-sc_threshold", "0")
_LIVE = ("-live", "1", "-f", "webm")
_SHIFTED = ("-output_ts_offset", "3600")


def _source(graph: str) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", graph)


def _black(seconds: float, width: int = 320, height: int = 240, rate: int = 25) -> str:
    return f"color=black:size={width}x{height}:rate={rate}:duration={seconds}"


def _intro(black_seconds: float, seconds: float, width: int = 320, height: int = 240) -> tuple[str, ...]:
    """Black, then the picture."""
    shown = quarters(width=width, height=height, seconds=seconds)
    return _source(f"{_black(black_seconds, width, height)}[black];{shown}[picture];[black][picture]concat")


def _colour_intro(colour: str) -> tuple[str, ...]:
    """25 seconds of one colour, then the picture for 5."""
    plain = f"color={colour}:size=320x240:rate=25:duration=25"
    return _source(f"{plain}[plain];{quarters(width=320, height=240, seconds=5)}[picture];[plain][picture]concat")


def _gap(seconds: float, black_seconds: float, rest_seconds: float, rate: int = 25) -> tuple[str, ...]:
    """The picture, black, and the picture again."""
    first, rest = quarters(seconds=seconds, rate=rate), quarters(seconds=rest_seconds, rate=rate)
    parts = f"{first}[a];{_black(black_seconds, rate=rate)}[b];{rest}[c]"
    return _source(f"{parts};[a][b][c]concat=n=3")


def _cut_out(pixel_format: str, seconds: float = 1) -> tuple[str, ...]:
    """The blue quarter is transparent."""
    alpha = "geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='if(lt(X,160)*gt(Y,120),0,255)'"
    return (*_source(f"{quarters(seconds=seconds)},format=rgba,{alpha}"), "-pix_fmt", pixel_format)


def _picture(seconds: float = 2, width: int = 320, height: int = 240, more: str = "") -> tuple[str, ...]:
    return _source(quarters(width=width, height=height, seconds=seconds) + more)


_FILMS: Mapping[str, tuple[str, ...]] = {
    # -- black beginnings, and others of one colour
    "black_25_of_30": (*_intro(25, 5), *_H264, "-g", "50", "-f", "mp4"),
    "black_25_of_30_one_keyframe": (*_intro(25, 5), *_H264, *_ONE_KEYFRAME, "-f", "mp4"),
    "black_25_of_30_1080p_one_keyframe": (*_intro(25, 5, 1920, 1080), *_H264, *_ONE_KEYFRAME, "-f", "mp4"),
    "black_25_of_30_mpegts": (*_intro(25, 5), *_H264, *_ONE_KEYFRAME, "-f", "mpegts"),
    "black_25_of_30_live_webm": (*_intro(25, 5), *VP8, "-g", "9999", *_LIVE),
    "black_25_of_30_flv": (*_intro(25, 5), *_H264, "-g", "50", "-f", "flv"),
    "black_25_of_30_avi": (*_intro(25, 5), "-c:v", "mpeg4", "-g", "50", "-f", "avi"),
    "black_25_of_30_mpeg": (*_intro(25, 5), "-c:v", "mpeg2video", "-f", "mpeg"),
    "black_from_10_to_30_of_200": (*_gap(10, 20, 170, 5), *_H264, "-g", "5", "-f", "mp4"),
    "picture_in_the_first_second": (*_gap(1, 29, 0.04), *_H264, "-g", "50", "-f", "mp4"),
    "white_25_of_30": (*_colour_intro("white"), *_H264, "-g", "50", "-f", "mp4"),
    "white_25_of_30_one_keyframe": (*_colour_intro("white"), *_H264, *_ONE_KEYFRAME, "-f", "mp4"),
    "blue_25_of_30_live_webm": (*_colour_intro("blue"), *VP8, "-g", "9999", *_LIVE),
    # -- timestamps and indexes
    "mpegts_from_3600": (*_picture(10), *_H264, *_SHIFTED, "-f", "mpegts"),
    "matroska_from_3600": (*_picture(10), *_H264, *_SHIFTED, "-f", "matroska"),
    "live_webm_from_3600": (*_picture(4), *VP8, *_SHIFTED, *_LIVE),
    # -- codecs and containers
    "ogg_theora": (*_picture(), "-c:v", "libtheora", "-q:v", "8", "-f", "ogg"),
    "asf_wmv2": (*_picture(), "-c:v", "wmv2", "-f", "asf"),
    "mxf_mpeg2": (*_picture(width=720, height=576), "-c:v", "mpeg2video", "-q:v", "2", "-f", "mxf"),
    "dv": (*_picture(1, 720, 576), "-c:v", "dvvideo", "-pix_fmt", "yuv420p", "-f", "dv"),
    "prores": (*_picture(), "-c:v", "prores_ks", "-f", "mov"),
    "av1_10_bits": (*_picture(1), "-c:v", "libsvtav1", "-preset", "12", "-pix_fmt", "yuv420p10le", "-f", "mp4"),
    "vp9": (*_picture(1), *VP9, "-f", "webm"),
    "flash_screen": (*_picture(1), "-c:v", "flashsv", "-f", "flv"),
    "uncompressed": (*_picture(1), "-c:v", "rawvideo", "-pix_fmt", "bgr24", "-f", "avi"),
    "ffv1": (*_picture(1), "-c:v", "ffv1", "-f", "matroska"),
    "motion_jpeg": (*_picture(1), "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-f", "avi"),
    # -- shapes and transparency
    "odd_size": (
        *_picture(1, 322, 242, ",crop=321:241:0:0:exact=1"),
        *("-c:v", "libx264", "-pix_fmt", "yuv444p", "-f", "mp4"),
    ),
    "thin": (*_source("color=red:size=2000x2:duration=1"), *_H264, "-f", "mp4"),
    "prores_alpha": (*_cut_out("yuva444p10le"), "-c:v", "prores_ks", "-f", "mov"),
    "animation_alpha": (*_cut_out("argb"), "-c:v", "qtrle", "-f", "mov"),
    # -- covers
    "m4a_png_cover": (
        *("-f", "lavfi", "-i", "sine=duration=2", "-i", "{png}", "-map", "0", "-map", "1", "-c:a", "aac"),
        *("-c:v", "copy", "-disposition:v", "attached_pic", "-f", "ipod"),
    ),
    "mp3_png_cover": (
        *("-i", "{mp3}", "-i", "{png}", "-map", "0", "-map", "1", "-c", "copy", "-id3v2_version", "3"),
        *("-disposition:v", "attached_pic", "-f", "mp3"),
    ),
    "flac_png_cover": (
        *("-i", "{flac}", "-i", "{png}", "-map", "0", "-map", "1", "-c", "copy"),
        *("-disposition:v", "attached_pic", "-f", "flac"),
    ),
}
FILMS = tuple(_FILMS)


@functools.cache
def film(name: str) -> bytes:
    """The film of that name."""
    arguments = [str(sample(part[1:-1])) if part.startswith("{") else part for part in _FILMS[name]]
    if "-live" in arguments:  # into a pipe: the muxer cannot go back to fill in durations
        return ffmpeg(*arguments, "pipe:1")
    return made_once(directory() / f"film-{name}", lambda path: ffmpeg(*arguments, path)).read_bytes()


def patches(colours: NDArray[np.uint16], *arguments: str) -> bytes:
    """A Matroska film of patches of 64 x 64 side by side, of these 16-bit RGB values."""
    pixels = colours[None, :, :].repeat(64, axis=0).repeat(64, axis=1)
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb48le", "-s", f"{pixels.shape[1]}x64", "-i", "pipe:0")
    return ffmpeg(*raw, *arguments, "-f", "matroska", "pipe:1", standard_input=pixels.tobytes())


def combed(top: str, bottom: str) -> bytes:
    """An interlaced film whose first field has one colour and whose second field has the other."""
    size = "size=720x288:rate=25:duration=1"
    fields = f"color={top}:{size},format=yuv422p[a];color={bottom}:{size},format=yuv422p,setpts=PTS+0.02/TB[b]"
    woven = f"{fields};[a][b]interleave,weave=first_field=top,setfield=tff"
    encoder = ("-c:v", "mpeg2video", "-pix_fmt", "yuv422p", "-q:v", "2", "-flags", "+ildct+ilme")
    return ffmpeg(*_source(woven), *encoder, "-f", "mpegts", "pipe:1")


def heic_sequence() -> bytes:
    """A HEIC of moving pictures: an mp4 with HEVC, but for its brand."""
    encoder = (
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        "log-level=none",
        "-tag:v",
        "hvc1",
        "-f",
        "mp4",
    )
    path = made_once(directory() / "film-hevc", lambda path: ffmpeg(*_picture(1), *encoder, path))
    return path.read_bytes().replace(b"ftypisom", b"ftyphevc", 1)
