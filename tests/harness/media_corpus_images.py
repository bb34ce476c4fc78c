"""Images of the corpus: every format, and every orientation in each place where a format can state it."""

from __future__ import annotations

import functools
import io
import random
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from PIL import Image

from tests.harness.media_corpus_entry import PICTURE, Builder, Entry, changed, made, void
from tests.harness.media_samples import QUARTERS, heif_picture

WIDTH, HEIGHT = 320, 240
EXIF_TURNS = {
    1: (0, False), 2: (0, True), 3: (180, False), 4: (180, True), 5: (270, True), 6: (90, False), 7: (90, True),
    8: (270, False),
}  # fmt: skip
"""Exif's numbers: degrees clockwise, after a flip from left to right."""
_XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
_ICC = b"ICC_PROFILE\0\1\1" + bytes(60_000)


@functools.cache
def _picture(mode: str = "RGB", width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Four quarters: red, green, blue, white."""
    picture = Image.new("RGB", (width, height), "white")
    for colour, place in (("red", (0, 0)), ("lime", (width // 2, 0)), ("blue", (0, height // 2))):
        picture.paste(colour, (*place, place[0] + width // 2, place[1] + height // 2))
    return picture.convert(mode)


def _saved(form: str, mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    _picture(mode).copy().save(file, form, **options)  # `save` keeps its options in the image: threads would mix them
    return file.getvalue()


def _still(content: Callable[[], bytes], turned: tuple[int, bool] = (0, False)) -> Entry:
    return Entry(lambda path: void(path.write_bytes(content())), None, turned, "image")


def _image(build: Builder, seconds: float | None = None) -> Entry:
    return Entry(build, seconds, kind="image")


def exif(orientation: int, order: str = ">") -> bytes:
    """A TIFF structure that states an orientation; 0 for one that states none."""
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    tag = 0x0112 if orientation else 0x0100
    return mark + struct.pack(order + "IHHHIHHI", 8, 1, tag, 3, 1, orientation, 0, 0)


def jpeg_with(*segments: tuple[int, bytes], picture: bytes | None = None) -> bytes:
    """A JPEG with application segments (number, content) in this order, before its own."""
    content = picture or _saved("JPEG", quality=90)
    parts = (b"\xff" + bytes([0xE0 + number]) + struct.pack(">H", 2 + len(data)) + data for number, data in segments)
    return content[:2] + b"".join(parts) + content[2:]


def _exif_segment(orientation: int, order: str = ">") -> tuple[int, bytes]:
    return 1, b"Exif\0\0" + exif(orientation, order)


def png_with(chunk: bytes, content: bytes, *, after: bool, png: bytes) -> bytes:
    """A PNG with one more chunk, before or after the picture."""
    whole = struct.pack(">I", len(content)) + chunk + content + struct.pack(">I", zlib.crc32(chunk + content))
    at = png.rindex(b"IEND") - 4 if after else 33
    return png[:at] + whole + png[at:]


def _jpeg(segments: Sequence[tuple[int, bytes]]) -> bytes:
    return jpeg_with(*segments)


def _png(content: bytes, *, after: bool) -> bytes:
    return png_with(b"eXIf", content, after=after, png=_saved("PNG"))


def _noise(form: str, **options: object) -> bytes:
    """Megabytes of noise, with a patch of its colour in the middle of each of the four quarters."""
    file = io.BytesIO()
    width, height, patch = 1024, 768, 96
    picture = Image.frombytes("RGB", (width, height), random.Random(1).randbytes(width * height * 3))
    for number, colour in enumerate(QUARTERS):
        left = width // 4 * (1 + 2 * (number % 2)) - patch // 2
        top = height // 4 * (1 + 2 * (number // 2)) - patch // 2
        picture.paste(colour, (left, top, left + patch, top + patch))
    picture.save(file, form, **options)
    return file.getvalue()


def webp_with_exif(orientation: int) -> bytes:
    """A WebP whose Exif chunk comes after the picture."""
    return _saved("WEBP", exif=exif(orientation), quality=80)


def _tiff(orientation: int, mode: str = "RGB", compression: str = "tiff_lzw") -> bytes:
    return _saved("TIFF", mode, compression=compression, tiffinfo={0x0112: orientation})


def _heif(codec: str, turn: tuple[int, bool], columns: int = 1) -> Entry:
    """irot counts quarters counterclockwise, and imir comes after it (ISO/IEC 23000-22, 7.3.6.7): a flip that comes
    first reverses the turn."""
    degrees, mirrored = turn
    quarters = (degrees if mirrored else -degrees) // 90 % 4
    return _still(lambda: heif_picture(codec, columns, quarter_turns=quarters, mirrored=mirrored), turn)


def _animated(form: str, **options: object) -> Callable[[], bytes]:
    """Five pictures of 0.2 seconds."""

    def content() -> bytes:
        file = io.BytesIO()
        frames = [_picture().rotate(180 * (number % 2)) for number in range(5)]
        frames[0].save(file, form, save_all=True, append_images=frames[1:], duration=200, **options)
        return file.getvalue()

    return content


def _animation(content: Callable[[], bytes], seconds: float = 1.0) -> Entry:
    return Entry(lambda path: void(path.write_bytes(content())), seconds, kind="image")


def _jpegxl(*arguments: str) -> Builder:
    """Ten pictures at 25 per second."""
    return made(*PICTURE, "-frames:v", "10", "-c:v", "libjxl_anim", "-effort", "3", *arguments, "-f", "image2pipe")


def _in_boxes(codestream: bytes) -> bytes:
    """The codestream in two parts in a container (ISO/IEC 18181-2, 9)."""

    def box(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(content), name) + content

    middle = len(codestream) // 2
    parts = box(b"jxlp", bytes(4) + codestream[:middle]) + box(b"jxlp", b"\x80\0\0\1" + codestream[middle:])
    return box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ") + parts


IMAGES: Mapping[str, Entry] = {
    "jpeg_progressive": _still(lambda: _saved("JPEG", progressive=True)),
    "jpeg_gray": _still(lambda: _saved("JPEG", "L")),
    "jpeg_cmyk": _still(lambda: _saved("JPEG", "CMYK")),
    "jpeg_444": _still(lambda: _saved("JPEG", subsampling=0)),
    "jpeg_large_profile": _still(lambda: jpeg_with((2, _ICC), (2, _ICC), (2, _ICC))),
    **{
        f"jpeg_exif_{number}": _still(partial(_jpeg, (_exif_segment(number),)), turn)
        for number, turn in EXIF_TURNS.items()
    },
    **{
        f"jpeg_{name}": _still(partial(_jpeg, segments), (90, False))
        for name, segments in {
            "little_endian": (_exif_segment(6, "<"),),
            "jfif_first": ((0, b"JFIF\0\1\1\0\0\1\0\1\0\0"), _exif_segment(6)),
            "xmp_first": ((1, _XMP), _exif_segment(6)),
            "profile_first": ((2, _ICC), _exif_segment(6)),
            "two_exif": (_exif_segment(0), (1, _XMP), _exif_segment(6)),
        }.items()
    },
    **{
        f"png_exif_{number}": _still(partial(_png, exif(number), after=False), turn)
        for number, turn in EXIF_TURNS.items()
    },
    **{
        f"png_exif_after_{number}": _still(partial(_png, exif(number, "<"), after=True), turn)
        for number, turn in EXIF_TURNS.items()
    },
    "png_exif_after_large": _still(
        lambda: png_with(b"eXIf", exif(6), after=True, png=_noise("PNG", compress_level=1)), (90, False)
    ),
    "jpeg_large": _still(
        lambda: jpeg_with((2, _ICC), _exif_segment(6), picture=_noise("JPEG", quality=90)), (90, False)
    ),
    "webp_large": _still(lambda: _noise("WEBP", quality=90, method=0, exif=exif(6)), (90, False)),
    "tiff_large": _still(lambda: _noise("TIFF", tiffinfo={0x0112: 6}), (90, False)),
    "tiff_large_deflate": _still(
        lambda: _noise("TIFF", compression="tiff_adobe_deflate", tiffinfo={0x0112: 6}), (90, False)
    ),
    "bmp_large": _still(lambda: _noise("BMP")),
    "jpeg2000_large": _still(lambda: _noise("JPEG2000")),
    **{f"png_{mode.lower()}": _still(partial(_saved, "PNG", mode)) for mode in ("L", "LA", "RGBA", "P", "1", "I;16")},
    **{f"webp_exif_{number}": _still(partial(webp_with_exif, number), turn) for number, turn in EXIF_TURNS.items()},
    "webp_lossless": _still(lambda: _saved("WEBP", lossless=True)),
    "webp_alpha": _still(lambda: _saved("WEBP", "RGBA", quality=80)),
    **{f"tiff_{number}": _still(partial(_tiff, number), turn) for number, turn in EXIF_TURNS.items()},
    "tiff_deflate": _still(lambda: _tiff(6, compression="tiff_adobe_deflate"), (90, False)),
    "tiff_raw_gray": _still(lambda: _tiff(1, "L", "raw")),
    "tiff_zstd": _still(lambda: _tiff(6, compression="zstd"), (90, False)),
    "tiff_lzma": _still(lambda: _tiff(6, compression="lzma"), (90, False)),
    "tiff_float": _still(lambda: _saved("TIFF", "F")),
    "tiff_32_bits": _still(lambda: _saved("TIFF", "I")),
    "tiff_big": _still(lambda: _saved("TIFF", big_tiff=True, tiffinfo={0x0112: 6}), (90, False)),
    "tiff_deep": _still(lambda: _tiff(1, "I;16", "tiff_lzw")),
    **{f"heic_{turn[0]}_{'mirrored' if turn[1] else 'plain'}": _heif("hevc", turn) for turn in EXIF_TURNS.values()},
    **{f"avif_{turn[0]}_{'mirrored' if turn[1] else 'plain'}": _heif("av1", turn) for turn in EXIF_TURNS.values()},
    "heic_grid": _heif("hevc", (0, False), 2),
    "heic_grid_turned": _heif("hevc", (90, True), 2),
    "avif_grid": _heif("av1", (0, False), 2),
    "avif_grid_turned": _heif("av1", (270, False), 2),
    "avif_pillow": _still(lambda: _saved("AVIF")),
    "avif_ten_bits": _image(
        made(
            *PICTURE, "-frames:v", "1", "-pix_fmt", "yuv420p10le", "-c:v", "libaom-av1", "-cpu-used", "8", "-f", "avif"
        )
    ),
    "avif_animated": _image(
        made(*PICTURE, "-frames:v", "10", "-c:v", "libaom-av1", "-cpu-used", "8", "-f", "avif"), 0.4
    ),
    "avif_animated_pillow": _animation(_animated("AVIF")),
    "webp_animated": _animation(_animated("WEBP")),
    "png_animated": _animation(_animated("PNG")),
    "gif_animated": _animation(_animated("GIF")),
    "gif_still": _still(lambda: _saved("GIF", "P")),
    "gif_varying": _animation(_animated("GIF"), 1.0),
    "jpegxl": _image(made(*PICTURE, "-frames:v", "1", "-c:v", "libjxl", "-f", "image2pipe")),
    "jpegxl_alpha": _image(
        made(*PICTURE, "-vf", "format=rgba", "-frames:v", "1", "-c:v", "libjxl", "-f", "image2pipe")
    ),
    "jpegxl_animated": _image(_jpegxl(), 0.4),
    "jpegxl_animated_lossless": _image(_jpegxl("-distance", "0", "-s", "900x700"), 0.4),
    "jpegxl_animated_alpha": _image(_jpegxl("-vf", "format=rgba"), 0.4),
    "jpegxl_animated_boxes": _image(changed(_jpegxl(), _in_boxes), 0.4),
    "bmp": _still(lambda: _saved("BMP")),
    "bmp_palette": _still(lambda: _saved("BMP", "P")),
    "jpeg2000": _still(lambda: _saved("JPEG2000")),
    "jpeg2000_ffmpeg": _image(made(*PICTURE, "-frames:v", "1", "-c:v", "jpeg2000", "-f", "image2pipe")),
    "jpeg_cut_off": _image(
        changed(lambda path: void(path.write_bytes(_saved("JPEG"))), lambda content: content[: len(content) // 2])
    ),
}
