"""Damages files the way that fuzzers do: bit flips, truncation, splices, length fields. Pure; the same for a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

_MAX_BYTES = 4 * 1024 * 1024
_HEADER_BYTES = 4096  # where damage is most interesting, half of the time
_LENGTHS = (0, 1, 7, 8, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFF0, 0xFFFF_FFFF)
_TAGS = (b"moov", b"trak", b"stsz", b"stco", b"mdat", b"ipco", b"iloc", b"iinf", b"IHDR", b"IDAT", b"acTL", b"VP8X")

Change = Callable[[random.Random, bytearray, Sequence[bytes]], bytearray]


def mutated(seed: int, number: int, corpus: Sequence[bytes]) -> bytes:
    """File `number` of a run with this seed: one of the corpus, damaged one to six times."""
    chance = random.Random(f"{seed}/{number}")
    content = bytearray(chance.choice(corpus)[:_MAX_BYTES])
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        content = chance.choice(_CHANGES)(chance, content, corpus)
    return bytes(content[:_MAX_BYTES])


def _place(chance: random.Random, content: bytearray, width: int = 1) -> int:
    """An offset with room for `width` bytes, often in the header."""
    room = max(1, len(content) - width + 1)
    return chance.randrange(min(room, _HEADER_BYTES) if chance.random() < 0.5 else room)


def _flip_bits(chance: random.Random, content: bytearray, corpus: Sequence[bytes]) -> bytearray:
    for _ in range(chance.choice((1, 2, 8, 64, 512)) if content else 0):
        content[_place(chance, content)] ^= 1 << chance.randrange(8)
    return content


def _truncate(chance: random.Random, content: bytearray, _: Sequence[bytes]) -> bytearray:
    return content[: _place(chance, content)]


def _cut_out(chance: random.Random, content: bytearray, _: Sequence[bytes]) -> bytearray:
    at = _place(chance, content)
    del content[at : at + chance.choice((1, 4, 16, 1000, 100_000))]
    return content


def _repeat(chance: random.Random, content: bytearray, _: Sequence[bytes]) -> bytearray:
    at, length = _place(chance, content), chance.choice((4, 8, 64, 4096))
    return content[:at] + content[at : at + length] * chance.choice((2, 10, 100)) + content[at + length :]


def _splice(chance: random.Random, content: bytearray, corpus: Sequence[bytes]) -> bytearray:
    """The beginning of one file and the end of another one."""
    other = bytearray(chance.choice(corpus)[:_MAX_BYTES])
    return content[: _place(chance, content)] + other[_place(chance, other) :]


def _insert(chance: random.Random, content: bytearray, corpus: Sequence[bytes]) -> bytearray:
    other = chance.choice(corpus)
    start, at = chance.randrange(len(other) or 1), _place(chance, content)
    return content[:at] + other[start : start + chance.choice((8, 100, 5000))] + content[at:]


def _overwrite(chance: random.Random, content: bytearray, _: Sequence[bytes]) -> bytearray:
    at, length = _place(chance, content), chance.choice((4, 32, 1000))
    byte = chance.choice((b"\0", b"\xff", None))
    content[at : at + length] = chance.randbytes(length) if byte is None else byte * length
    return content


def _set_length(chance: random.Random, content: bytearray, _: Sequence[bytes]) -> bytearray:
    """Any four or two bytes may be a length or a count."""
    width = chance.choice((4, 4, 2))
    at = _place(chance, content, width)
    value = chance.choice((*_LENGTHS, len(content), chance.randrange(1 << 32))) & ((1 << 8 * width) - 1)
    content[at : at + width] = value.to_bytes(width, chance.choice(("big", "little")))
    return content


def _set_box_length(chance: random.Random, content: bytearray, corpus: Sequence[bytes]) -> bytearray:
    """The length before the name of a box or chunk."""
    found = [at for tag in _TAGS if (at := content.find(tag)) >= 4]
    if not found:
        return _set_length(chance, content, corpus)
    at = chance.choice(found)
    content[at - 4 : at] = chance.choice((*_LENGTHS, chance.randrange(1 << 16))).to_bytes(4, "big")
    return content


_CHANGES: Sequence[Change] = (
    _flip_bits, _flip_bits, _truncate, _cut_out, _repeat, _splice, _insert, _overwrite, _set_length, _set_length,
    _set_box_length,
)  # fmt: skip
