"""CRC-32C (RFC 9260, appendix A) of a whole file, combined from the CRC-32Cs of its segments.

Guarantee: the result is the CRC-32C of the bytes in order, and none of them is read again. The cost of one segment is a
few microseconds, however long it is, where the segments have few different lengths.

A CRC is a polynomial over GF(2) modulo the Castagnoli polynomial. To append n bytes multiplies what came before by
x^(8n), and the CRC of the appended bytes is added. Bits are reflected: the highest bit is the coefficient of x^0.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

_POLYNOMIAL: Final = 0x82F63B78
_ONE: Final = 0x80000000
_LENGTHS: Final = 1024


def combined_crc32c(segments: Iterable[tuple[int, int | None]]) -> int | None:
    """The CRC-32C of bytes that consist of these segments, in order: of each its length in bytes and its CRC-32C. None
    if one of them is not known. Without segments: 0, that of no bytes."""
    whole = 0
    for size_bytes, crc32c in segments:
        if crc32c is None:
            return None
        whole = _product(_shift(size_bytes), whole) ^ crc32c
    return whole


def _product(left: int, right: int) -> int:
    """left * right modulo the polynomial."""
    result = 0
    while left:
        if left & _ONE:
            result ^= right
        left = left << 1 & 0xFFFFFFFF
        right = right >> 1 ^ (_POLYNOMIAL if right & 1 else 0)
    return result


@lru_cache(_LENGTHS)
def _shift(size_bytes: int) -> int:
    """x^(8 * size_bytes) modulo the polynomial."""
    result = _ONE
    for power in range(size_bytes.bit_length()):
        if size_bytes >> power & 1:
            result = _product(result, _square(power))
    return result


@lru_cache(64)
def _square(power: int) -> int:
    """x^(8 * 2^power) modulo the polynomial: the CRC of one byte moves by x^8."""
    if power == 0:
        return _ONE >> 8
    half = _square(power - 1)
    return _product(half, half)
