"""The header of an image whose format has one that PyAV does not describe completely, and the part of the file that
libavformat needs to describe the rest.

Guarantee: for the large formats (JPEG, PNG) that part ends soon after the header, so that the picture is not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from pipeline.adapters.media.inside import image_jpeg, image_jpegxl, image_png, image_tiff, image_webp
from pipeline.adapters.media.inside.image_header import ImageHeader
from pipeline.adapters.media.inside.views import view

_AFTER_HEADER_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class ImageFile:
    """The header, and the beginning of the file."""

    header: ImageHeader
    beginning: BinaryIO


def read_image(file: BinaryIO, head: bytes, size_bytes: int) -> ImageFile | None:
    """The image in a file that begins with `head`; None if it is none of these formats."""
    if head.startswith(image_jpeg.SIGNATURE):
        header, data_at = image_jpeg.read_jpeg(file)
        return ImageFile(header, _beginning(file, size_bytes, data_at))
    if head.startswith(image_png.SIGNATURE):
        header, data_at = image_png.read_png(file, size_bytes)
        return ImageFile(header, _beginning(file, size_bytes, data_at))
    if image_webp.is_webp(head):
        return ImageFile(image_webp.read_webp(file, size_bytes), file)
    if head.startswith(image_tiff.SIGNATURES):
        return ImageFile(image_tiff.read_tiff(file), file)
    if head.startswith((image_jpegxl.CODESTREAM, image_jpegxl.CONTAINER)):
        return ImageFile(image_jpegxl.read_jpegxl(file, size_bytes)[0], file)
    return None


def _beginning(file: BinaryIO, size_bytes: int, data_at: int) -> BinaryIO:
    end = min(size_bytes, data_at + _AFTER_HEADER_BYTES)
    return file if end == size_bytes else view(file, [(0, end)])
