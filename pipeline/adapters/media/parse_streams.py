"""Converts one stream of ffprobe's JSON into a `VideoStream`, `AudioStream` or `SubtitleStream`.

Guarantee: any mapping gives a valid stream or None, never an exception. Sizes follow the rule in `schemas/media.py`:
pixel aspect ratio first, then rotation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipeline.adapters.media.values import count, fraction, mapping, mappings, number, pixels, text
from schemas.media import AudioStream, Colour, Rotation, SubtitleStream, VideoStream

_HDR_TRANSFERS = {"smpte2084", "arib-std-b67"}
_MAX_FRAME_RATE = 1000.0  # without a rate, ffprobe reports the clock (such as 90,000)
_DEEP_FORMATS = {
    "rgb48": 16,
    "bgr48": 16,
    "rgba64": 16,
    "bgra64": 16,
    "p010": 10,
    "p012": 12,
    "p016": 16,
    "x2rgb10": 10,
    "x2bgr10": 10,
}
_DEPTH_SUFFIX = re.compile(r"(?:p|gray|y|ya)(9|10|12|14|16)(?:le|be)?$")


def stream_of(raw: Mapping[str, Any], *, tiled: bool = False) -> VideoStream | AudioStream | SubtitleStream | None:
    """None for data streams, and for pictures of unknown size."""
    disposition = mapping(raw.get("disposition"))
    common: dict[str, Any] = {
        "index": min(count(raw.get("index")) or 0, 2**31),
        "codec": text(raw.get("codec_name"), 64) or "unknown",
        "profile": _profile(raw.get("profile")),
        "language": text(mapping(raw.get("tags")).get("language"), 16),
        "default": bool(count(disposition.get("default"))),
    }
    match raw.get("codec_type"):
        case "video":
            return _video(raw, common, disposition, tiled)
        case "audio":
            return AudioStream(
                **common,
                channels=_within(raw.get("channels"), 1024),
                channel_layout=text(raw.get("channel_layout")),
                sample_rate=pixels(raw.get("sample_rate")),
                bit_depth=_within(raw.get("bits_per_raw_sample"), 64) or _within(raw.get("bits_per_sample"), 64),
                bit_rate=count(raw.get("bit_rate")),
            )
        case "subtitle":
            return SubtitleStream(**common)
        case _:
            return None


def _video(
    raw: Mapping[str, Any], common: dict[str, Any], disposition: Mapping[str, Any], tiled: bool
) -> VideoStream | None:
    # ffprobe's coded_width is padded to the codec's blocks (1088 for 1080); width is that of the stored picture.
    coded_width, coded_height = pixels(raw.get("width")), pixels(raw.get("height"))
    if coded_width is None or coded_height is None:
        return None
    side_data = mappings(raw.get("side_data_list"), 32)
    rotation, mirrored = _orientation(side_data, mapping(raw.get("tags")))
    aspect = fraction(raw.get("sample_aspect_ratio")) or 1.0
    width, height = pixels(max(1, round(coded_width * aspect))), coded_height
    if width is None or not 1 / 100 <= aspect <= 100:  # no real pixels are that long: the header is damaged
        width, aspect = coded_width, 1.0
    if rotation in (90, 270):
        width, height = height, width
    attached = bool(count(disposition.get("attached_pic")) or count(disposition.get("timed_thumbnails")))
    nominal, average = _rate(raw.get("r_frame_rate")), _rate(raw.get("avg_frame_rate"))
    if nominal and average and nominal > 1.5 * average:  # it counts fields, or the smallest step of a variable rate
        nominal = average
    pixel_format = text(raw.get("pix_fmt"), 64)
    transfer = text(raw.get("color_transfer"), 64)
    return VideoStream(
        **common,
        width=width,
        height=height,
        coded_width=coded_width,
        coded_height=coded_height,
        sample_aspect_ratio=aspect,
        rotation=rotation,
        mirrored=mirrored,
        frame_rate=None if attached else nominal or average,
        average_frame_rate=None if attached else average,
        pixel_format=pixel_format,
        bit_depth=_within(raw.get("bits_per_raw_sample"), 64) or _depth(pixel_format),
        colour=Colour(
            primaries=text(raw.get("color_primaries"), 64),
            transfer=transfer,
            matrix=text(raw.get("color_space"), 64),
            range=text(raw.get("color_range"), 64),
        ),
        hdr=transfer in _HDR_TRANSFERS
        or any(str(entry.get("side_data_type")).startswith("DOVI") for entry in side_data),
        bit_rate=count(raw.get("bit_rate")),
        attached_picture=attached,
        tiled=tiled,
    )


def _orientation(side_data: Any, tags: Mapping[str, Any]) -> tuple[Rotation, bool]:
    """Degrees clockwise, and whether the picture is flipped left to right before it is rotated.

    The display matrix (ISO/IEC 14496-12, 6.2.2) maps (x, y) to (ax + cy, bx + dy) with y downwards, so a clockwise
    rotation by 90 is a=0 b=1 c=-1 d=0; a negative determinant is a flip. ffprobe prints it row by row (a b u, c d v,
    x y w). Its `rotation` counts counterclockwise and omits flips, so it is used only without a matrix, as is the old
    tag `rotate`, which counts clockwise.
    """
    for entry in side_data:
        rows = re.findall(r"-?\d+", re.sub(r"\d{8}:", " ", str(entry.get("displaymatrix") or "")[:512]))
        if len(rows) == 9:
            a, b, c, d = (int(rows[at]) for at in (0, 1, 3, 4))
            mirrored = a * d - b * c < 0
            return _turn(-a if mirrored else a, -b if mirrored else b), mirrored
        if (degrees := number(entry.get("rotation"))) is not None:
            return _quarter(-degrees), False
    return _quarter(number(tags.get("rotate")) or 0.0), False


def _turn(a: int, b: int) -> Rotation:
    """The quarter turn that is closest to (a, b), the direction of the stored x axis on the screen."""
    if abs(a) >= abs(b):
        return 0 if a >= 0 else 180
    return 90 if b > 0 else 270


def _quarter(degrees: float) -> Rotation:
    quarters: tuple[Rotation, ...] = (0, 90, 180, 270)
    return quarters[round(degrees / 90) % 4]


def _rate(value: Any) -> float | None:
    rate = fraction(value)
    return round(rate, 6) if rate is not None and 1e-6 <= rate <= _MAX_FRAME_RATE else None


def _depth(pixel_format: str | None) -> int | None:
    if pixel_format is None:
        return None
    if found := _DEPTH_SUFFIX.search(pixel_format):
        return int(found[1])
    base = re.sub(r"(le|be)$", "", pixel_format)
    return _DEEP_FORMATS.get(base, 1 if base.startswith("mono") else 8)


def _within(value: Any, limit: int) -> int | None:
    result = count(value)
    return result if result is not None and 1 <= result <= limit else None


def _profile(value: Any) -> str | None:
    """None for a bare number, which codecs without named profiles give (-99 for no profile)."""
    words = text(value)
    return None if words is None or words.lstrip("-").isdigit() else words
