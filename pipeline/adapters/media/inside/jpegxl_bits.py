"""Reads the fields of a JPEG XL codestream (ISO/IEC 18181-1, annex B).

Guarantee: any bytes give values; after the end there are zeros.
"""

from __future__ import annotations

_MAX_BITS = 64


class Bits:
    """Fields from the least significant bit of each byte on."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._length = 8 * len(data)
        self._taken = 0

    @property
    def bytes_taken(self) -> int:
        """Up to the next byte's boundary."""
        return (self._taken + 7) // 8

    def take(self, length: int) -> int:
        """u(n); 0 for more bits than a number has, which are only skipped, and after the end."""
        start, self._taken = self._taken, self._taken + length
        if length > _MAX_BITS or start >= self._length:
            return 0
        return self._value >> start & ((1 << length) - 1)

    def flag(self) -> bool:
        """Bool()."""
        return bool(self.take(1))

    def choice(self, *options: tuple[int, int]) -> int:
        """U32: two bits select an option, which is a base and the length of what is added."""
        base, length = options[self.take(2)]
        return base + self.take(length)

    def long(self) -> int:
        """U64."""
        match self.take(2):
            case 0:
                return 0
            case 1:
                return 1 + self.take(4)
            case 2:
                return 17 + self.take(8)
        value, shift = self.take(12), 12
        while self.flag():
            length = 4 if shift == 60 else 8
            value |= self.take(length) << shift
            if shift == 60:
                break
            shift += 8
        return value

    def name(self) -> None:
        """Skips a name."""
        self.take(8 * self.choice((0, 0), (0, 4), (16, 5), (48, 10)))

    def extensions(self) -> None:
        """Skips fields that later versions add."""
        self.take(sum(self.long() for _ in range(self.long().bit_count())))

    def align(self) -> None:
        """Skips to the next byte."""
        self._taken = 8 * self.bytes_taken
