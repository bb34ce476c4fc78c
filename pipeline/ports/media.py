"""Reading media files: metadata and one frame, from the ranges that the reader requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from schemas.media import MediaMetadata


class ByteSource(Protocol):
    """The bytes of one file, wherever they are: on the temp volume, in the store, or yet to arrive."""

    @property
    def size_bytes(self) -> int:
        """Length of the whole file."""

    async def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`, which lie within the file. Idempotent. Raises what its place raises
        (TempVolumeError, StoreError, SegmentCorrupt, and SegmentsMissing of `uploads.bytes`); the reader passes it on
        unchanged."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The thumbnail: a JPEG; None: the file has nothing to show."""

    jpeg: bytes | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader found. `frame` is None when it was not cheap, or needed bytes that are not there: `thumbnail`
    makes it."""

    metadata: MediaMetadata
    frame: Frame | None


class MediaReader(Protocol):
    """Reads untrusted files in a sandbox. Errors: MediaError NOT_MEDIA and MEDIA_TIMEOUT, which are the file's and are
    not retried; SluiceError MEDIA_TOOL_FAILED, which is the machine's; and what the byte source raised. Both methods
    only read, and may be repeated and cancelled; the sandboxed process never outlives the call."""

    async def read(self, source: ByteSource) -> Reading:
        """The metadata, and the frame too if both together take less than about a second of CPU. The source's errors
        are raised while the metadata is read, and leave out the frame afterwards."""

    async def thumbnail(self, source: ByteSource, metadata: MediaMetadata) -> Frame:
        """A JPEG of one representative frame, upright, that fits 640 x 640 pixels. Raises MEDIA_TIMEOUT where the frame
        takes too much CPU."""
