"""Reading media files."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from schemas.media import MediaMetadata


class MediaProbe(Protocol):
    async def probe(self, path: Path) -> MediaMetadata:
        """Read a file's metadata. Idempotent, reads only. Raises MediaError NOT_MEDIA, MEDIA_TIMEOUT; SluiceError
        MEDIA_TOOL_FAILED."""


class Thumbnailer(Protocol):
    async def thumbnail(self, path: Path, metadata: MediaMetadata) -> bytes | None:
        """A JPEG that fits 640 x 640 pixels, or None if the file has nothing to show. Raises as MediaProbe."""
