"""Images whose header says more than PyAV does, or makes it unnecessary to read the picture.

Guarantee: libavformat first gets a part of the file that ends soon after the header, and all of it only if that was not
enough.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.adapters.media.inside import image_jpeg, image_jpegxl, image_png, image_tiff, image_webp
from pipeline.adapters.media.inside.formats import ISO_IMAGES, VIDEO_FORMATS, container_name
from pipeline.adapters.media.inside.image_header import ImageHeader
from pipeline.adapters.media.inside.iso_boxes import boxes
from pipeline.adapters.media.inside.views import view

_AFTER_HEADER_BYTES = 16 * 1024
_BEGINNING_BYTES = 64 * 1024
_BMP = b"BM"
_OLD_BMP_BYTES = 12  # the length of the header of OS/2 1.x
_PLAIN = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
"""JPEG 2000 (in boxes, and the codestream alone), which PyAV describes completely."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """The header, and what libavformat gets: parts of the file, the last one all of it, or bytes of the same format if
    it could decode nothing."""

    header: ImageHeader
    parts: tuple[BinaryIO, ...]


def read_image(file: BinaryIO, head: bytes, size_bytes: int) -> ImageFile | None:
    """The image in a file that begins with `head`; None if it is none of these formats. Raises NotMedia for more texts
    than an image may contain."""
    if head.startswith(image_jpeg.SIGNATURE):
        jpeg = image_jpeg.read_jpeg(file)
        if jpeg.readable is not None:
            return ImageFile(jpeg.header, (view(file, jpeg.readable),))
        return _image(file, size_bytes, jpeg.header, max(jpeg.data_at, jpeg.least_bytes) + _AFTER_HEADER_BYTES)
    if head.startswith(image_png.SIGNATURE):
        header, end = image_png.read_png(file, size_bytes)
        return _image(file, size_bytes, header, end + _AFTER_HEADER_BYTES)
    if image_webp.is_webp(head):
        return _image(file, size_bytes, image_webp.read_webp(file, size_bytes), _BEGINNING_BYTES)
    if head.startswith(image_tiff.SIGNATURES):
        tiff, decodable = image_tiff.read_tiff(file)
        if not decodable:
            return ImageFile(tiff, (view(file, [image_tiff.RECOGNISED]),))
        return _image(file, size_bytes, tiff, _BEGINNING_BYTES)
    if head.startswith((image_jpegxl.CODESTREAM, image_jpegxl.CONTAINER)):
        return _image(file, size_bytes, image_jpegxl.read_jpegxl(file, size_bytes), _BEGINNING_BYTES)
    if head.startswith(_BMP):
        return _image(file, size_bytes, _bmp_header(head), _BEGINNING_BYTES)
    if head.startswith(_PLAIN):
        return _image(file, size_bytes, ImageHeader(), _BEGINNING_BYTES)
    if head[4:8] == b"ftyp" and container_name(VIDEO_FORMATS[0], head) in ISO_IMAGES:
        return _image(file, size_bytes, ImageHeader(), _iso_header_end(file, size_bytes))
    return None


def _image(file: BinaryIO, size_bytes: int, header: ImageHeader, end: int) -> ImageFile:
    beginning = (view(file, [(0, end)]),) if end < size_bytes else ()
    return ImageFile(header, (*beginning, file))


def _bmp_header(head: bytes) -> ImageHeader:
    """The size, which libavcodec reads only if it can decode the compression."""
    (length,) = struct.unpack_from("<I", head.ljust(26, b"\0"), 14)
    width, height = struct.unpack_from("<HH" if length == _OLD_BMP_BYTES else "<ii", head.ljust(26, b"\0"), 18)
    return ImageHeader(width=abs(width) or None, height=abs(height) or None)  # a negative height: from top to bottom


def _iso_header_end(file: BinaryIO, size_bytes: int) -> int:
    """Where the description of the items ends; the end of the file if it is a sequence as well."""
    end = size_bytes
    for box in boxes(file, 0, size_bytes, 64):
        if box.name == b"moov":
            return size_bytes
        if box.name == b"meta":
            end = box.end + _AFTER_HEADER_BYTES
    return end
