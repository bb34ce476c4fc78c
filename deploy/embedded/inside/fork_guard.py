"""Makes every process that a server forks (Swift's updaters, gunicorn's workers) end with the server."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def install() -> None:
    """From now on the kernel kills each forked child when the process that forked it ends."""
    os.register_at_fork(after_in_child=_die_with_parent)
