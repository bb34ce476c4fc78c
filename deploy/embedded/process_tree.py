"""The processes below one process, by psutil.

psutil comes with the extra `embedded`. It is imported when it is first used, because `deploy.embedded` is also imported
where that extra is not installed. A `psutil.Process` is identified by its process id and its start time, so a reused
process id is never mistaken for the process that had it before.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from deploy.embedded.errors import StackError

if TYPE_CHECKING:
    import psutil


def load_psutil() -> Any:
    """Raises StackError, with what to install, when psutil is missing."""
    try:
        import psutil
    except ImportError:
        raise StackError("psutil is missing: install sluice[embedded]") from None
    return psutil


def descendants(pid: int) -> list[psutil.Process]:
    """Every process below `pid`, without `pid` itself. Empty when `pid` has ended. Raises StackError without psutil."""
    ps = load_psutil()
    try:
        return list(ps.Process(pid).children(recursive=True))
    except ps.NoSuchProcess:
        return []


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs. A zombie, which has ended and waits for its parent to reap it, does not."""
    ps = load_psutil()
    try:
        return process.is_running() and process.status() not in (ps.STATUS_ZOMBIE, ps.STATUS_DEAD)
    except ps.NoSuchProcess:
        return False


def kill(process: psutil.Process) -> None:
    """Sends SIGKILL. Does nothing when the process has ended."""
    with contextlib.suppress(load_psutil().NoSuchProcess):
        process.kill()
