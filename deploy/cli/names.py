"""File names: as a terminal may show them, and as a server accepts them. Pure functions.

Guarantee: `shown` returns printable text on one line that a strict UTF-8 stream can encode. A file name cannot move the
cursor, change colours or reorder text. `server_filename` returns a name that `CreateUpload` accepts.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Final

from pipeline.core.printable import printable
from schemas.metadata import FILENAME_EXCLUDED

_NOT_ACCEPTED: Final = re.compile(f"[{FILENAME_EXCLUDED}\ud800-\udfff]")


def shown(text: str | PurePath) -> str:
    r"""`text` with its control characters as escapes: a newline is \n, ESC is \x1b, the byte FF is \xff."""
    return printable(str(text))


def server_filename(name: str) -> str:
    """`name` with an underscore in place of each character that a server does not accept."""
    return _NOT_ACCEPTED.sub("_", name)
