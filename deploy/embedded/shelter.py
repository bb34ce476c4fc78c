"""Shelters: directories that another system user can enter, for a stack's directory that this user cannot.

A clone below /root, or in a directory made by mktemp, can be entered by its owner only. PostgreSQL, which runs as
another user when we are root, can then reach neither its binaries nor its data. A shelter is a directory below the
system's temporary directory that holds both while the server runs. `postgres/sheltered-at` in the stack's directory
names it. A clean stop removes it. After SIGKILL, the next start of the same stack finds its data there. Every start
removes the shelters of stacks whose directory no longer exists.
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
    """The shelter of the stack whose postgres directory is `home`: its existing one, or a new one."""
    marker = home / _MARKER
    known = _read_path(marker)
    if known is not None and _is_ours(known):
        return known
    shelter = _base(user) / f"{_PREFIX}{secrets.token_hex(6)}"
    # Write the marker first, because `sweep_shelters` removes a shelter that no marker names.
    marker.write_text(str(shelter))
    shelter.mkdir(mode=0o700)
    (shelter / _ORIGIN).write_text(str(home))
    shelter.chmod(0o711)  # others may pass through it but not list it
    return shelter


def close_shelter(home: Path, shelter: Path) -> None:
    """Removes the shelter. The caller has moved the data out before."""
    shutil.rmtree(shelter, ignore_errors=True)
    (home / _MARKER).unlink(missing_ok=True)


def sweep_shelters(user: SystemUser) -> None:
    """Removes shelters whose stack's directory no longer exists or names another shelter."""
    for shelter in _base(user).glob(f"{_PREFIX}*"):
        origin = _read_path(shelter / _ORIGIN)
        if origin is not None and _is_ours(shelter) and _read_path(origin / _MARKER) != shelter:
            shutil.rmtree(shelter, ignore_errors=True)


def copy_readable(source: Path, target: Path) -> None:
    """Copies a file or a tree so that everybody can read it, whatever the umask was at its installation."""
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
    for candidate in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):  # noqa: S108 -- the name has 48 random bits
        if candidate.is_dir() and can_reach(user, candidate):
            return candidate
    raise StackError(
        f"the user {user.name} cannot enter any temporary directory; PostgreSQL needs one when Sluice runs as root"
    )


def _is_ours(shelter: Path) -> bool:
    """Whether our user created it; anybody can create names in a temporary directory."""
    try:
        status = shelter.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _read_path(file: Path) -> Path | None:
    """The path that a file contains; None: there is no such file, or its writer has only opened it."""
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return Path(text) if text else None
