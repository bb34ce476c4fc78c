r"""Text from clients for a terminal or a log: printable, and on one line.

Guarantee: a name cannot end a line, move the cursor, change colours or reorder what is beside it, and a strict UTF-8
stream can encode it.
"""

from __future__ import annotations

import unicodedata
from typing import Final

# Characters that end a line, control the terminal or stand for a byte that is not UTF-8 (PEP 383).
_UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Embeddings, overrides, isolates and marks of the bidirectional algorithm (Unicode Standard Annex 9): they reorder a
# line.
_REORDERING: Final = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SHORT: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable(text: str) -> str:
    r"""`text` with its control characters as escapes: a newline is \n, ESC is \x1b, the byte FF is \xff."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(character) for character in text)


def _escape(character: str) -> str:
    if unicodedata.category(character) not in _UNSAFE_CATEGORIES and character not in _REORDERING:
        return character
    if character in _SHORT:
        return _SHORT[character]
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
