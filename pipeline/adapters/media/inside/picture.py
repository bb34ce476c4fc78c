"""One representative frame of a media file as a small JPEG.

Guarantee: the edges of the JPEG are at most `max_edge_pixels` and at most those of the displayed picture. Its pixels
are square, upright, opaque on white and sRGB. It contains no EXIF, colour profile or other metadata. The result is None
if there is nothing to show: sound without a cover, or a picture that no decoder here can read. Intact media is never
refused for lack of a decoder. It raises NotMedia for a picture with too many pixels. It only reads, and starts no
thread.
"""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from pipeline.adapters.media.inside.demuxer import Opened
from pipeline.adapters.media.inside.formats import ISO_IMAGES
from pipeline.adapters.media.inside.picture_heif import heif_picture
from pipeline.adapters.media.inside.picture_moving import covering_picture, moving_picture
from pipeline.adapters.media.inside.picture_still import PILLOW_FORMATS, still_picture
from pipeline.adapters.media.inside.refused import MAX_PIXELS, NotMedia
from schemas.media import MediaMetadata, VideoStream

_JPEG_QUALITY = 82  # about 40 KB for 640 x 360
_CLOCKWISE = {
    90: Image.Transpose.ROTATE_270,  # Pillow counts counterclockwise
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}


def picture(file: BinaryIO, metadata: MediaMetadata, max_edge_pixels: int, media: Opened | None = None) -> bytes | None:
    """A JPEG of `file`, which `metadata` describes. `media`: the open file that `described` gives, whose packets are
    read here; without it, the file is opened. Raises NotMedia."""
    stream = metadata.picture
    if stream is None:
        return None
    if stream.coded_width * stream.coded_height > MAX_PIXELS:
        raise NotMedia(f"its picture has more than {MAX_PIXELS // 10**6} million pixels")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of damaged metadata, which is not used here
        image = _image(file, metadata, stream, max_edge_pixels, media)
    return None if image is None else _jpeg(image)


def thumbnail_size(stream: VideoStream, max_edge_pixels: int) -> tuple[int, int]:
    """The displayed size, scaled down to fit into a square of `max_edge_pixels`; never enlarged, at least 1 pixel."""
    scale = min(1.0, max_edge_pixels / max(stream.width, stream.height))
    return max(1, round(stream.width * scale)), max(1, round(stream.height * scale))


def _image(
    file: BinaryIO, metadata: MediaMetadata, stream: VideoStream, max_edge_pixels: int, media: Opened | None
) -> Image.Image | None:
    """The upright picture, scaled."""
    size = thumbnail_size(stream, max_edge_pixels)
    stored_size = (size[1], size[0]) if stream.rotation in (90, 270) else size
    image: Image.Image | None = None
    if metadata.kind == "image":
        if metadata.container in PILLOW_FORMATS:
            image = still_picture(file, metadata.container, stream, stored_size)
        if image is None and metadata.container in ISO_IMAGES and not metadata.duration_seconds:
            image = heif_picture(file, metadata.size_bytes, stored_size)
    elif stream.attached_picture:
        image = covering_picture(file, stream, stored_size)
    if image is None and not stream.tiled:  # a track shows one tile
        image = moving_picture(file, metadata, stream, stored_size, media)
    return None if image is None else _upright(image, stream)


def _upright(image: Image.Image, stream: VideoStream) -> Image.Image:
    if stream.mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if stream.rotation:
        image = image.transpose(_CLOCKWISE[stream.rotation])
    return image


def _jpeg(image: Image.Image) -> bytes:
    image.info = {}  # Pillow would write the profile and the comment of the source
    output = BytesIO()
    image.save(output, "JPEG", quality=_JPEG_QUALITY)
    return output.getvalue()
