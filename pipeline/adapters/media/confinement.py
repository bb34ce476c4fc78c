"""Confines a process that is about to read an untrusted file, for good: limits, user, privileges, system calls.

Guarantee: when `confine` returns an empty list, the process cannot do more than `system_calls` says; its memory, CPU
time and open files are bounded; it belongs to `nobody` if it belonged to root; it has no capabilities and cannot gain
any; it dies with its parent, and no process of its user can trace it. What could not be done is in the list, and the
rest is in force. Needs neither root nor namespaces.

Root of a user namespace in which `nobody` does not exist stays who it is: outside of that namespace it is an ordinary
user, and its capabilities inside are dropped.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from errno import EINVAL
from typing import Final

from pipeline.adapters.media.protocol import CHILD_SOCKET_FD
from pipeline.adapters.media.system_calls import build_filter

_NICE: Final = 10
# linux/prctl.h, linux/seccomp.h, linux/filter.h and linux/capability.h
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, _INSTRUCTION_BYTES = 22, 2, 8
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one child. `background`: it runs with a lower priority."""

    memory_bytes: int
    cpu_seconds: int
    background: bool = False


class Confinement:
    """What is prepared once in the host, and applied in each child after the fork."""

    def __init__(self) -> None:
        self._filter: bytes | None = None
        self._no_filter = ""
        try:
            self._filter = build_filter()
        except (ImportError, RuntimeError, OSError, AttributeError) as error:
            self._no_filter = f"system calls are not filtered ({error or type(error).__name__})"
        try:
            nobody = pwd.getpwnam("nobody")
            self._nobody = nobody.pw_uid, nobody.pw_gid
        except KeyError:
            self._nobody = 65534, 65534

    def apply(self, limits: Limits, parent: int) -> list[str]:
        """Confine this process, a child of `parent` that was just forked; returns what could not be done."""
        gaps: list[str] = []

        def attempt(gap: str, step: Callable[[], None]) -> None:
            try:
                step()
            except (OSError, ValueError) as error:
                gaps.append(f"{gap} ({error})")

        attempt("its priority is not lowered", lambda: _lower_priority(limits.background))
        attempt("it keeps its user", self._become_nobody)
        attempt("it keeps capabilities", _drop_capabilities)
        attempt("its resources are not limited", lambda: _limit(limits))
        # Changing the user clears this.
        attempt("it may outlive its parent", lambda: die_with(parent))
        attempt("it can be traced", lambda: prctl(_PR_SET_DUMPABLE, 0))
        attempt("it can gain privileges", lambda: prctl(_PR_SET_NO_NEW_PRIVS, 1))
        if self._filter is None:
            gaps.append(self._no_filter)
        else:
            program = self._filter
            attempt("system calls are not filtered", lambda: _install(program))
        return gaps

    def _become_nobody(self) -> None:
        if os.geteuid() and os.getuid():
            return
        user, group = self._nobody
        try:
            os.setgroups([])
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)
        except OSError as error:
            if error.errno != EINVAL and not _alone_in_namespace():
                raise


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends; ends it now if `parent` is gone."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def prctl(option: int, *arguments: int) -> None:
    """prctl(2). Raises OSError."""
    padded = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    if _libc.prctl(option, *padded) != 0:
        _raise_errno()


class _Program(ctypes.Structure):
    """struct sock_fprog of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _install(program: bytes) -> None:
    """Filter the system calls of this process from now on. libseccomp would generate the program again in each child.
    Needs no_new_privs. Raises OSError."""
    whole = _Program(len(program) // _INSTRUCTION_BYTES, program)
    if _libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(whole), 0, 0) != 0:
        _raise_errno()


def _raise_errno() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))


def _lower_priority(background: bool) -> None:
    if background:
        os.nice(_NICE)


def _alone_in_namespace() -> bool:
    """Root of a user namespace that has only one user."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as users:
            return sum(int(line.split()[2]) for line in users) == 1
    except (OSError, ValueError, IndexError):
        return False


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def _drop_capabilities() -> None:
    # Kernels before 4.3 have no ambient capabilities.
    _libc.prctl(_PR_CAP_AMBIENT, ctypes.c_ulong(_PR_CAP_AMBIENT_CLEAR_ALL), *(ctypes.c_ulong(0),) * 3)
    nothing = (ctypes.c_uint32 * 6)()
    header = _Header(_CAPABILITY_VERSION_3, 0)
    if _libc.capset(ctypes.byref(header), ctypes.byref(nothing)) != 0:
        _raise_errno()


def _limit(limits: Limits) -> None:
    for what, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, CHILD_SOCKET_FD + 1),
        (resource.RLIMIT_CORE, 0),
    ):
        lower = _at_most(what, most)
        resource.setrlimit(what, (lower, lower))
    # SIGXCPU at the first limit says why the process ended; who ignores that signal is killed at the second.
    soft = _at_most(resource.RLIMIT_CPU, limits.cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, _at_most(resource.RLIMIT_CPU, soft + 1)))


def _at_most(what: int, most: int) -> int:
    """A limit may not be raised."""
    _, hard = resource.getrlimit(what)
    return most if hard == resource.RLIM_INFINITY else min(most, hard)
