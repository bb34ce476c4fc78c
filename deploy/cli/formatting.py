"""Formats sizes, times and media metadata for people. Pure functions; JSON output does not use them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from schemas.media import AudioStream, MediaMetadata, Stream, VideoStream

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def format_bytes(count: float) -> str:
    """1536 -> "1.5 KiB". Below 1 KiB there are no decimals."""
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count /= 1024
        unit += 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 else f"{count:.1f} {_UNITS[unit]}"


def format_part(part: float, whole: float) -> str:
    """(5 MiB, 1 GiB) -> "0.0 of 1.0 GiB": both in the unit of the whole."""
    number, unit = format_bytes(whole).split()
    scale = 1024 ** _UNITS.index(unit)
    return f"{part / scale:.{0 if scale == 1 else 1}f} of {number} {unit}"


def format_clock(seconds: float) -> str:
    """42 -> "0:42", 3725 -> "1:02:05"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def format_seconds(seconds: float | None) -> str:
    """0.04 -> "40 ms", 75 -> "1:15 min", 3725 -> "1:02:05 h"; "-" for None."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h"


def format_time(moment: datetime | None) -> str:
    """Local time to the second; "-" for None."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else "-"


def format_ranges(ranges: Iterable[Sequence[int]]) -> str:
    """[(1, 3), (7, 7)] -> "1-3, 7"; "none" when there are none."""
    texts = [f"{first}" if first == last else f"{first}-{last}" for first, last in ranges]
    return ", ".join(texts) or "none"


def count_of(ranges: Iterable[Sequence[int]]) -> int:
    """How many numbers the inclusive `ranges` contain."""
    return sum(last - first + 1 for first, last in ranges)


def format_bit_rate(bits_per_second: int | None) -> str:
    """2500000 -> "2.5 Mbit/s"; "-" for None."""
    if bits_per_second is None:
        return "-"
    return f"{bits_per_second / 1e6:.1f} Mbit/s" if bits_per_second >= 1e6 else f"{bits_per_second / 1e3:.0f} kbit/s"


def format_media(media: MediaMetadata) -> str:
    """One line about the whole file."""
    facts = [media.kind, media.container]
    if media.duration_seconds is not None:
        facts.append(format_seconds(media.duration_seconds))
    if media.bit_rate is not None:
        facts.append(format_bit_rate(media.bit_rate))
    return " · ".join(facts)


def format_early(media: MediaMetadata) -> str:
    """The most important facts in one line, such as `mp4, h264 1920x1080, aac, 12.0 s`."""
    facts = [media.container]
    picture = media.picture
    if picture is not None and not (media.kind == "audio" and picture.attached_picture):
        facts.append(f"{picture.codec} {picture.width}x{picture.height}")
    sound = next((stream for stream in media.streams if isinstance(stream, AudioStream)), None)
    if sound is not None:
        facts.append(sound.codec)
    if media.duration_seconds is not None:
        facts.append(format_seconds(media.duration_seconds))
    return ", ".join(facts)


def format_stream(stream: Stream) -> str:
    """One line about one stream."""
    facts = [stream.codec + (f" ({stream.profile})" if stream.profile else "")]
    if isinstance(stream, VideoStream):
        facts.append(f"{stream.width}x{stream.height}")
        if stream.rotation:
            facts.append(f"rotated by {stream.rotation}°")
        if stream.frame_rate is not None:
            facts.append(f"{stream.frame_rate:g} frames/s")
        facts += [fact for fact in (stream.pixel_format, "HDR" if stream.hdr else None) if fact]
    if isinstance(stream, AudioStream):
        if stream.channels is not None:
            facts.append(stream.channel_layout or f"{stream.channels} channels")
        if stream.sample_rate is not None:
            facts.append(f"{stream.sample_rate} Hz")
    if isinstance(stream, VideoStream | AudioStream) and stream.bit_rate is not None:
        facts.append(format_bit_rate(stream.bit_rate))
    if stream.language:
        facts.append(stream.language)
    return " · ".join(facts)
