"""Still and animated images by Pillow.

Guarantee: the image has the asked size and mode RGB and is sRGB; it is not turned. The result is None for whatever
Pillow cannot read. JPEG and JPEG 2000 are decoded at a fraction of their size where that is enough. Of an animation,
the most typical of its first frames is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,  # noqa: F401 -- the JPEG plugin imports it when it meets a file with several pictures
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from pipeline.adapters.media.inside.picture_choice import Shows, frame_limit, most_typical, sample_of_image, what_shows
from pipeline.adapters.media.inside.picture_colour import UNSPECIFIED, Tagged, in_srgb
from pipeline.adapters.media.inside.picture_png import first_passes
from pipeline.adapters.media.inside.refused import MAX_PIXELS
from schemas.media import VideoStream

PILLOW_FORMATS = {
    "jpeg": JpegImagePlugin.JpegImageFile.format,
    "png": PngImagePlugin.PngImageFile.format,
    "gif": GifImagePlugin.GifImageFile.format,
    "webp": WebPImagePlugin.WebPImageFile.format,
    "bmp": BmpImagePlugin.BmpImageFile.format,
    "tiff": TiffImagePlugin.TiffImageFile.format,
    "jpeg2000": Jpeg2KImagePlugin.Jpeg2KImageFile.format,
    "avif": AvifImagePlugin.AvifImageFile.format,
}

_ANIMATED = ("gif", "png", "webp", "avif")
_MAX_SEARCHED_FRAMES = 2000  # of an animation that begins with those that show nothing
_MAX_SEARCHED_PIXELS = 2**26
_TRANSFERS = {"smpte2084": 16, "arib-std-b67": 18}  # ITU-T H.273
_PRIMARIES = {"bt2020": 9, "smpte431": 11, "smpte432": 12}

_ORIENTATION = 0x0112
_BACK = {  # Pillow turns TIFF, and nothing else, as its orientation demands
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}

ImageFile.LOAD_TRUNCATED_IMAGES = True  # shows what there is of a file that was cut off
Image.MAX_IMAGE_PIXELS = None  # `picture` has a limit of its own
Image.preinit()
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # 0 starts threads


class _Seekable:
    """Only what Pillow needs of a file: it would take a descriptor past the file object."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def still_picture(file: BinaryIO, container: str, stream: VideoStream, size: tuple[int, int]) -> Image.Image | None:
    """The image in `file`, a format of `PILLOW_FORMATS`, scaled to `size` before it is turned."""
    try:
        if container == "png" and (small := first_passes(file, size)) is not None:
            file = small
        file.seek(0)
        with Image.open(cast(BinaryIO, _Seekable(file)), formats=[PILLOW_FORMATS[container]]) as image:
            if _is_oversized(image, stream):
                return None
            if container in _ANIMATED and getattr(image, "n_frames", 1) > 1:
                return _typical(image, stream, size)
            if isinstance(image, JpegImagePlugin.JpegImageFile):
                image.draft(None, size)
            elif isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile):
                image.reduce = _halvings(image.size, size)
            return _finished(image, stream, size)
    except Exception:  # noqa: BLE001 -- decoders of damaged images raise anything; another decoder tries next
        return None


def _typical(image: Image.Image, stream: VideoStream, size: tuple[int, int]) -> Image.Image | None:
    """The most typical of the first frames, from the first one on that shows something."""
    frames: list[Image.Image] = []
    samples: list[NDArray[Any]] = []
    for frame in _frames(image, stream, size):
        sample = sample_of_image(frame)
        if samples and (first := what_shows(samples[0])) is not Shows.CONTENT:
            if what_shows(sample) <= first:
                continue
            frames.clear()
            samples.clear()
        frames.append(frame)
        samples.append(sample)
        if len(frames) >= frame_limit(image.width, image.height):
            break
    return frames[most_typical(samples)[0]] if frames else None


def _frames(image: Image.Image, stream: VideoStream, size: tuple[int, int]) -> Iterator[Image.Image]:
    left_pixels = _MAX_SEARCHED_PIXELS
    for number in range(_MAX_SEARCHED_FRAMES):
        try:
            image.seek(number)
            left_pixels -= image.width * image.height
            if number and (left_pixels < 0 or _is_oversized(image, stream)):
                return
            yield _finished(image, stream, size)
        except (EOFError, OSError, ValueError, SyntaxError):  # the last frame, or one that is damaged
            return


def _is_oversized(image: Image.Image, stream: VideoStream) -> bool:
    """Whether the image is much larger than its header states: a damaged frame of a GIF enlarges it."""
    return image.width * image.height > min(MAX_PIXELS, 4 * stream.coded_width * stream.coded_height)


def _finished(image: Image.Image, stream: VideoStream, size: tuple[int, int]) -> Image.Image:
    profile = image.info.get("icc_profile")
    turned = image.getexif().get(_ORIENTATION, 1) if isinstance(image, TiffImagePlugin.TiffImageFile) else 1
    image = _plain(image)
    if turned in _BACK:
        image = image.transpose(_BACK[turned])
    if image.size != size:
        image = image.resize(size, Image.Resampling.HAMMING, reducing_gap=1.5)
    transfer = _TRANSFERS.get(stream.colour.transfer or "", UNSPECIFIED)
    primaries = _PRIMARIES.get(stream.colour.primaries or "", UNSPECIFIED)
    return in_srgb(image, Tagged(primaries, transfer, profile=profile))


def _plain(image: Image.Image) -> Image.Image:
    """The image in a mode that can be scaled: L, RGB, RGBA, CMYK or LAB."""
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        return _with_transparency(_eight_bits(image), np.asarray(image), image.info.get("transparency"))
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "CMYK", "LAB") else image.convert("RGB")


def _with_transparency(grey: Image.Image, values: NDArray[Any], transparent: object) -> Image.Image:
    """`grey` with the one value transparent that a PNG of 16 bits states (PNG third edition, 11.3.1.1)."""
    if not isinstance(transparent, int):
        return grey
    result = grey.convert("RGBA")
    result.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8), "L"))
    return result


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey image of 16 or 32 bits, or of floating point numbers; those without a fixed range are scaled to their
    largest value."""
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        grey = (values >> 8).astype(np.uint8)
    else:
        values = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
        largest = float(values.max(initial=0))
        full = 1.0 if image.mode == "F" and largest <= 1 else 65535.0 if largest > 255 else 255.0
        grey = (np.clip(values / max(full, largest), 0, 1) * 255 + 0.5).astype(np.uint8)
    if getattr(image, "tag_v2", {}).get(262) == 0:  # TIFF 6.0, PhotometricInterpretation: 0 is white
        grey = 255 - grey
    return Image.fromarray(grey, "L")


def _halvings(size: tuple[int, int], wanted: tuple[int, int]) -> int:
    """How often the size can be halved without becoming smaller than the wanted one."""
    return max(0, min(size[0] // max(1, wanted[0]), size[1] // max(1, wanted[1])).bit_length() - 1)
