"""Starts a program that ends when its parent does. Run as a script; replaces itself with the program by exec.

    python -I -S child.py PARENT_PID DEATH_SIGNAL UID:GID|- PROGRAM ARGUMENTS...

Guarantee: once PROGRAM runs, the kernel sends it DEATH_SIGNAL when the thread that started it ends, even by SIGKILL.
The order matters: a change of credentials clears the parent-death signal, so the signal is set after setuid. The
parent may have died before the signal was set, so the parent is checked afterwards.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
EXIT_ORPHANED = 120
EXIT_NOT_STARTED = 121


def die_with_parent(death_signal: int, parent_pid: int) -> None:
    """Have the kernel send `death_signal` when the parent ends. Exits at once if the parent has already ended."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        os._exit(EXIT_ORPHANED)


def main(arguments: list[str]) -> None:
    """Never returns: it execs, or it prints the reason to stderr and exits with EXIT_NOT_STARTED."""
    parent_pid, death_signal, credentials, *command = arguments
    os.umask(0o077)  # what it writes is for its user only
    try:
        if credentials != "-":
            uid, gid = (int(part) for part in credentials.split(":"))
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        die_with_parent(int(death_signal), int(parent_pid))
        os.execv(command[0], command)  # noqa: S606 -- this script exists to become the server
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]} as {credentials}: {error}\n")
        sys.exit(EXIT_NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv[1:])
