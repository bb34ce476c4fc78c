"""What a list of contents can be filtered and sorted by.

Names: a filter has the name of the content's field, which is also the column's name. `min_` and `max_` bound numbers
and times, both inclusive. A content whose value is unknown matches no filter of that field.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from schemas.content import Content
from schemas.media import MediaKind, Rotation
from schemas.owners import OwnerFilter
from schemas.times import UtcTime

SORT_FIELDS = (
    "created_at", "kind", "content_type", "container_format", "video_codec", "audio_codec", "size_bytes",
    "duration_seconds", "width", "height", "rotation", "bit_rate", "frame_rate", "channels", "sample_rate",
)  # fmt: skip

NEWEST_FIRST = "-created_at"

MAX_ESSENCE_CHARACTERS = 255
"""Lists are sorted by so many characters of content types."""

_SORTS = [sign + field for field in SORT_FIELDS for sign in ("-", "")]
_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"  # PostgreSQL refuses NUL
_WHOLE = re.compile(r"[0-9]{1,19}")
_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def _whole(value: Any) -> Any:
    """Digits only. pydantic alone also accepts `1_0` and spaces."""
    if not isinstance(value, str):
        return value
    if not _WHOLE.fullmatch(value):
        raise PydanticCustomError("whole_number", "Input should be a whole number of at most 19 digits")
    return int(value)


def _decimal(value: Any) -> Any:
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise PydanticCustomError("decimal_number", "Input should be a number that is not negative, such as 2.5")
    return value


def _frames_per_second(value: Any) -> Any:
    """A number, or a fraction such as 30000/1001, with six decimals like the values in the database."""
    above, slash, below = str(value).partition("/")
    if slash:
        if not (_WHOLE.fullmatch(above) and _WHOLE.fullmatch(below) and int(below)):
            raise PydanticCustomError("fraction", "Input should be a number or a fraction such as 30000/1001")
        return round(int(above) / int(below), 6)
    return round(float(_decimal(above)), 6)


def _known_sort(value: str) -> str:
    if value not in _SORTS:
        raise PydanticCustomError("sort", "Input should be one of: {names}", {"names": ", ".join(_SORTS)})
    return value


_Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=_PRINTABLE, to_lower=True)]
_Integer = Annotated[int, Field(ge=0, le=2**31 - 1), BeforeValidator(_whole)]
_LongInteger = Annotated[int, Field(ge=0, le=2**63 - 1), BeforeValidator(_whole)]
_Decimal = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_decimal)]
_FrameRate = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_frames_per_second)]

Sort = Annotated[str, AfterValidator(_known_sort), WithJsonSchema({"type": "string", "enum": _SORTS})]
"""A field of `SORT_FIELDS`; with `-` in front, the largest value comes first. Contents without a value come last."""


class ContentFilters(OwnerFilter):
    """The filters of a list of contents. All that are given must match."""

    kind: MediaKind | None = Field(None, description="What a person would call the file")
    content_type: Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=_PRINTABLE)] | None = Field(
        None,
        description="Media type: video/webm matches every video/webm, with or without parameters; with parameters, "
        "exactly as in the content",
    )
    container_format: _Name | None = Field(None, description="mp4, mov, webm, matroska, mp3, jpeg, png, gif, heic, ...")
    video_codec: _Name | None = Field(
        None, description="Codec of the picture: h264, hevc, vp9, av1, ...; images have one too: mjpeg, png, gif, ..."
    )
    audio_codec: _Name | None = Field(None, description="Codec of the sound: aac, opus, mp3, flac, pcm_s16le, ...")
    width: _Integer | None = Field(None, description="Width as displayed, in pixels")
    min_width: _Integer | None = Field(None, description="Smallest width")
    max_width: _Integer | None = Field(None, description="Largest width")
    height: _Integer | None = Field(None, description="Height as displayed, in pixels")
    min_height: _Integer | None = Field(None, description="Smallest height")
    max_height: _Integer | None = Field(None, description="Largest height")
    rotation: Annotated[Rotation, BeforeValidator(_whole)] | None = Field(
        None, description="Degrees clockwise by which the stored picture is turned for display"
    )
    channels: _Integer | None = Field(None, description="Number of audio channels")
    min_channels: _Integer | None = Field(None, description="Smallest number of audio channels")
    max_channels: _Integer | None = Field(None, description="Largest number of audio channels")
    sample_rate: _Integer | None = Field(None, description="Audio samples per second, Hz")
    min_sample_rate: _Integer | None = Field(None, description="Lowest sample rate")
    max_sample_rate: _Integer | None = Field(None, description="Highest sample rate")
    min_duration_seconds: _Decimal | None = Field(None, description="Shortest duration")
    max_duration_seconds: _Decimal | None = Field(None, description="Longest duration")
    min_frame_rate: _FrameRate | None = Field(
        None, description="Lowest frame rate, a number or a fraction (30000/1001); rates have six decimals (29.97003)"
    )
    max_frame_rate: _FrameRate | None = Field(None, description="Highest frame rate, a number or a fraction")
    min_bit_rate: _LongInteger | None = Field(None, description="Lowest bit rate of the file, bits per second")
    max_bit_rate: _LongInteger | None = Field(None, description="Highest bit rate of the file")
    min_size_bytes: _LongInteger | None = Field(None, description="Smallest size of the file")
    max_size_bytes: _LongInteger | None = Field(None, description="Largest size of the file")
    min_created_at: UtcTime | None = Field(
        None, description="Earliest creation, as in RFC 3339; UTC if without an offset, midnight if without a time"
    )
    max_created_at: UtcTime | None = Field(None, description="Latest creation")


def essence(content_type: str) -> str:
    """What lists sort content types by: no parameters, no more characters than an index can hold."""
    return content_type.partition(";")[0][:MAX_ESSENCE_CHARACTERS]


def sort_value(content: Content, sort: str) -> int | float | str | None:
    """The content's value of the field that `sort` names; None for `created_at`, which is part of every position."""
    name = sort.removeprefix("-")
    if name == "created_at":
        return None
    if name == "size_bytes":
        return content.object.size_bytes
    if name == "content_type":
        return essence(content.content_type)
    value: int | float | str | None = getattr(content, name)
    return value
