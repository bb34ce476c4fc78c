"""Becomes another program that ends when its parent does: run as a script, replaces itself by exec.

    python -I -S child.py PARENT_PID DEATH_SIGNAL UID:GID|- PROGRAM ARGUMENTS...

Guarantee: once PROGRAM runs, the kernel sends it DEATH_SIGNAL when the thread that started it is gone, `kill -9`
included. The order matters: a change of credentials clears the parent-death signal, so it is set after setuid; and the
parent may have died before it was set, so the parent is looked up afterwards.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
EXIT_ORPHANED = 120
EXIT_NOT_STARTED = 121


def die_with_parent(death_signal: int, parent_pid: int) -> None:
    """Ask for `death_signal` at the parent's death; exits at once if the parent is gone already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        os._exit(EXIT_ORPHANED)


def main(arguments: list[str]) -> None:
    """Never returns: execs, or exits with EXIT_NOT_STARTED and says why on stderr."""
    parent_pid, death_signal, credentials, *command = arguments
    try:
        if credentials != "-":
            uid, gid = (int(part) for part in credentials.split(":"))
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        die_with_parent(int(death_signal), int(parent_pid))
        os.execv(command[0], command)  # noqa: S606 -- becoming the server is what this script is for
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]} as {credentials}: {error}\n")
        sys.exit(EXIT_NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv[1:])
