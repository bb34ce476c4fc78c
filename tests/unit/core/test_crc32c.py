"""The CRC-32C of a file from those of its segments, compared with one that reads every byte."""

from __future__ import annotations

import google_crc32c
from hypothesis import given
from hypothesis import strategies as some

from pipeline.core.crc32c import combined_crc32c


def of(segments: list[bytes]) -> int | None:
    return combined_crc32c((len(data), google_crc32c.value(data)) for data in segments)


@given(some.lists(some.binary(max_size=300), max_size=12))
def test_it_is_that_of_all_bytes(segments: list[bytes]) -> None:
    assert of(segments) == google_crc32c.value(b"".join(segments))


@given(some.lists(some.binary(max_size=40), min_size=2, max_size=8), some.integers(1, 7))
def test_joined_parts_may_be_combined_first(segments: list[bytes], cut: int) -> None:
    parts = [b"".join(segments[:cut]), b"".join(segments[cut:])]
    assert of(parts) == of(segments)


def test_long_segments_of_one_length() -> None:
    zeros = bytes(1_000_003)
    last = b"the last one is shorter"
    assert of([zeros] * 7 + [last]) == google_crc32c.value(zeros * 7 + last)


def test_a_length_beyond_32_bits() -> None:
    """5 GiB of zeros, which nobody has to read: in two steps, and in one."""
    mebibyte = google_crc32c.value(bytes(1 << 20))
    whole = combined_crc32c([(1 << 20, mebibyte)] * 5120)
    gibibyte = combined_crc32c([(1 << 20, mebibyte)] * 1024)
    assert whole == combined_crc32c([(1 << 30, gibibyte)] * 5)
    ends_with_zeros = google_crc32c.extend(google_crc32c.value(b"sluice"), bytes(1 << 20))
    assert combined_crc32c([(6, google_crc32c.value(b"sluice")), (1 << 20, mebibyte)]) == ends_with_zeros


def test_the_check_value_of_the_algorithm() -> None:
    assert of([b"12345", b"6789"]) == 0xE3069283


def test_it_is_not_known_where_that_of_a_segment_is_not() -> None:
    assert combined_crc32c([(3, 1), (3, None), (3, 2)]) is None


def test_no_bytes() -> None:
    assert combined_crc32c([]) == 0
    assert of([b"a", b""]) == google_crc32c.value(b"a")


def test_another_order_is_another_file() -> None:
    assert of([b"first", b"second"]) != of([b"second", b"first"])
