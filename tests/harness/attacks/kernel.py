"""Attacks on what the kernel offers beside files and processes."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
from typing import Any

from tests.harness.attacks.calls import attack, buffer, call, call_number

_CLONE_NEWUSER = 0x10000000
_GETPID, _GETPID_OF_32_BITS, _X32 = 39, 20, 0x40000000
_INT_80 = bytes.fromhex("53 89f8 31db cd80 5b c3")  # push rbx; mov eax, edi; xor ebx, ebx; int 0x80; pop rbx; ret


def _executable(code: bytes) -> mmap.mmap:
    """Memory with this code, which only a process without the sandbox can get."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    return page


@attack
def create_an_io_uring(target: dict[str, Any]) -> object:
    return call("io_uring_setup", 4, buffer(bytes(120)))


@attack
def create_a_user_namespace(target: dict[str, Any]) -> object:
    return call("unshare", _CLONE_NEWUSER)


@attack
def create_a_file_in_memory(target: dict[str, Any]) -> object:
    return call("memfd_create", b"name", 0)


@attack
def make_memory_executable(target: dict[str, Any]) -> object:
    page = mmap.mmap(-1, mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return call("mprotect", address, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC)


@attack
def map_executable_memory(target: dict[str, Any]) -> object:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    return call("mmap", 0, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC, flags, -1, 0)


@attack
def become_dumpable(target: dict[str, Any]) -> object:
    return call("prctl", 4, 1, 0, 0, 0)  # PR_SET_DUMPABLE


@attack
def control_a_terminal(target: dict[str, Any]) -> object:
    return call("ioctl", target["inherited"], 0x5451, 0)  # FIOCLEX, which every descriptor has


@attack
def send_signals_by_a_descriptor(target: dict[str, Any]) -> object:
    return call("fcntl", target["inherited"], 8, os.getpid())  # F_SETOWN


if platform.machine() == "x86_64":
    _code = _executable(_INT_80)
    _enter_with_32_bits = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(
        ctypes.addressof(ctypes.c_char.from_buffer(_code))
    )

    @attack
    def call_with_32_bits(target: dict[str, Any]) -> object:
        """By the interrupt of 32-bit programs, whose numbers mean other calls."""
        return _enter_with_32_bits(_GETPID_OF_32_BITS)

    @attack
    def call_with_the_numbers_of_x32(target: dict[str, Any]) -> object:
        return call_number(_X32 | _GETPID)
