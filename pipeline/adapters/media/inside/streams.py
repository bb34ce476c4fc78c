"""Converts a stream of PyAV into a `VideoStream`, `AudioStream` or `SubtitleStream`.

Guarantee: any stream gives a valid result or None, never an exception. Sizes follow the rule in `schemas/media.py`:
pixel aspect ratio first, then rotation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.stream import Disposition
from av.stream import Stream as Source

from pipeline.adapters.media.inside.names import HDR_TRANSFER, MATRIX, PRIMARIES, RANGE, TRANSFER
from pipeline.adapters.media.inside.orientation import UPRIGHT, Orientation
from pipeline.adapters.media.inside.printed import Printed
from pipeline.adapters.media.inside.values import count, language, pixels, text, within
from schemas.media import AudioStream, Colour, SubtitleStream, VideoStream

_MAX_FRAME_RATE = 1000.0  # without a rate, libavformat reports the clock (such as 90,000)
_COVER = Disposition.attached_pic | Disposition.timed_thumbnails


_PCM_BITS = re.compile(r"pcm_[suf](\d{1,2})")
_BITS_OF_CODEC: Mapping[str, int] = {
    **dict.fromkeys(("pcm_alaw", "pcm_mulaw", "pcm_vidc"), 8),
    **dict.fromkeys(("dsd_lsbf", "dsd_msbf", "dsd_lsbf_planar", "dsd_msbf_planar"), 1),
    **dict.fromkeys(("adpcm_sbpro_2",), 2),
    **dict.fromkeys(("adpcm_sbpro_3",), 3),
    **dict.fromkeys(
        (
            "adpcm_argo", "adpcm_ct", "adpcm_ima_alp", "adpcm_ima_amv", "adpcm_ima_apc", "adpcm_ima_apm",
            "adpcm_ima_cunning", "adpcm_ima_ea_sead", "adpcm_ima_magix", "adpcm_ima_oki", "adpcm_ima_qt",
            "adpcm_ima_ssi", "adpcm_ima_wav", "adpcm_ima_ws", "adpcm_ms", "adpcm_sbpro_4", "adpcm_swf",
            "adpcm_g722", "adpcm_yamaha", "adpcm_aica",
        ),
        4,
    ),
}  # fmt: skip


_CODEC_OF_ITEM = {"vvc1": "vvc", "j2k1": "jpeg2000", "jpeg": "mjpeg", "avc1": "h264", "unci": "rawvideo"}


@dataclass(frozen=True, slots=True)
class Known:
    """What was found about a stream elsewhere: in its header, or in the description of it that libavformat prints.
    None and upright: nothing. It replaces what PyAV reports."""

    codec: str | None = None
    index: int | None = None
    width: int | None = None
    height: int | None = None
    pixel_format: str | None = None
    bit_depth: int | None = None
    orientation: Orientation = UPRIGHT
    dolby_vision: bool = False
    tiled: bool = False
    still: bool = False
    frame_rate: float | None = None
    colour: Colour | None = None

    @classmethod
    def of(cls, parsed: Printed | None) -> Known:
        """What libavformat printed."""
        if parsed is None:
            return cls()
        return cls(
            codec=parsed.codec,
            width=parsed.width,
            height=parsed.height,
            bit_depth=parsed.bit_depth,
            colour=parsed.colour,
            dolby_vision=parsed.dolby_vision,
        )


def stream_of(source: Source, known: Known) -> VideoStream | AudioStream | SubtitleStream | None:
    """None for data, and for pictures of unknown size."""
    context: Any = source.codec_context
    common: dict[str, Any] = {
        "index": source.index if known.index is None else known.index,
        "codec": _codec(known.codec or (context and context.codec.canonical_name)),
        "profile": text(context.profile) if context else None,
        "language": language(source.metadata.get("language")),
        "default": bool(source.disposition & Disposition.default),
    }
    match source.type:
        case "video":
            return _video(source, context, common, known)
        case "audio":
            return _audio(context, common, known)
        case "subtitle":
            return SubtitleStream(**common)
        case _:
            return None


def _codec(name: str | None) -> str:
    """libavformat calls a codec that it does not know `none`."""
    return "unknown" if name == "none" else text(name, 64) or "unknown"


def is_cover(source: Source) -> bool:
    """Whether this is a picture that is stored beside the content."""
    return bool(source.disposition & _COVER)


def _audio(context: Any, common: dict[str, Any], known: Known) -> AudioStream:
    if context is None:
        return AudioStream(**common)
    layout = text(context.layout.name)
    return AudioStream(
        **common,
        channels=within(context.channels, 1024),
        channel_layout=None if layout is None or layout.endswith("channels") else layout,
        sample_rate=pixels(context.sample_rate),
        bit_depth=within(known.bit_depth, 64) or _sample_bits(common["codec"]),
        bit_rate=count(context.bit_rate),
    )


def _video(source: Any, context: Any, common: dict[str, Any], known: Known) -> VideoStream | None:
    coded_width = pixels(known.width) or pixels(context.width if context else None)
    coded_height = pixels(known.height) or pixels(context.height if context else None)
    if coded_width is None or coded_height is None:
        return None
    aspect = _aspect(source.sample_aspect_ratio if context else None)
    width, height = pixels(max(1, round(coded_width * aspect))), coded_height
    if width is None:
        width, aspect = coded_width, 1.0
    if known.orientation.rotation in (90, 270):
        width, height = height, width
    cover = is_cover(source)
    nominal, average = _rate(source.base_rate), _rate(source.average_rate)
    if average is None and source.average_rate:  # a clock, and no rate
        average = nominal
    if nominal and average and nominal > 1.5 * average:  # it counts fields, or the smallest step of a variable rate
        nominal = average
    if known.frame_rate:
        nominal = average = _rate(known.frame_rate)
    if cover or known.still:
        nominal = average = None
    pixel_format = text(known.pixel_format or (context and context.pix_fmt), 64)
    colour = known.colour or _colour(context)
    return VideoStream(
        **common,
        width=width,
        height=height,
        coded_width=coded_width,
        coded_height=coded_height,
        sample_aspect_ratio=aspect,
        rotation=known.orientation.rotation,
        mirrored=known.orientation.mirrored,
        frame_rate=nominal or average,
        average_frame_rate=average,
        pixel_format=pixel_format,
        bit_depth=within(known.bit_depth, 64) or _component_bits(pixel_format),
        colour=colour,
        hdr=colour.transfer in HDR_TRANSFER or known.dolby_vision,
        bit_rate=count(context.bit_rate) if context and not known.still else None,
        attached_picture=cover,
        tiled=known.tiled,
    )


def unread_stream(codec: str, width: int, height: int, bit_depth: int, turned: Orientation) -> VideoStream | None:
    """A picture whose codec libavformat does not know; None for an impossible size."""
    coded_width, coded_height = pixels(width), pixels(height)
    if coded_width is None or coded_height is None:
        return None
    sideways = turned.rotation in (90, 270)
    return VideoStream(
        index=0,
        codec=_CODEC_OF_ITEM.get(codec) or text(codec, 64) or "unknown",
        width=coded_height if sideways else coded_width,
        height=coded_width if sideways else coded_height,
        coded_width=coded_width,
        coded_height=coded_height,
        rotation=turned.rotation,
        mirrored=turned.mirrored,
        bit_depth=within(bit_depth, 64),
    )


def _colour(context: Any) -> Colour:
    if context is None:
        return Colour()
    return Colour(
        primaries=PRIMARIES.get(context.color_primaries),
        transfer=TRANSFER.get(context.color_trc),
        matrix=MATRIX.get(context.colorspace),
        range=RANGE.get(context.color_range),
    )


def _aspect(value: Fraction | None) -> float:
    """1.0 also for pixels so long that the header must be damaged."""
    aspect = float(value) if value else 1.0
    return aspect if 1 / 100 <= aspect <= 100 else 1.0


def _rate(value: Fraction | float | None) -> float | None:
    rate = float(value) if value else 0.0
    return round(rate, 6) if 1e-6 <= rate <= _MAX_FRAME_RATE else None


def _component_bits(pixel_format: str | None) -> int | None:
    """Bits per component of a pixel format."""
    if pixel_format is None:
        return None
    try:
        parts = av.VideoFormat(pixel_format).components
    except ValueError:
        return None
    return within(max((part.bits for part in parts), default=0), 64)


def _sample_bits(codec: str) -> int | None:
    """Bits per sample where the codec fixes them (libavcodec's av_get_bits_per_sample)."""
    if codec in _BITS_OF_CODEC:
        return _BITS_OF_CODEC[codec]
    if found := _PCM_BITS.match(codec):
        return within(int(found[1]), 64)
    return None
