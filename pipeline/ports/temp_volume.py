"""The temp volume: one directory on one disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pipeline.ports.object_store import SegmentSource


class TempFiles(Protocol):
    """One temp file per upload. Errors: TempVolumeError TEMP_VOLUME_FULL, TEMP_VOLUME_FAILED, TEMP_FILE_MISSING.
    Blocking work runs in threads."""

    def path(self, upload_id: str) -> Path: ...

    async def allocate(self, upload_id: str, size_bytes: int) -> int:
        """Create the upload's temp file with its full length; returns the bytes that the disk has allocated for it.
        Idempotent, also from several processes at once. On failure nothing is left."""

    async def allocate_sparse(self, upload_id: str, size_bytes: int) -> None:
        """Create the upload's temp file with its full length and no bytes: `allocate_range` adds them. Idempotent; an
        existing file keeps its bytes."""

    async def allocate_range(self, upload_id: str, offset: int, size_bytes: int) -> None:
        """Set the bytes of a range aside on the disk. Idempotent; written bytes stay. Raises TEMP_FILE_MISSING,
        TEMP_VOLUME_FULL."""

    async def punch(self, upload_id: str, ranges: Sequence[tuple[int, int]]) -> None:
        """Remove the bytes of these ranges (offset, size) from the disk: their whole blocks, and the file's last block
        with its last byte. The file keeps its length and reads as zeros there. Idempotent; does nothing where there is
        no file. Raises TEMP_VOLUME_FAILED where the filesystem cannot do it (see `VolumeDisk.can_punch`)."""

    async def shorten(self, upload_id: str, size_bytes: int) -> None:
        """Cut the temp file off at this length: the bytes after it leave the disk. Idempotent; does nothing where the
        file is shorter, or missing."""

    async def read(self, upload_id: str, offset: int, size_bytes: int) -> bytes:
        """Bytes of the temp file. Raises TEMP_FILE_MISSING, also where the file is shorter."""

    async def crc32c(self, upload_id: str, offset: int, size_bytes: int) -> int | None:
        """The crc32c of a range; None where the file is shorter. Raises TEMP_FILE_MISSING."""

    async def write(self, upload_id: str, offset: int, blocks: Sequence[bytes], crc32c: int) -> int:
        """Write blocks at an offset, extend the running crc32c over them and return it."""

    async def flush(self, upload_id: str) -> None:
        """Make the written bytes as safe as this volume promises: in the page cache, or on the disk."""

    def source(
        self, upload_id: str, number: int, offset: int, size_bytes: int, crc32c: int, md5_hex: str = ""
    ) -> SegmentSource: ...

    async def verify(self, upload_id: str, size_bytes: int) -> None:
        """Check that the temp file exists with its full length. Raises TEMP_FILE_MISSING."""

    async def remove(self, upload_id: str) -> None:
        """Idempotent."""

    async def list(self) -> Mapping[str, tuple[int, float]]:
        """Every temp file: upload id -> (bytes allocated on the disk, seconds since its last change)."""


class VolumeDisk(Protocol):
    """The disk of a temp volume. Errors as TempFiles."""

    @property
    def name(self) -> str: ...

    async def free_bytes(self) -> int: ...

    async def total_bytes(self) -> int:
        """What the disk holds when it is empty: no file can be larger."""

    async def can_punch(self) -> bool:
        """Whether the filesystem can remove ranges of a file. Without it there are no windows and no early release."""

    async def check(self) -> None:
        """Write a few bytes and remove them. Raises what writing a segment would raise now."""


class TempVolume(TempFiles, VolumeDisk, Protocol):
    """Both."""
