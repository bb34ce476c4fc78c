"""The header of an image, by its format."""

from __future__ import annotations

from typing import BinaryIO

from pipeline.adapters.media.inside.image_header import ImageHeader
from pipeline.adapters.media.inside.image_jpeg import read_jpeg
from pipeline.adapters.media.inside.image_jpegxl import read_jpegxl
from pipeline.adapters.media.inside.image_png import read_png
from pipeline.adapters.media.inside.image_tiff import read_tiff
from pipeline.adapters.media.inside.image_webp import read_webp


def read_image_header(file: BinaryIO, container: str, size_bytes: int) -> ImageHeader:
    """The header of a file whose `container` is one of `formats.IMAGES`; an empty one for formats that PyAV describes
    completely."""
    match container:
        case "jpeg":
            return read_jpeg(file)[0]
        case "png":
            return read_png(file, size_bytes)[0]
        case "webp":
            return read_webp(file, size_bytes)
        case "tiff":
            return read_tiff(file)
        case "jpegxl":
            return read_jpegxl(file, size_bytes)[0]
        case _:
            return ImageHeader()
