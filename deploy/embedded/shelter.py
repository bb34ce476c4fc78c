"""A place that another system user can enter, for what must lie where that user cannot.

A clone below /root, or in a directory made by mktemp, is closed to everybody but its owner; PostgreSQL, which we run as
another user when we are root, can then reach neither its binaries nor its data. A shelter is a directory below the
system's temporary directory that holds both while the server runs; `postgres/sheltered-at` in the stack's directory
names it. After a clean stop nothing is left of it. After `kill -9` the next start of the same stack finds its data
there; and any start clears shelters away whose stack's directory is gone.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import tempfile
from pathlib import Path

from deploy.embedded.errors import StackError
from deploy.embedded.users import SystemUser, can_reach

_PREFIX = "sluice-postgres-"
_MARKER = "sheltered-at"
_ORIGIN = "origin"


def open_shelter(home: Path, user: SystemUser) -> Path:
    """The shelter of the stack whose postgres directory is `home`: the one it has, or a new one."""
    marker = home / _MARKER
    known = _read_path(marker)
    if known is not None and _is_ours(known):
        return known
    shelter = _base(user) / f"{_PREFIX}{secrets.token_hex(6)}"
    # The marker first: a shelter that no marker names is swept away.
    marker.write_text(str(shelter))
    shelter.mkdir(mode=0o700)
    (shelter / _ORIGIN).write_text(str(home))
    shelter.chmod(0o711)  # may be passed through, not looked into
    return shelter


def close_shelter(home: Path, shelter: Path) -> None:
    """Removes it; what is to be kept has been moved out before."""
    shutil.rmtree(shelter, ignore_errors=True)
    (home / _MARKER).unlink(missing_ok=True)


def sweep_shelters(user: SystemUser) -> None:
    """Removes shelters whose stack's directory is gone or has another one."""
    for shelter in _base(user).glob(f"{_PREFIX}*"):
        origin = _read_path(shelter / _ORIGIN)
        if origin is not None and _is_ours(shelter) and _read_path(origin / _MARKER) != shelter:
            shutil.rmtree(shelter, ignore_errors=True)


def copy_readable(source: Path, target: Path) -> None:
    """Copies a file or a tree so that everybody can read it, whatever the umask was when it was installed."""
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, copy_function=_copy_file, dirs_exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy_file(str(source), str(target))


def make_passable(top: Path) -> None:
    """Lets everybody enter `top` and the directories below it."""
    for directory, _, _ in os.walk(top):
        Path(directory).chmod(0o755)


def _copy_file(source: str, target: str) -> str:
    shutil.copyfile(source, target)
    executable = Path(source).stat().st_mode & stat.S_IXUSR
    Path(target).chmod(0o755 if executable else 0o644)
    return target


def _base(user: SystemUser) -> Path:
    for candidate in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):  # noqa: S108 -- a name of 48 random bits
        if candidate.is_dir() and can_reach(user, candidate):
            return candidate
    raise StackError(f"the user {user.name} can enter no temporary directory; PostgreSQL needs one when we are root")


def _is_ours(shelter: Path) -> bool:
    """Made by us and by nobody else: a temporary directory is open to all."""
    try:
        status = shelter.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _read_path(file: Path) -> Path | None:
    try:
        return Path(file.read_text().strip())
    except OSError:
        return None
