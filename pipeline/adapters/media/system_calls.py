"""The system calls that the sandbox permits: an allowlist, as a seccomp filter.

Guarantee: a filtered process can read and write the descriptors that it has, manage its own memory, wait, and end. It
cannot open, create, rename, remove or truncate files, map a file, create or connect sockets, start or signal processes
(itself included), make memory executable, change its limits, or run another program.

Every other call fails with EPERM instead of killing the process. Libraries try harmless things (is this a terminal, how
many processors are there, which time zone) and continue without them; a hostile file gains nothing from a refusal. Only
calls of another architecture's ABI (32-bit calls of a 64-bit process) kill the process: their numbers mean other calls.
"""

from __future__ import annotations

import errno
import mmap
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pyseccomp import SyscallFilter

PERMITTED: Final = (
    # descriptors that are already open
    *("read", "write", "readv", "writev", "close", "lseek", "fstat", "poll", "ppoll", "select", "pselect6"),
    # memory; see `_add_checked` for those that can map files or make memory executable
    *("munmap", "mremap", "brk"),
    # time and waiting
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "times", "sched_yield"),
    # signals of this process
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall"),
    # facts about this process
    *("getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getrusage", "getrlimit", "getcpu"),
    *("sched_getaffinity", "getrandom"),
    *("exit", "exit_group"),
)
CHECKED: Final = ("mmap", "mprotect", "madvise", "futex", "fcntl", "prlimit64")
"""Permitted with some arguments only."""
_MADVICE: Final = (mmap.MADV_NORMAL, mmap.MADV_DONTNEED, mmap.MADV_FREE, mmap.MADV_HUGEPAGE, mmap.MADV_NOHUGEPAGE)
_FUTEX_COMMANDS: Final = (0, 1, 9, 10)  # FUTEX_WAIT, FUTEX_WAKE, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET (futex(2))
_FUTEX_COMMAND_MASK: Final = 0x7F
_F_GETFD, _F_GETFL = 1, 3


def build_filter() -> bytes:
    """The filter as a program for the kernel (an array of struct sock_filter, seccomp(2)), to be installed in each
    child. Raises ImportError, RuntimeError or OSError where libseccomp is missing or too old."""
    import pyseccomp

    result = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    result.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)
    for name in PERMITTED:
        result.add_rule(pyseccomp.ALLOW, name)
    _add_checked(result)
    with open(os.memfd_create("filter"), "rb+", buffering=0) as file:
        result.export_bpf(file)
        file.seek(0)
        return file.readall()


def _add_checked(target: SyscallFilter) -> None:
    from pyseccomp import ALLOW, EQ, MASKED_EQ, Arg

    not_executable = Arg(2, MASKED_EQ, mmap.PROT_EXEC, 0)
    target.add_rule(ALLOW, "mmap", not_executable, Arg(3, MASKED_EQ, mmap.MAP_ANONYMOUS, mmap.MAP_ANONYMOUS))
    target.add_rule(ALLOW, "mprotect", not_executable)
    for advice in _MADVICE:
        target.add_rule(ALLOW, "madvise", Arg(2, EQ, advice))
    for command in _FUTEX_COMMANDS:
        target.add_rule(ALLOW, "futex", Arg(1, MASKED_EQ, _FUTEX_COMMAND_MASK, command))
    for command in (_F_GETFD, _F_GETFL):
        target.add_rule(ALLOW, "fcntl", Arg(1, EQ, command))
    # only its own limits (process 0), and no new value
    target.add_rule(ALLOW, "prlimit64", Arg(0, EQ, 0), Arg(2, EQ, 0))
