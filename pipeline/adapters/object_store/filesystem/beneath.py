"""Files below one directory, reached name by name: no symbolic link is followed, and only regular files are opened.

Guarantee: whatever lies below the directory, no call reads, writes or removes a file outside of it, and none blocks: a
FIFO, a device or a socket is not opened. What is no regular file counts as missing, and so does what lies behind a
symbolic link; a link in place of one of the directories at the top is an error. The directory itself may be a link,
since the operator names it.

Paths are absolute and below the directory.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader, BufferedWriter
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A FIFO that replaces the file between the two calls of `open` must not block the second one.
_UNFOLLOWED = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700


class Beneath:
    """The files below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def directory(self, path: Path, *, create: bool = False) -> Iterator[int]:
        """A descriptor of the directory `path`. Raises FileNotFoundError; NotADirectoryError for a file or link in
        place of a directory at the top, and with `create` in place of any."""
        if create:
            self.root.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        descriptor = os.open(self.root, _DIRECTORY)
        try:
            for depth, name in enumerate(path.relative_to(self.root).parts):
                below = _enter(descriptor, name, create=create, required=create or depth == 0)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    def open(self, path: Path) -> BufferedReader:
        """The file for reading. Raises FileNotFoundError also for what is no regular file."""
        with self.directory(path.parent) as parent:
            _require_regular(os.stat(path.name, dir_fd=parent, follow_symlinks=False))
            try:
                descriptor = os.open(path.name, os.O_RDONLY | _UNFOLLOWED, dir_fd=parent)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENXIO):  # replaced meanwhile by a link or a socket
                    raise _missing() from None
                raise
        try:
            _require_regular(os.fstat(descriptor))
            return open(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise

    def stat(self, path: Path) -> os.stat_result:
        """Facts about a regular file. Raises FileNotFoundError also for anything else."""
        with self.directory(path.parent) as parent:
            facts = os.stat(path.name, dir_fd=parent, follow_symlinks=False)
        _require_regular(facts)
        return facts

    def has(self, path: Path) -> bool:
        try:
            self.stat(path)
        except FileNotFoundError:
            return False
        return True

    def create(self, path: Path) -> BufferedWriter:
        """A new file for writing. Raises FileExistsError."""
        with self.directory(path.parent, create=True) as parent:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _UNFOLLOWED
            return open(os.open(path.name, flags, _FILE_MODE, dir_fd=parent), "wb")

    def replace(self, source: Path, target: Path, *, sync: bool) -> None:
        """Rename; the directories of `target` are created. With `sync` the name is on the disk afterwards. Raises
        FileNotFoundError also when another process removes the directory at this moment."""
        with self.directory(source.parent) as old, self.directory(target.parent, create=True) as new:
            os.replace(source.name, target.name, src_dir_fd=old, dst_dir_fd=new)
            if sync:
                os.fsync(new)

    def unlink(self, path: Path) -> None:
        """Remove a name that is no directory. Idempotent."""
        try:
            with self.directory(path.parent) as parent:
                os.unlink(path.name, dir_fd=parent)
        except FileNotFoundError:
            return

    def remove_empty(self, path: Path, up_to: Path) -> None:
        """Remove the directory `path` and its parents while they are empty, up to but not including `up_to`."""
        while path != up_to and up_to in path.parents:
            try:
                with self.directory(path.parent) as parent:
                    os.rmdir(path.name, dir_fd=parent)
            except OSError:
                return
            path = path.parent

    def remove_tree(self, path: Path) -> None:
        """Remove a directory with everything in it; of a link, the link. Raises FileNotFoundError, OSError."""
        with self.directory(path.parent) as parent:
            if stat.S_ISDIR(os.stat(path.name, dir_fd=parent, follow_symlinks=False).st_mode):
                shutil.rmtree(path.name, dir_fd=parent)
            else:
                os.unlink(path.name, dir_fd=parent)

    def names(self, path: Path) -> list[str]:
        """The regular files in a directory; of one that does not exist, none."""
        try:
            with self.directory(path) as descriptor, os.scandir(descriptor) as entries:
                return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        except FileNotFoundError:
            return []

    def walk(self, path: Path) -> Iterator[Path]:
        """Every regular file below a directory."""
        try:
            with self.directory(path) as descriptor:
                for parent, _, names, inside in os.fwalk(".", dir_fd=descriptor, follow_symlinks=False):
                    for name in names:
                        if _is_regular(name, inside):
                            yield path / parent / name
        except FileNotFoundError:
            return


def _enter(parent: int, name: str, *, create: bool, required: bool) -> int:
    """A descriptor of the directory `name`, which is created if it is missing. What is no directory is an error where
    it is `required`, otherwise missing."""
    if create:
        with suppress(FileExistsError):
            os.mkdir(name, _DIRECTORY_MODE, dir_fd=parent)
    try:
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) if required else _missing() from None


def _missing() -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _require_regular(facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise _missing()


def _is_regular(name: str, directory: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
