"""The system user that a server runs as, and which paths that user can reach.

PostgreSQL refuses to run as root. When we are root, it runs as a system user that every system has; otherwise it runs
as the current user.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.errors import StackError

_CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class SystemUser:
    """An account of the operating system."""

    name: str
    uid: int
    gid: int


def unprivileged_user() -> SystemUser | None:
    """The user for a server that refuses to run as root. None when we are not root. Raises StackError."""
    if os.geteuid() != 0:
        return None
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return SystemUser(name, entry.pw_uid, entry.pw_gid)
    raise StackError(
        f"PostgreSQL refuses to run as root, and this system has none of the users {', '.join(_CANDIDATES)}"
    )


def can_reach(user: SystemUser, path: Path) -> bool:
    """Whether `user` may enter every directory above `path` and read `path`, by mode bits and primary group only."""
    resolved = path.resolve()
    may_enter = all(_allows(user, above, stat.S_IXOTH) for above in resolved.parents)
    return may_enter and _allows(user, resolved, stat.S_IROTH)


def _allows(user: SystemUser, path: Path, other_bit: int) -> bool:
    status = path.stat()
    if status.st_uid == user.uid:
        return bool(status.st_mode & (other_bit << 6))
    if status.st_gid == user.gid:
        return bool(status.st_mode & (other_bit << 3))
    return bool(status.st_mode & other_bit)
