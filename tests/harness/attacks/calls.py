"""System calls made directly, so that no check of a library comes first, and the registry of attacks.

An attack is what a child of the reader host could try once a hostile file has taken it over. It returns what it has
gained, and raises OSError where the kernel has refused it. `target` says what there is to attack: see `run`.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

from pyseccomp import Arch, resolve_syscall

AT_FDCWD = -100

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

Attack = Callable[[dict[str, Any]], object]
ATTACKS: dict[str, Attack] = {}


def call(name: str, *arguments: object) -> int:
    """A system call. Raises OSError."""
    number = resolve_syscall(Arch.NATIVE, name)
    return call_number(number, *arguments)


def call_number(number: int, *arguments: object) -> int:
    converted = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    ctypes.set_errno(0)
    result = int(_libc.syscall(ctypes.c_long(number), *converted))
    if result == -1:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return result


def attack(function: Attack) -> Attack:
    ATTACKS[function.__name__] = function
    return function


def buffer(content: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(content, len(content))


def path_in(target: dict[str, Any], name: str) -> bytes:
    return os.fsencode(os.path.join(target["directory"], name))


def content_of(descriptor: int) -> str:
    return os.read(descriptor, 100).decode("latin-1")
