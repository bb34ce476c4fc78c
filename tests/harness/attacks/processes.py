"""Attacks on processes, and ways to become more of them."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import time
from typing import Any

from tests.harness.attacks.calls import AT_FDCWD, attack, buffer, call, path_in

_PTRACE_SEIZE = 0x4206
_SURVIVES_SECONDS = 60


def _exits(child: int) -> int:
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    return child


@attack
def fork(target: dict[str, Any]) -> object:
    return _exits(call("fork"))


@attack
def fork_by_the_library(target: dict[str, Any]) -> object:
    return _exits(os.fork())


@attack
def clone3(target: dict[str, Any]) -> object:
    arguments = buffer(struct.pack("<8Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0))
    return _exits(call("clone3", arguments, len(arguments)))


@attack
def start_a_thread(target: dict[str, Any]) -> object:
    import _thread

    try:
        return _thread.start_new_thread(lambda: None, ())
    except RuntimeError as error:  # what Python makes of the refusal
        raise PermissionError(1, str(error)) from error


@attack
def survive_in_a_session_of_its_own(target: dict[str, Any]) -> object:
    child = call("fork")
    if not child:
        call("setsid")
        time.sleep(_SURVIVES_SECONDS)
        os._exit(0)
    return child


@attack
def begin_a_session(target: dict[str, Any]) -> object:
    return call("setsid")


@attack
def execute_a_program(target: dict[str, Any]) -> object:
    arguments = (ctypes.c_char_p * 3)(b"touch", path_in(target, "executed"), None)
    return call("execve", b"/usr/bin/touch", arguments, None)


@attack
def execute_a_program_by_descriptor(target: dict[str, Any]) -> object:
    arguments = (ctypes.c_char_p * 3)(b"touch", path_in(target, "executed-at"), None)
    return call("execveat", AT_FDCWD, b"/usr/bin/touch", arguments, None, 0)


@attack
def kill_a_process(target: dict[str, Any]) -> object:
    return call("kill", target["process"], signal.SIGTERM)


@attack
def kill_a_thread(target: dict[str, Any]) -> object:
    return call("tgkill", target["process"], target["process"], signal.SIGTERM)


@attack
def signal_the_worker(target: dict[str, Any]) -> object:
    return call("kill", target["worker"], 0)


@attack
def signal_every_process(target: dict[str, Any]) -> object:
    return call("kill", -1, 0)


@attack
def queue_a_signal(target: dict[str, Any]) -> object:
    info = buffer(struct.pack("<iii", signal.SIGCHLD, 0, -1).ljust(128, b"\0"))
    return call("rt_sigqueueinfo", target["process"], signal.SIGCHLD, info)


@attack
def open_a_process(target: dict[str, Any]) -> object:
    return call("pidfd_open", target["process"], 0)


@attack
def trace_a_process(target: dict[str, Any]) -> object:
    return call("ptrace", _PTRACE_SEIZE, target["process"], 0, 0)


@attack
def read_memory_of_a_process(target: dict[str, Any]) -> object:
    mine, theirs = ctypes.create_string_buffer(16), ctypes.create_string_buffer(b"secret", 16)
    local = buffer(struct.pack("<QQ", ctypes.addressof(mine), 16))
    remote = buffer(struct.pack("<QQ", ctypes.addressof(theirs), 16))
    return call("process_vm_readv", os.getpid(), local, 1, remote, 1, 0)


@attack
def write_memory_of_a_process(target: dict[str, Any]) -> object:
    mine, theirs = ctypes.create_string_buffer(b"changed", 16), ctypes.create_string_buffer(16)
    local = buffer(struct.pack("<QQ", ctypes.addressof(mine), 16))
    remote = buffer(struct.pack("<QQ", ctypes.addressof(theirs), 16))
    return call("process_vm_writev", os.getpid(), local, 1, remote, 1, 0)


@attack
def limit_another_process(target: dict[str, Any]) -> object:
    limits = buffer(struct.pack("<QQ", 100, 100))
    return call("prlimit64", target["process"], 7, limits, 0)  # RLIMIT_NOFILE


@attack
def read_limits_of_another_process(target: dict[str, Any]) -> object:
    return call("prlimit64", target["process"], 7, 0, buffer(bytes(16)))


@attack
def change_its_own_limits(target: dict[str, Any]) -> object:
    limits = buffer(struct.pack("<QQ", 3, 3))
    return call("prlimit64", 0, 7, limits, 0)


@attack
def raise_its_priority(target: dict[str, Any]) -> object:
    return call("setpriority", 0, 0, 5)
