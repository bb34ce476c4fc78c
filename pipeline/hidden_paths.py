"""Keeps the server's directories out of what leaves it: errors of servers, drivers and disks may name them.

Guarantee: a string that `without_paths` returns contains no path that begins with a directory at the root of this
machine's file system. The log keeps the whole text. URLs, routes and names of objects stay as they are, unless they
begin with such a directory.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

_TOP: Final = sorted({*os.listdir("/"), "etc", "home", "mnt", "opt", "root", "run", "srv", "tmp", "usr", "var"})
# A path begins a word. What ends it is not part of most paths, but of sentences and of Python's error messages.
_PATH: Final = re.compile(
    rf"(?<![\w.~/:%-])/(?:{'|'.join(map(re.escape, _TOP))})(?![\w.-])(?:/[^\s'\"`,;:()<>\[\]{{}}]*)?"
)
SHOWN: Final = "[path]"


def without_paths(value: Any) -> Any:
    """A string, or the strings in lists and dictionaries, with `[path]` in place of every path of this machine."""
    if isinstance(value, str):
        return _PATH.sub(SHOWN, value)
    if isinstance(value, dict):
        return {name: without_paths(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(item) for item in value]
    return value
