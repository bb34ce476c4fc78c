"""The length of FLAC and WavPack streams whose header states no total, from the last frame.

Guarantee: reads at most the last MiB, and gives seconds or None for any bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from pipeline.adapters.media.inside.iso_boxes import read_at

_STEPS_BYTES = (64 * 1024, 1024 * 1024)
_MAX_CANDIDATES = 4096
# RFC 9639, 9.1.1 and 9.1.2
_BLOCK_SIZES = {1: 192, **{code: 144 << code for code in range(2, 6)}, **{code: 1 << code for code in range(8, 16)}}
_RATES = dict(
    enumerate((88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000), start=1),
)
_EXPLICIT_RATE_BYTES = {12: 1, 13: 2, 14: 2}


def flac_seconds(file: BinaryIO, size_bytes: int, stream_info: bytes) -> float | None:
    """The length of a FLAC file; `stream_info` is the content of its STREAMINFO block."""
    if len(stream_info) < 18:
        return None
    (block_size,) = struct.unpack_from(">H", stream_info, 2)
    rate = int.from_bytes(stream_info[10:13], "big") >> 4
    if not rate:
        return None
    for tail in _tails(file, size_bytes):
        for at in _backwards(tail, b"\xff"):
            if tail[at + 1 : at + 2] in (b"\xf8", b"\xf9") and (samples := _frame_end(tail, at, block_size, rate)):
                return samples / rate
    return None


def _frame_end(data: bytes, at: int, block_size: int, rate: int) -> int | None:
    """The number of samples up to the end of the frame that begins at `at`; None if no frame does."""
    head = data[at : at + 16]
    if len(head) < 16 or head[3] & 1 or head[2] >> 4 == 0 or head[2] & 15 == 15 or head[3] >> 4 > 10:
        return None
    number, length = _coded_number(head[4:])
    if number is None:
        return None
    end = 4 + length
    size_code, rate_code = head[2] >> 4, head[2] & 15
    if size_code in (6, 7):
        size = 1 + int.from_bytes(head[end : end + size_code - 5], "big")
        end += size_code - 5
    else:
        size = _BLOCK_SIZES[size_code]
    if rate_code in _RATES and _RATES[rate_code] != rate:
        return None
    end += _EXPLICIT_RATE_BYTES.get(rate_code, 0)
    if _crc_8(data[at : at + end]) != data[at + end : at + end + 1]:
        return None
    return (number if head[1] & 1 else number * block_size) + size


def _coded_number(data: bytes) -> tuple[int | None, int]:
    """A number that is coded as UTF-8 codes characters, up to 36 bits (9.1.5), and its length."""
    first = data[0]
    if first < 0x80:
        return first, 1
    length = 8 - (first ^ 0xFF).bit_length()
    if not 2 <= length <= 7 or any(byte >> 6 != 2 for byte in data[1:length]):
        return None, 0
    value = first & ((1 << (7 - length)) - 1)
    for byte in data[1:length]:
        value = value << 6 | byte & 0x3F
    return value, length


def _crc_8(data: bytes) -> bytes:
    """Polynomial x^8 + x^2 + x + 1 (9.1.8)."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07) & 0xFF if value & 0x80 else value << 1
    return bytes([value])


def wavpack_seconds(file: BinaryIO, size_bytes: int, rate: int) -> float | None:
    """The length of a WavPack file, from the last block's position and size (WavPack 4 & 5 Binary File / Block Format,
    2.0)."""
    for tail in _tails(file, size_bytes):
        for at in _backwards(tail, b"wvpk"):
            if len(tail) - at < 32:
                continue
            version, high, _, _, index, samples = struct.unpack_from("<HBBIII", tail, at + 8)
            if 0x402 <= version <= 0x410 and samples:
                return float(((high << 32) + index + samples) / rate)
    return None


def _tails(file: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    for step in _STEPS_BYTES:
        length = min(step, size_bytes)
        yield read_at(file, size_bytes - length, length)
        if length == size_bytes:
            return


def _backwards(data: bytes, sign: bytes) -> Iterator[int]:
    at = len(data)
    for _ in range(_MAX_CANDIDATES):
        at = data.rfind(sign, 0, at)
        if at < 0:
            return
        yield at
