"""Journals as files beside the temp files. Implements `ports.UploadJournals`.

Guarantee: a journal appears with its first entry or not at all. Entries are appended with one write each (O_APPEND, so
on a local disk concurrent writers do not mix; an entry torn by a crash is ignored, see `core.journal`). With `durable`,
an entry is on the disk, not only in the page cache, when `note` returns. The space for later entries is preallocated
when a journal begins (`core.journal_size`), so that an admitted upload continues even if another program fills the
disk. What is left of it is given back when the upload ends, since the journal is kept for a while.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from pipeline.adapters.volume.disk import fallocate, in_thread, open_regular, sync_directory
from pipeline.core.journal import NO_SLOTS, SLOT_BYTES, Journal, read, slot, write
from pipeline.core.journal_entries import Ended, Entry, TailLeft, beginning
from pipeline.core.journal_size import journal_bytes
from pipeline.core.model import NewUpload
from pipeline.core.tail import Tail

_SUFFIX = ".journal"
_ENDED = ".journal-ended"
_UNFINISHED = ".journal-new"
_UNFINISHED_SECONDS = 60.0


class FileUploadJournals:
    """Journals in `directory`, the directory of the temp volume."""

    def __init__(self, directory: Path, *, durable: bool) -> None:
        self._directory = directory
        self._durable = durable

    def _path(self, upload_id: str, suffix: str = _SUFFIX) -> Path:
        return self._directory / f"{upload_id}{suffix}"

    async def begin(self, new: NewUpload) -> None:
        path = self._path(new.upload_id)

        def work() -> None:
            if path.exists() or self._path(new.upload_id, _ENDED).exists():
                return
            unfinished = self._directory / f"{uuid4().hex}{_UNFINISHED}"
            try:
                self._append(unfinished, NO_SLOTS + write(beginning(new)), os.O_CREAT | os.O_EXCL)
                _preallocate(unfinished, journal_bytes(new))
                with suppress(FileExistsError):
                    os.link(unfinished, path)
            finally:
                unfinished.unlink(missing_ok=True)
            if self._durable:
                sync_directory(self._directory)

        await in_thread(work)

    async def note(self, upload_id: str, *entries: Entry) -> None:
        path = self._path(upload_id)

        def work() -> None:
            with suppress(FileNotFoundError):
                self._append(path, write(entries))

        await in_thread(work)

    async def note_tail(self, upload_id: str, run: int, tail: Tail) -> None:
        path = self._path(upload_id)
        offset, line = slot(TailLeft(run, tail))

        def work() -> None:
            with suppress(FileNotFoundError):
                fd = open_regular(path, os.O_RDWR)
                try:
                    if os.pread(fd, 1, 0) + os.pread(fd, 1, SLOT_BYTES) + os.pread(fd, 1, 2 * SLOT_BYTES) != b"\n\n\n":
                        return  # begun by a release whose journals have no slots
                    os.pwrite(fd, line, offset)
                    if self._durable:
                        os.fdatasync(fd)
                finally:
                    os.close(fd)

        await in_thread(work)

    async def read(self, upload_id: str) -> Journal | None:
        def work() -> Journal | None:
            for suffix in (_SUFFIX, _ENDED):
                path = self._path(upload_id, suffix)
                with suppress(FileNotFoundError), open(open_regular(path, os.O_RDONLY), "rb") as file:
                    return read(file.read())
            return None

        return await in_thread(work)

    async def ids(self) -> Sequence[str]:
        def work() -> list[str]:
            with os.scandir(self._directory) as entries:
                names = [entry.name for entry in entries if entry.name.endswith((_SUFFIX, _ENDED))]
            # upload ids are UUIDs of version 7, so this sorts by time
            return sorted({name.removesuffix(_SUFFIX).removesuffix(_ENDED) for name in names})

        return await in_thread(work)

    async def end(self, upload_id: str, ended: Ended) -> None:
        def work() -> None:
            for suffix in (_SUFFIX, _ENDED):
                path = self._path(upload_id, suffix)
                with suppress(FileNotFoundError):
                    self._append(path, write([ended]))
                    ended_path = self._path(upload_id, _ENDED)
                    path.rename(ended_path)
                    with suppress(OSError):
                        _trim(ended_path)
                    return

        await in_thread(work)

    async def ended(self, idle_seconds: float) -> Sequence[str]:
        return [name.removesuffix(_ENDED) for name in await self._idle(_ENDED, idle_seconds)]

    async def remove(self, upload_ids: Sequence[str]) -> None:
        unfinished = await self._idle(_UNFINISHED, _UNFINISHED_SECONDS)

        def work() -> None:
            for name in (*(f"{upload_id}{_ENDED}" for upload_id in upload_ids), *unfinished):
                (self._directory / name).unlink(missing_ok=True)

        await in_thread(work)

    async def _idle(self, suffix: str, idle_seconds: float) -> list[str]:
        def work() -> list[str]:
            found: list[str] = []
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    if entry.name.endswith(suffix):
                        with suppress(FileNotFoundError):
                            if time.time() - entry.stat(follow_symlinks=False).st_mtime > idle_seconds:
                                found.append(entry.name)
            return found

        return await in_thread(work)

    def _append(self, path: Path, data: bytes, flags: int = 0) -> None:
        fd = open_regular(path, os.O_WRONLY | os.O_APPEND | flags)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)  # until it is closed: see `_trim`
            written = os.write(fd, data)
            while written < len(data):  # full disk or a signal: append the rest, or the entry stays torn
                written += os.write(fd, data[written:])
            if self._durable:
                os.fdatasync(fd)
        finally:
            os.close(fd)


def _trim(path: Path) -> None:
    """Remove the bytes beyond the file's end from the disk. No entry is being appended meanwhile."""
    fd = open_regular(path, os.O_WRONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.ftruncate(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)


def _preallocate(path: Path, size_bytes: int) -> None:
    """Preallocate bytes beyond the file's end, unless the filesystem does not support it."""
    fd = open_regular(path, os.O_WRONLY)
    try:
        fallocate(fd, size_bytes, keep_size=True)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise
    finally:
        os.close(fd)
