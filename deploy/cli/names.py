"""File names: as a terminal may show them, and as a server accepts them. Pure functions.

Guarantee: `shown` returns printable text on one line that a strict UTF-8 stream can encode. A file name cannot move the
cursor, change colours or reorder text. `server_filename` returns a name that `CreateUpload` accepts.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePath
from typing import Final

from schemas.uploads import FILENAME_EXCLUDED

# Characters that end a line, control the terminal or stand for a byte that is not UTF-8 (PEP 383).
_UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Embeddings, overrides and isolates of the bidirectional algorithm (Unicode Standard Annex 9): they reorder a line.
_REORDERING: Final = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SHORT: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_NOT_ACCEPTED: Final = re.compile(f"[{FILENAME_EXCLUDED}\ud800-\udfff]")


def shown(text: str | PurePath) -> str:
    r"""`text` with its control characters as escapes: a newline is \n, ESC is \x1b, the byte FF is \xff."""
    return "".join(_escape(character) for character in str(text))


def server_filename(name: str) -> str:
    """`name` with an underscore in place of each character that a server does not accept."""
    return _NOT_ACCEPTED.sub("_", name)


def _escape(character: str) -> str:
    if unicodedata.category(character) not in _UNSAFE_CATEGORIES and character not in _REORDERING:
        return character
    if character in _SHORT:
        return _SHORT[character]
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
