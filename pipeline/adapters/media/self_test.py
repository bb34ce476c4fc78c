"""Proves that the confinement works on this machine: a confined child attempts what the sandbox must refuse.

Guarantee: harmless wherever an attempt succeeds. Each attempt is a system call with arguments that name nothing, so the
kernel refuses it for another reason than EPERM, or performs it without effect, unless the filter refuses it first.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import select
import signal
from typing import Final

from pipeline.adapters.media.confinement import Confinement, Limits
from pipeline.adapters.media.protocol import CHILD_SOCKET_FD, MAX_DESCRIPTORS

_SECONDS: Final = 30.0
_NO_FILE, _NO_DESCRIPTOR, _AT_FDCWD = b"", -1, -100
_NO_PROCESS, _PTRACE_ATTACH = -1, 16
# By name, as the kernel calls them; those that an architecture or an old libseccomp does not have are left out.
_ATTEMPTS: Final[tuple[tuple[str, tuple[bytes | int | None, ...]], ...]] = (
    ("open", (b"/proc/self/environ", os.O_RDONLY)),
    ("openat", (_AT_FDCWD, b"/proc/self/environ", os.O_RDONLY)),
    ("openat2", (_AT_FDCWD, None, None, 0)),
    ("creat", (_NO_FILE, 0)),
    ("socket", (1, 1, 0)),
    ("socketpair", (1, 1, 0, None)),
    ("connect", (_NO_DESCRIPTOR, None, 0)),
    ("sendmsg", (_NO_DESCRIPTOR, None, 0)),
    ("clone3", (None, 0)),
    ("execve", (_NO_FILE, None, None)),
    ("execveat", (_NO_DESCRIPTOR, _NO_FILE, None, None, 0)),
    ("ptrace", (_PTRACE_ATTACH, _NO_PROCESS, None, None)),
    ("process_vm_readv", (_NO_PROCESS, None, 0, None, 0, 0)),
    ("process_vm_writev", (_NO_PROCESS, None, 0, None, 0, 0)),
    ("setsid", ()),
    ("unlink", (_NO_FILE,)),
    ("unlinkat", (_AT_FDCWD, _NO_FILE, 0)),
    ("rename", (_NO_FILE, _NO_FILE)),
    ("renameat2", (_AT_FDCWD, _NO_FILE, _AT_FDCWD, _NO_FILE, 0)),
    ("truncate", (_NO_FILE, 0)),
    ("ftruncate", (_NO_DESCRIPTOR, 0)),
    ("mmap", (None, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, _NO_DESCRIPTOR, 0)),
    ("mmap", (None, mmap.PAGESIZE, mmap.PROT_EXEC, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, _NO_DESCRIPTOR, 0)),
    ("io_uring_setup", (0, None)),
    ("ioctl", (_NO_DESCRIPTOR, 0, None)),
    ("dup", (_NO_DESCRIPTOR,)),
    ("memfd_create", (None, 0)),
)


def attempt_all() -> list[str]:
    """Run in a confined process: the names of the attempts that the filter did not refuse."""
    from pyseccomp import Arch, resolve_syscall

    libc = ctypes.CDLL(None, use_errno=True)

    def refused(number: int, arguments: tuple[bytes | int | None, ...]) -> bool:
        ctypes.set_errno(0)
        converted = [ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
        return libc.syscall(ctypes.c_long(number), *converted) == -1 and ctypes.get_errno() == errno.EPERM

    attempts = [(name, resolve_syscall(Arch.NATIVE, name), arguments) for name, arguments in _ATTEMPTS]
    attempts += [
        ("kill", resolve_syscall(Arch.NATIVE, "kill"), (os.getpid(), 0)),
        ("tgkill", resolve_syscall(Arch.NATIVE, "tgkill"), (os.getpid(), os.getpid(), 0)),
    ]
    through = [name for name, number, arguments in attempts if number >= 0 and not refused(number, arguments)]
    try:
        child = os.fork()
    except PermissionError:
        pass
    else:
        if not child:
            os._exit(0)
        through.append("fork")
    if os.geteuid() == 0 and os.getuid() == 0 and not _is_powerless():
        through.append("root")
    return through


def _is_powerless() -> bool:
    """Root that may not even raise one of its own limits has no capabilities."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard + 1))
    except (OSError, ValueError):
        return True
    return False


def find_gaps(confinement: Confinement, limits: Limits) -> list[str]:
    """What is missing from the confinement on this machine, for people; empty: nothing."""
    reading, writing = os.pipe()
    host = os.getpid()
    child = os.fork()
    if not child:
        try:
            os.dup2(writing, CHILD_SOCKET_FD)
            os.closerange(CHILD_SOCKET_FD + 1, MAX_DESCRIPTORS)
            found = confinement.apply(limits, host)
            if not any("filtered" in gap for gap in found):
                found += [f"{name} is not refused" for name in attempt_all()]
            os.write(CHILD_SOCKET_FD, "\n".join(["tested", *found]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as report:
        select.select([report], [], [], _SECONDS)
        os.kill(child, signal.SIGKILL)  # it has reported in one write, or hangs
        lines = report.read().decode("utf-8", "replace").split("\n")
    os.waitpid(child, 0)
    return lines[1:] if lines[0] == "tested" else ["the test of the sandbox crashed"]
