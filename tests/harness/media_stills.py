"""Pictures in every format and mode that Pillow, pillow-heif and NumPy write, for tests.

Each shows four quarters, red, green, blue and white as one reads, or, without colour, four greys.
"""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

from tests.harness.media_samples import ffmpeg

Maker = Callable[[], bytes]
WIDTH, HEIGHT = 320, 240
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))
GREYS = (0, 85, 170, 255)


def quartered(values: Any, width: int = WIDTH, height: int = HEIGHT, dtype: Any = np.uint8) -> NDArray[Any]:
    """Four quarters of these values: numbers, or tuples of them."""
    four = np.array(values, dtype)
    grid = four.reshape(2, 2, *four.shape[1:])
    return grid.repeat(height // 2, axis=0).repeat(width // 2, axis=1)


def coloured(mode: str = "RGB", width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """The four colours in a mode of Pillow."""
    return Image.fromarray(quartered(COLOURS, width, height), "RGB").convert(mode)


def translucent() -> Image.Image:
    """The blue quarter is transparent."""
    image = coloured("RGBA")
    image.putalpha(Image.fromarray(quartered((255, 255, 0, 255)), "L"))
    return image


def grey(mode: str = "L") -> Image.Image:
    """The four greys."""
    return Image.fromarray(quartered(GREYS), "L").convert(mode)


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    output = io.BytesIO()
    image.save(output, form, **options)
    return output.getvalue()


def interlaced_png(width: int, height: int) -> bytes:
    """Four quarters, written in seven passes (PNG third edition, 8.1), which Pillow cannot write. Lines repeat, so a
    picture of any size is small."""
    squeezed, parts = zlib.compressobj(1), []
    for x0, y0, dx, dy in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        columns, rows = np.arange(x0, width, dx), range(y0, height, dy)
        if not len(columns):
            continue
        lines = [b"\0" + np.array(COLOURS, np.uint8)[2 * half + (columns >= width // 2)].tobytes() for half in (0, 1)]
        parts += [squeezed.compress(lines[y >= height // 2]) for y in rows]
    data = b"".join([*parts, squeezed.flush()])
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def heic(image: Image.Image | pillow_heif.HeifFile, **options: Any) -> bytes:
    output = io.BytesIO()
    file = pillow_heif.from_pillow(image) if isinstance(image, Image.Image) else image
    file.save(output, quality=95, **options)
    return output.getvalue()


def _deep_heic() -> bytes:
    return heic(pillow_heif.from_bytes("RGB;16", (WIDTH, HEIGHT), _DEEP_COLOURS.tobytes()))


def _second_of_two() -> bytes:
    """The main picture is the second one; the first one is upside down."""
    file = pillow_heif.from_pillow(coloured().rotate(180))
    file.add_from_pillow(coloured())
    return heic(file, primary_index=1)


def _converted(codec: str, pixels: NDArray[Any], source: str, *arguments: str) -> Maker:
    """A picture that ffmpeg writes from these pixels."""
    raw = ("-f", "rawvideo", "-pix_fmt", source, "-s", f"{WIDTH}x{HEIGHT}", "-i", "pipe:0")
    target = ("-frames:v", "1", "-c:v", codec, *arguments, "-f", "image2pipe", "pipe:1")
    return lambda: ffmpeg(*raw, *target, standard_input=pixels.tobytes())


def _palette(form: str) -> bytes:
    """The blue quarter is the transparent colour of a palette."""
    image = coloured().convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    return saved(image, form, transparency=image.getpixel((WIDTH // 4, HEIGHT * 3 // 4)))


def _cached(makers: Mapping[str, Maker]) -> Mapping[str, Maker]:
    return {name: functools.cache(make) for name, make in makers.items()}


_DEEP_COLOURS = quartered(np.array(COLOURS) * 257, dtype=np.uint16)
_DEEP_GREYS = quartered(np.array(GREYS) * 257, dtype=np.uint16)
_FRAMES = {"save_all": True, "duration": 100}

COLOURED: Mapping[str, Maker] = _cached(
    {
        **{
            f"tiff_{compression}": functools.partial(saved, coloured(), "TIFF", compression=compression)
            for compression in (
                "raw",
                "tiff_lzw",
                "tiff_deflate",
                "tiff_adobe_deflate",
                "packbits",
                "jpeg",
                "zstd",
                "lzma",
            )
        },
        "tiff_big": lambda: saved(coloured(), "TIFF", big_tiff=True),
        "tiff_palette": lambda: saved(coloured("P"), "TIFF"),
        "tiff_cmyk": lambda: saved(coloured("CMYK"), "TIFF"),
        "tiff_16": _converted("tiff", _DEEP_COLOURS, "rgb48le"),
        "tiff_16_deflate": _converted("tiff", _DEEP_COLOURS, "rgb48le", "-compression_algo", "deflate"),
        "png_palette": lambda: saved(coloured("P"), "PNG"),
        "png_16": _converted("png", _DEEP_COLOURS, "rgb48le"),
        "png_interlaced": lambda: interlaced_png(WIDTH, HEIGHT),
        "png_animated": lambda: saved(coloured(), "PNG", append_images=[coloured()], **_FRAMES),
        "webp": lambda: saved(coloured(), "WEBP"),
        "webp_lossless": lambda: saved(coloured(), "WEBP", lossless=True),
        "webp_animated": lambda: saved(coloured(), "WEBP", append_images=[coloured()], **_FRAMES),
        "gif": lambda: saved(coloured(), "GIF"),
        "bmp": lambda: saved(coloured(), "BMP"),
        "bmp_palette": lambda: saved(coloured("P"), "BMP"),
        "jpeg_cmyk": lambda: saved(coloured("CMYK"), "JPEG", quality=95),
        "jpeg_progressive": lambda: saved(coloured(), "JPEG", subsampling=0, progressive=True),
        "jpeg_of_two": lambda: saved(coloured(), "MPO", save_all=True, append_images=[coloured().rotate(180)]),
        "jp2": lambda: saved(coloured(), "JPEG2000"),
        "j2k": lambda: saved(coloured(), "JPEG2000", no_jp2=True),
        "avif": lambda: saved(coloured(), "AVIF"),
        "avif_animated": lambda: saved(coloured(), "AVIF", append_images=[coloured()], **_FRAMES),
        "heic": lambda: heic(coloured()),
        "heic_10_bits": _deep_heic,
        "heic_second": _second_of_two,
    }
)
"""Pictures of the four colours. Each is made once per process."""

TRANSLUCENT: Mapping[str, Maker] = _cached(
    {
        "png": lambda: saved(translucent(), "PNG"),
        "png_palette": lambda: _palette("PNG"),
        "png_colour_key": lambda: saved(coloured(), "PNG", transparency=(0, 0, 255)),
        "gif": lambda: _palette("GIF"),
        "tiff": lambda: saved(translucent(), "TIFF"),
        "webp": lambda: saved(translucent(), "WEBP", lossless=True),
        "jp2": lambda: saved(translucent(), "JPEG2000"),
        "avif": lambda: saved(translucent(), "AVIF", quality=100),
        "heic": lambda: heic(translucent()),
    }
)
"""The blue quarter is transparent."""

GREY: Mapping[str, Maker] = _cached(
    {
        "png": lambda: saved(grey(), "PNG"),
        "png_alpha": lambda: saved(grey("LA"), "PNG"),
        "png_16": _converted("png", _DEEP_GREYS, "gray16le"),
        "png_alpha_16": _converted("png", _DEEP_GREYS, "gray16le", "-pix_fmt", "ya16be"),
        "tiff_16": lambda: saved(Image.fromarray(_DEEP_GREYS), "TIFF"),
        "jpeg": lambda: saved(grey(), "JPEG", quality=95),
        "j2k_16": lambda: saved(Image.fromarray(_DEEP_GREYS), "JPEG2000"),
        "avif": lambda: saved(grey(), "AVIF"),
        "heic": lambda: heic(grey()),
    }
)
"""Four greys: 0, 85, 170 and 255."""
