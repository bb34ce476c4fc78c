"""Thumbnails of files in memory, and what they show."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from PIL import Image

from pipeline.adapters.media.inside.metadata import describe
from pipeline.adapters.media.inside.picture import picture
from schemas.media import MediaMetadata

Colour = tuple[int, int, int]
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
UPRIGHT = (RED, GREEN, BLUE, WHITE)  # as one reads: top left, top right, bottom left, bottom right
TURNED_90 = (BLUE, RED, WHITE, GREEN)  # clockwise
TURNED_180 = (WHITE, BLUE, GREEN, RED)
TURNED_270 = (GREEN, WHITE, RED, BLUE)
MIRRORED = (GREEN, RED, WHITE, BLUE)
ORIENTED = {  # by the number in Exif
    1: UPRIGHT,
    2: MIRRORED,
    3: TURNED_180,
    4: (BLUE, WHITE, RED, GREEN),
    5: (RED, BLUE, GREEN, WHITE),
    6: TURNED_90,
    7: (WHITE, GREEN, BLUE, RED),
    8: TURNED_270,
}


class CountingFile:
    """A file in memory, or a large one on disk, that counts what is read of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read_bytes = 0

    def read(self, count: int = -1) -> bytes:
        content = self._file.read(count)
        self.read_bytes += len(content)
        return content

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A decoded thumbnail."""

    size: tuple[int, int]
    quarters: tuple[Colour, ...]
    jpeg: bytes = field(repr=False)

    def shows(self, expected: tuple[Colour, ...], tolerance: int = 12) -> bool:
        """Whether the middles of the four quarters have these colours."""
        return all(
            abs(seen - wanted) <= tolerance
            for quarter, colour in zip(self.quarters, expected, strict=True)
            for seen, wanted in zip(quarter, colour, strict=True)
        )


def thumbnail(content: bytes, max_edge_pixels: int = 640, metadata: MediaMetadata | None = None) -> Thumbnail | None:
    """The thumbnail of a file; `metadata` replaces what describes it."""
    file = cast(BinaryIO, CountingFile(io.BytesIO(content)))
    metadata = metadata or describe(file, len(content))
    jpeg = picture(file, metadata, max_edge_pixels)
    return None if jpeg is None else decoded(jpeg)


def decoded(jpeg: bytes) -> Thumbnail:
    """The JPEG, which must have no metadata."""
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
        assert image.mode == "RGB"
        assert not image.getexif()
        assert not {"icc_profile", "exif", "comment", "xmp"} & set(image.info)
        width, height = image.size
        at = [(x, y) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]
        return Thumbnail(image.size, tuple(cast(Colour, image.getpixel(point)) for point in at), jpeg)


def shown(content: bytes, max_edge_pixels: int = 640, metadata: MediaMetadata | None = None) -> Thumbnail:
    """The thumbnail of a file that has one."""
    found = thumbnail(content, max_edge_pixels, metadata)
    assert found is not None
    return found
