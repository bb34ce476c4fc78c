"""Filters of lists of contents, as they come in a query string: what is accepted, and what is refused with its name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.api.contents import ContentQuery
from schemas.content import Content
from schemas.content_list import SORT_FIELDS, ContentFilters

pytestmark = pytest.mark.unit

LONG_INTEGERS = ["min_bit_rate", "max_bit_rate", "min_size_bytes", "max_size_bytes"]
INTEGERS = [bound + field for field in ("width", "height", "channels", "sample_rate") for bound in ("", "min_", "max_")]
FRACTIONS = ["min_duration_seconds", "max_duration_seconds", "min_frame_rate", "max_frame_rate"]

NO_NUMBERS = (
    *("", " ", "x", "null", "NaN", "nan", "inf", "-inf", "Infinity", "1e999", "9" * 400, "-1", "-0.5", "+1"),
    *(" 1", "1 ", "1_000", "0x10", "٣", "1e", "1,5", "1\x00"),
)
NO_TIMES = (
    *("", "x", "yesterday", "0", "5", "1e9", "1767268800", "NaN", "2026", "2026-13-01", "2026-02-30", "0000-01-01"),
    *("10000-01-01", "2026-01-01T00:00:00 02:00", "2026-01-01T25:00:00Z", "2026-01-01T00:00:00Z\x00"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
)
NO_RATES = ("0/0", "25/0", "/", "1/", "/1", "-1/1", "1/-1", "1.5/1", "1/2/3", "1/x", "30000:1001")
NO_SORTS = (
    *("", "-", "--created_at", "created", "+width", "width,height", "width desc", "id", "media", "WIDTH", "filename"),
)
BAD: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(INTEGERS, (*NO_NUMBERS, "1.0", "1.5", "1e3", "2147483648", "9223372036854775808")),
    **dict.fromkeys(LONG_INTEGERS, (*NO_NUMBERS, "1.0", "1.5", "1e3", "9223372036854775808", "9" * 20)),
    **dict.fromkeys(FRACTIONS, NO_NUMBERS),
    **dict.fromkeys(("min_frame_rate", "max_frame_rate"), (*NO_NUMBERS, *NO_RATES)),
    **dict.fromkeys(("min_created_at", "max_created_at"), NO_TIMES),
    **dict.fromkeys(("container_format", "video_codec", "audio_codec"), ("", "a\x00", "a\nb", "\x7f", "x" * 65)),
    "content_type": ("", "a\x00", "x" * 1025, "a\r\nb"),
    "kind": ("", "text", "VIDEO", "video,audio"),
    "rotation": ("", "45", "-90", "360", "90.0", "x", "NaN"),
    "sort": NO_SORTS,
    "limit": ("0", "-1", "201", "x"),
    "width_min": ("1",),
    "codec": ("h264",),
    "min_codec": ("h264",),
    "Kind": ("video",),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_wrong_value_is_refused_with_its_name(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ContentQuery.model_validate({name: value})
    assert {error["loc"][0] for error in refused.value.errors()} == {name}


@pytest.mark.parametrize(
    ("name", "value", "parsed"),
    [
        ("min_width", "0", 0),
        ("max_height", "2147483647", 2**31 - 1),
        ("width", "01920", 1920),
        ("min_bit_rate", "9223372036854775807", 2**63 - 1),
        ("max_size_bytes", "5000000000", 5_000_000_000),
        ("rotation", "270", 270),
        ("rotation", "0", 0),
        ("min_duration_seconds", "0.5", 0.5),
        ("max_duration_seconds", "1e3", 1000.0),
        ("min_frame_rate", "25", 25.0),
        ("min_frame_rate", "30000/1001", 29.97003),
        ("max_frame_rate", "24000/1001", 23.976024),
        ("max_frame_rate", "29.97002997", 29.97003),
        ("min_frame_rate", "0/1", 0.0),
        ("video_codec", "H264", "h264"),
        ("container_format", "MP4", "mp4"),
        ("content_type", "video/webm;codecs=vp9", "video/webm;codecs=vp9"),
        ("min_created_at", "2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("min_created_at", "2026-01-31T12:00:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("max_created_at", "2026-01-31T12:00:00.123456Z", datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)),
        ("max_created_at", "2026-01-31T01:00:00+02:00", datetime(2026, 1, 30, 23, tzinfo=UTC)),
        ("sort", "-bit_rate", "-bit_rate"),
    ],
)
def test_a_right_value_is_parsed(name: str, value: str, parsed: Any) -> None:
    assert getattr(ContentQuery.model_validate({name: value}), name) == parsed


@given(st.sampled_from(sorted(ContentFilters.model_fields)), st.text(max_size=30))
def test_any_text_is_parsed_or_refused(name: str, value: str) -> None:
    try:
        parsed = getattr(ContentQuery.model_validate({name: value}), name)
    except ValidationError:
        return
    assert parsed is not None


def test_every_sort_field_is_a_field_of_a_content() -> None:
    assert set(SORT_FIELDS) - {"size_bytes"} <= set(Content.model_fields)


def test_every_sort_field_can_be_filtered() -> None:
    filtered = {name.removeprefix("min_").removeprefix("max_") for name in ContentFilters.model_fields}
    assert filtered - {"owner"} == set(SORT_FIELDS)
