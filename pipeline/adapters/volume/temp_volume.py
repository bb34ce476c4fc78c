"""The temp volume: one directory on one disk, one temp file per upload. Implements `ports.TempVolume`.

Guarantee: a segment's bytes are written to their own offset of the upload's file and never copied again. `allocate`
preallocates the whole length (`volume.preallocate`), so an admitted upload cannot run out of disk; ranges can be
allocated and removed one by one (`volume.holes`). All blocking work runs in threads.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import aiofiles.os
import google_crc32c

from pipeline.adapters.volume import holes
from pipeline.adapters.volume.disk import UNSUPPORTED, in_thread, itself, open_regular, sync_directory, translated
from pipeline.adapters.volume.preallocate import preallocate, private_name, probe
from pipeline.adapters.volume.segment_source import FileSegmentSource, extended_crc32c
from pipeline.core.errors import TempVolumeError

_IOV_MAX = 1024
# Each call into a thread has a price, and none can be cancelled.
_BYTES_PER_CALL = 16 * 1024 * 1024
_SUFFIX = ".data"


class DirectoryTempVolume:
    """A temp volume in `directory`, which is created if it does not exist. `durable`: `flush` waits for the disk."""

    def __init__(self, name: str, directory: Path, *, durable: bool = False) -> None:
        self._name = name
        self._durable = durable
        self._directory = directory
        self._can_punch: bool | None = None
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def name(self) -> str:
        return self._name

    def path(self, upload_id: str) -> Path:
        return self._directory / f"{upload_id}{_SUFFIX}"

    async def allocate(self, upload_id: str, size_bytes: int) -> int:
        path = self.path(upload_id)

        def work() -> int:
            try:
                backed_bytes = preallocate(path, size_bytes)
            except OSError as error:
                if error.errno not in UNSUPPORTED:
                    raise
                reason = "its filesystem does not support preallocation (fallocate)"
                raise TempVolumeError("TEMP_VOLUME_FAILED", reason=reason) from error
            if self._durable:
                sync_directory(self._directory)
            return backed_bytes

        return await in_thread(work)

    async def allocate_sparse(self, upload_id: str, size_bytes: int) -> None:
        path = self.path(upload_id)

        def work() -> None:
            probe(private_name(path))  # a disk that accepts no bytes must not be used
            holes.create_sparse(path, size_bytes)
            if self._durable:
                sync_directory(self._directory)

        await in_thread(work)

    async def allocate_range(self, upload_id: str, offset: int, size_bytes: int) -> None:
        await in_thread(lambda: holes.allocate_range(self.path(upload_id), offset, size_bytes))

    async def punch(self, upload_id: str, ranges: Sequence[tuple[int, int]]) -> None:
        def work() -> None:
            with suppress(FileNotFoundError):
                holes.punch(self.path(upload_id), ranges)

        await in_thread(work)

    async def shorten(self, upload_id: str, size_bytes: int) -> None:
        def work() -> None:
            with suppress(FileNotFoundError):
                holes.shorten(self.path(upload_id), size_bytes)

        await in_thread(work)

    async def can_punch(self) -> bool:
        """See `ports.TempVolume`. Tried once."""
        if self._can_punch is None:
            path = self._new_path()
            self._can_punch = await in_thread(lambda: holes.can_punch(path))
        return self._can_punch

    async def read(self, upload_id: str, offset: int, size_bytes: int) -> bytes:
        return await in_thread(lambda: holes.read(self.path(upload_id), offset, size_bytes))

    async def crc32c(self, upload_id: str, offset: int, size_bytes: int) -> int | None:
        path = self.path(upload_id)
        running = 0
        for done in range(0, max(1, size_bytes), _BYTES_PER_CALL):
            length = min(_BYTES_PER_CALL, size_bytes - done)
            extended = await in_thread(partial(extended_crc32c, path, offset + done, length, running))
            if extended is None:
                return None
            running = extended
        return running

    async def write(self, upload_id: str, offset: int, blocks: Sequence[bytes], crc32c: int) -> int:
        path = self.path(upload_id)

        def work() -> int:
            running = crc32c
            fd = open_regular(path, os.O_WRONLY)
            try:
                for block in blocks:
                    running = google_crc32c.extend(running, block)
                _write_all(fd, blocks, offset)
            finally:
                os.close(fd)
            return running

        return await in_thread(work)

    async def flush(self, upload_id: str) -> None:
        if not self._durable:
            return
        path = self.path(upload_id)

        def work() -> None:
            fd = open_regular(path, os.O_WRONLY)
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)

        await in_thread(work)

    def source(
        self, upload_id: str, number: int, offset: int, size_bytes: int, crc32c: int, md5_hex: str = ""
    ) -> FileSegmentSource:
        return FileSegmentSource(self.path(upload_id), number, offset, size_bytes, crc32c, md5_hex)

    async def verify(self, upload_id: str, size_bytes: int) -> None:
        with translated():
            facts = await aiofiles.os.stat(self.path(upload_id), follow_symlinks=False)
        if facts.st_size != size_bytes:
            raise TempVolumeError("TEMP_FILE_MISSING")

    async def remove(self, upload_id: str) -> None:
        path = self.path(upload_id)
        for name in (path, private_name(path)):
            with translated(), suppress(FileNotFoundError):
                await aiofiles.os.unlink(name)

    async def free_bytes(self) -> int:
        with translated():
            facts = await aiofiles.os.statvfs(itself(self._directory))
        return facts.f_bavail * facts.f_frsize

    async def total_bytes(self) -> int:
        with translated():
            facts = await aiofiles.os.statvfs(itself(self._directory))
        return (
            facts.f_blocks - (facts.f_bfree - facts.f_bavail)
        ) * facts.f_frsize  # without the blocks reserved for root

    async def check(self) -> None:
        path = self._new_path()
        await in_thread(lambda: probe(path))

    def _new_path(self) -> Path:
        """A file to try something on; after a crash it is removed as an orphaned temp file."""
        return self._directory / f"{secrets.token_hex(8)}{_SUFFIX}"

    async def list(self) -> Mapping[str, tuple[int, float]]:
        def work() -> dict[str, tuple[int, float]]:
            found: dict[str, tuple[int, float]] = {}
            with os.scandir(itself(self._directory)) as entries:
                for entry in entries:
                    if entry.name.endswith(_SUFFIX):
                        try:
                            facts = entry.stat(follow_symlinks=False)
                        except FileNotFoundError:
                            continue
                        found[entry.name.removesuffix(_SUFFIX)] = (facts.st_blocks * 512, time.time() - facts.st_ctime)
            return found

        return await in_thread(work)


def _write_all(fd: int, blocks: Sequence[bytes], offset: int) -> None:
    """pwritev in batches of at most IOV_MAX blocks; after a short write, the rest is written with pwrite."""
    for start in range(0, len(blocks), _IOV_MAX):
        batch = blocks[start : start + _IOV_MAX]
        total = sum(map(len, batch))
        written = os.pwritev(fd, batch, offset)
        if written < total:
            rest = memoryview(b"".join(batch))[written:]
            while rest:
                count = os.pwrite(fd, rest, offset + total - len(rest))
                rest = rest[count:]
        offset += total
