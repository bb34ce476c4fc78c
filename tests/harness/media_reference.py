"""Metadata by ffprobe as flat facts, and the facts of a `MediaMetadata`, to compare the two.

A fact is a name such as `streams.0.codec` and a value; a name is missing where nothing is stated.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.media import MediaMetadata, VideoStream

Facts = Mapping[str, Any]
_UNSTATED = {None, "", "unknown", "N/A", "und", "reserved"}
_FIELDS = {
    "codec_name": "codec", "profile": "profile", "width": "coded_width", "height": "coded_height",
    "pix_fmt": "pixel_format", "color_range": "range", "color_space": "matrix", "color_transfer": "transfer",
    "color_primaries": "primaries", "channels": "channels", "channel_layout": "channel_layout",
    "sample_rate": "sample_rate", "bit_rate": "bit_rate",
}  # fmt: skip
_NUMBERS = {"sample_rate", "bit_rate"}
_TAGS = ("title", "artist", "comment", "encoder", "creation_time")


def ffprobe_facts(executable: str, path: Path) -> Facts:
    """What this ffprobe says about the whole file."""
    command = [executable, "-v", "error", "-of", "json", "-show_format", "-show_streams", str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, check=False, timeout=120).stdout or b"{}")
    form = found.get("format", {})
    facts: dict[str, Any] = {
        "duration_seconds": _number(form.get("duration")),
        "bit_rate": _number(form.get("bit_rate")),
    }
    streams = found.get("streams", [])
    of_stream = streams[0].get("tags", {}) if streams and form.get("format_name") == "ogg" else {}
    tags = {key.lower(): value for key, value in (of_stream | form.get("tags", {})).items()}
    texts = {f"tags.{name}": tags[name] for name in _TAGS if name in tags}
    for stream in streams:
        if stream.get("codec_type") in ("video", "audio", "subtitle"):
            facts |= {f"streams.{stream['index']}.{name}": value for name, value in _stream(stream).items()}
    return texts | {name: value for name, value in facts.items() if value and value not in _UNSTATED}


def metadata_facts(metadata: MediaMetadata) -> Facts:
    """What the reader says."""
    facts: dict[str, Any] = {"duration_seconds": metadata.duration_seconds, "bit_rate": metadata.bit_rate}
    facts |= {f"tags.{name}": value for name, value in metadata.tags.items() if name in _TAGS}
    for stream in metadata.streams:
        fields = stream.model_dump()
        if isinstance(stream, VideoStream):
            fields |= fields.pop("colour")
            fields["turned"] = (stream.rotation, stream.mirrored) if stream.rotation or stream.mirrored else None
            fields["aspect"] = round(stream.sample_aspect_ratio, 3) if stream.sample_aspect_ratio != 1 else None
        names = (*_FIELDS.values(), "type", "language", "default", "bit_depth", "turned", "aspect", "frame_rate",
                 "average_frame_rate", "attached_picture")  # fmt: skip
        facts |= {f"streams.{stream.index}.{name}": fields[name] for name in names if fields.get(name)}
    return {name: value for name, value in facts.items() if value is not None}


def same(one: Any, other: Any) -> bool:
    """Whether two values mean the same: numbers within a thousandth."""
    if isinstance(one, float | int) and isinstance(other, float | int) and not isinstance(one, bool):
        return abs(one - other) <= max(0.0015, 0.001 * abs(one))
    return bool(one == other)


def _stream(raw: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {"type": raw["codec_type"], "language": raw.get("tags", {}).get("language")}
    for field, name in _FIELDS.items():
        value = raw.get(field)
        facts[name] = _number(value) if field in _NUMBERS else value
    if (
        str(facts["profile"]).lstrip("-").isdigit() and facts["profile"] != "4444"
    ):  # the number of a profile without a name
        facts["profile"] = None
    disposition = raw.get("disposition", {})
    facts["default"] = bool(disposition.get("default")) or None
    facts["attached_picture"] = bool(disposition.get("attached_pic")) or None
    facts["bit_depth"] = _number(raw.get("bits_per_raw_sample")) or _number(raw.get("bits_per_sample")) or None
    if raw["codec_type"] == "video":
        facts |= _video(raw)
    return facts


def _video(raw: Mapping[str, Any]) -> dict[str, Any]:
    aspect = _ratio(raw.get("sample_aspect_ratio"))
    nominal, average = _ratio(raw.get("r_frame_rate")), _ratio(raw.get("avg_frame_rate"))
    if nominal and average and nominal > 1.5 * average:
        nominal = average
    return {
        "aspect": round(aspect, 3) if aspect and aspect != 1 else None,
        "frame_rate": nominal or average,
        "average_frame_rate": average,
        "turned": _turned(raw.get("side_data_list", [])),
    }


def _turned(side_data: list[Mapping[str, Any]]) -> tuple[int, bool] | None:
    """From the display matrix, which ffprobe prints row by row with y downwards."""
    for entry in side_data:
        rows = [int(value) for value in re.findall(r"-?\d+", re.sub(r"\d{8}:", " ", entry.get("displaymatrix", "")))]
        if len(rows) == 9:
            a, b, c, d = rows[0], rows[1], rows[3], rows[4]
            mirrored = a * d - b * c < 0
            across, down = (-a, -b) if mirrored else (a, b)
            turn = (0 if across > 0 else 180) if abs(across) >= abs(down) else 90 if down > 0 else 270
            return (turn, mirrored) if turn or mirrored else None
    return None


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _ratio(value: Any) -> float | None:
    above, _, below = str(value).replace(":", "/").partition("/")
    dividend, divisor = _number(above), _number(below)
    return dividend / divisor if dividend and divisor else None
