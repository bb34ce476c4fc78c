"""What libavformat prints about streams and PyAV does not expose: names, sizes and colours of codecs without a decoder,
the bits of a sample that fill only a part of its storage, and Dolby Vision.

Guarantee: a mapping for any file. The lines are libavformat's own (av_dump_format); tags are in them too, so a file can
state something false about itself here, as it can anywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import av.logging
from av.container import InputContainer
from av.stream import Stream

from schemas.media import Colour

_LINE = re.compile(
    r"^ +Stream #0:(?P<index>\d{1,4})(?:\[0x[0-9a-f]+\])?(?:\([^)]{1,16}\))?: (?:Video|Audio|Subtitle): "
    r"(?P<codec>[a-z0-9_]{1,32})(?P<rest>.*)$"
)
_SIZE = re.compile(r", (\d{1,9})x(\d{1,9})")
_COLOUR = re.compile(r"\((?:(tv|pc)[,)])?[^()]*?\b([a-z0-9-]+)/([a-z0-9-]+)/([a-z0-9-]+)")
_SAMPLE_BITS = re.compile(r"\bs(?:16|32)p? \((\d{1,2}) bit\)")
_COMPONENT_BITS = re.compile(r"\((?:[^()]*, )?(\d{1,2}) bpc[,)]")
_FILLED = re.compile(r"\bs(16|32)p?\b")
_LOSSLESS = frozenset({"flac", "alac", "wavpack", "tta", "ape", "truehd", "mlp", "wmalossless", "tak", "shorten"})
_UNSTATED = frozenset({"unknown", "reserved"})
_DOLBY_VISION = re.compile(r"^ +DOVI configuration record: version: \d")
_MAY_BE_DOLBY_VISION = frozenset({"hevc", "av1", "h264", "vvc"})
_DEEP_BITS = 16
_MAX_TAGS = 1000


@dataclass(frozen=True, slots=True)
class Printed:
    """None: not stated."""

    codec: str | None = None
    width: int | None = None
    height: int | None = None
    bit_depth: int | None = None
    colour: Colour | None = None
    dolby_vision: bool = False


def printed(container: InputContainer) -> Mapping[int, Printed]:
    """By the stream's index; empty if PyAV says everything about all of them."""
    streams = list(container.streams)
    if not any(_is_incomplete(stream) for stream in streams) or _tags(container, streams) > _MAX_TAGS:
        return {}
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        text: str = cast(Any, container).dumps_format()  # PyAV's stubs lack it
    finally:
        av.logging.set_level(level)
    found: dict[int, Printed] = {}
    index = -1
    for line in text.splitlines():
        if match := _LINE.match(line):
            index = int(match["index"])
            found.setdefault(index, _parse(match["codec"], match["rest"][:1000]))
        elif index in found and _DOLBY_VISION.match(line):
            found[index] = replace(found[index], dolby_vision=True)
    return {
        stream.index: _supplement(found[stream.index], stream)
        for stream in streams
        if stream.index in found and _is_incomplete(stream)
    }


def _supplement(parsed: Printed, stream: Stream) -> Printed:
    """What PyAV cannot say about this stream."""
    return parsed if stream.codec_context is None else replace(parsed, codec=None, width=None, height=None, colour=None)


def _is_incomplete(stream: Stream) -> bool:
    context: Any = stream.codec_context
    if context is None:
        return stream.type in ("video", "audio", "subtitle")
    name = context.codec.canonical_name
    if stream.type == "audio":
        return name in _LOSSLESS
    if name in _MAY_BE_DOLBY_VISION:
        return True
    form = context.format if stream.type == "video" else None
    return form is not None and max((part.bits for part in form.components), default=0) >= _DEEP_BITS


def _tags(container: InputContainer, streams: Iterable[Stream]) -> int:
    return len(container.metadata) + sum(len(stream.metadata) for stream in streams)


def _parse(codec: str, rest: str) -> Printed:
    size, bits = _SIZE.search(rest), _SAMPLE_BITS.search(rest) or _COMPONENT_BITS.search(rest)
    if bits is None and codec in _LOSSLESS:
        bits = _FILLED.search(rest)
    return Printed(
        codec=codec,
        width=int(size[1]) if size else None,
        height=int(size[2]) if size else None,
        bit_depth=int(bits[1]) if bits else None,
        colour=_colour(rest),
    )


def _colour(rest: str) -> Colour | None:
    match = _COLOUR.search(rest)
    if match is None:
        return None
    matrix, primaries, transfer = (None if name in _UNSTATED else name for name in match.groups()[1:])
    return Colour(primaries=primaries, transfer=transfer, matrix=matrix, range=match[1])
