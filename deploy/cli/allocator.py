"""Settings of the C library's memory allocator, for a process that handles blocks of some hundred KiB all the time.

By default glibc maps a large block anew each time, and unmaps it when it is freed; the kernel has to fill its pages
with zeros. Here such blocks come from the heap, and what is free at its end is given back above `_TRIM_BYTES`. Other C
libraries keep their defaults.
"""

from __future__ import annotations

import ctypes
from typing import Final

# mallopt(3), malloc.h of glibc.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

_MMAP_BYTES: Final = 8 * 1024 * 1024
"""Blocks from this length on are still mapped: they would leave large gaps in the heap."""

_TRIM_BYTES: Final = 16 * 1024 * 1024


def keep_blocks() -> bool:
    """Apply the settings, once, when a process starts. False: its C library has none of this kind."""
    try:
        libc = ctypes.CDLL(None)
        if not hasattr(libc, "gnu_get_libc_version"):
            return False
        return bool(libc.mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)) and bool(libc.mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES))
    except (OSError, TypeError, AttributeError):  # a program that is linked statically has no library to load
        return False
