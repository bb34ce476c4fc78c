"""Gives free memory of the C library's heap back to the kernel.

glibc gives back only what is free at the heap's end. What connections and blocks leave free below a live object stays
with the process, until `return_free`. Other C libraries are left as they are.
"""

from __future__ import annotations

import ctypes


def return_free() -> bool:
    """malloc_trim(3). It takes some milliseconds and lets other threads run, unless they allocate. False: the C library
    has no such function."""
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, TypeError, AttributeError):  # a program that is linked statically has no library to load
        return False
