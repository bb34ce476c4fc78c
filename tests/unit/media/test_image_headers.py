"""The headers of images: correct for valid files, safe for any bytes."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.adapters.media.inside.image_header import ImageHeader
from pipeline.adapters.media.inside.image_jpegxl import read_jpegxl
from pipeline.adapters.media.inside.image_tiff import read_tiff
from pipeline.adapters.media.inside.images import read_image
from pipeline.adapters.media.inside.orientation import UPRIGHT
from pipeline.adapters.media.inside.refused import NotMedia
from tests.harness.cpu_time import little_cpu_time
from tests.harness.media_corpus_images import EXIF_TURNS, exif, jpeg_with, png_with
from tests.harness.media_pictures import png

pytestmark = pytest.mark.unit

PICTURE = b"\xff\xd8\xff\xda\0\2" + bytes(8)
PNG = png(width=7, height=5)


def header(content: bytes) -> ImageHeader:
    image = read_image(io.BytesIO(content), content[:64], len(content))
    assert image is not None
    return image.header


@pytest.mark.parametrize(("number", "turned"), EXIF_TURNS.items())
def test_jpeg_orientation(number: int, turned: tuple[int, bool]) -> None:
    assert header(jpeg_with((1, b"Exif\0\0" + exif(number)), picture=PICTURE)).orientation == turned


@pytest.mark.parametrize(
    "before",
    [
        [(0, b"JFIF\0\1\1\0\0\1\0\1\0\0")],
        [(1, b"http://ns.adobe.com/xap/1.0/\0<x/>")],
        [(2, b"ICC_PROFILE\0\1\1" + bytes(65_000))] * 12,
        [(1, b"Exif\0\0" + exif(0))],
        [(13, b"Photoshop 3.0\0"), (14, b"Adobe\0d")],
    ],
)
def test_exif_is_found_behind_other_segments(before: list[tuple[int, bytes]]) -> None:
    content = jpeg_with(*before, (1, b"Exif\0\0" + exif(6)), picture=PICTURE)
    assert header(content).orientation == (90, False)


def test_fill_bytes_between_segments() -> None:
    content = jpeg_with((1, b"Exif\0\0" + exif(6)), picture=PICTURE).replace(b"\xff\xe1", b"\xff\xff\xff\xe1")
    assert header(content).orientation == (90, False)


def test_the_data_of_the_picture_is_no_header() -> None:
    content = PICTURE + jpeg_with((1, b"Exif\0\0" + exif(6)), picture=PICTURE)[2:]
    assert header(content).orientation == UPRIGHT


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("number", "turned"), EXIF_TURNS.items())
def test_png_orientation(number: int, turned: tuple[int, bool], after: bool) -> None:
    assert header(png_with(b"eXIf", exif(number), after=after, png=PNG)).orientation == turned


def test_png_size_and_depth() -> None:
    found = header(PNG)
    assert (found.width, found.height, found.pixel_format, found.bit_depth) == (7, 5, "rgb24", 8)
    assert (found.animation_seconds, found.frame_rate) == (None, None)


def test_png_animation() -> None:
    found = header(png(frames=3))
    assert found.animation_seconds == pytest.approx(0.3)
    assert found.frame_rate == pytest.approx(10)


@pytest.mark.parametrize(
    ("chunk", "size"),
    [
        (b"VP8 \x0a\0\0\0" + b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 321, 241), (321, 241)),
        (b"VP8L\x05\0\0\0\x2f" + struct.pack("<I", 320 | 240 << 14 | 1 << 28) + bytes(8), (321, 241)),
        (b"VP8X\x0a\0\0\0" + bytes(4) + (320).to_bytes(3, "little") + (240).to_bytes(3, "little"), (321, 241)),
    ],
)
def test_webp_sizes(chunk: bytes, size: tuple[int, int]) -> None:
    found = header(b"RIFF\0\0\0\0WEBP" + chunk)
    assert (found.width, found.height) == size


@pytest.mark.parametrize(("number", "turned"), EXIF_TURNS.items())
def test_webp_orientation(number: int, turned: tuple[int, bool]) -> None:
    canvas = b"VP8X\x0a\0\0\0\x08\0\0\0" + bytes(6)
    chunk = b"EXIF" + struct.pack("<I", len(exif(number))) + exif(number)
    assert header(b"RIFF\0\0\0\0WEBP" + canvas + chunk).orientation == turned


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("number", "turned"), EXIF_TURNS.items())
def test_tiff_orientation_wherever_the_directory_is(number: int, turned: tuple[int, bool], order: str) -> None:
    content = exif(number, order)
    moved = content[:4] + struct.pack(order + "I", 100_000) + bytes(99_992) + content[8:]
    assert header(content).orientation == turned
    assert header(moved).orientation == turned


def jpegxl(*fields: tuple[int, int]) -> bytes:
    """A codestream whose first bits are these (value, length), least significant first."""
    value = at = 0
    for number, length in fields:
        value |= number << at
        at += length
    return b"\xff\x0a" + value.to_bytes((at + 7) // 8 + 16, "little")


SIZE = ((0, 1), (1, 2), (239, 13), (0, 3), (1, 2), (319, 13))  # 320 x 240, stated in pixels


@pytest.mark.parametrize(("number", "turned"), EXIF_TURNS.items())
def test_jpegxl_orientation_and_size(number: int, turned: tuple[int, bool]) -> None:
    content = jpegxl(*SIZE, (0, 1), (1, 1), (number - 1, 3), (0, 3), (0, 1), (1, 2))
    found = read_jpegxl(io.BytesIO(content), len(content))
    assert (found.orientation, found.width, found.height, found.bit_depth) == (turned, 320, 240, 10)


@pytest.mark.parametrize(
    ("fields", "size"), [(((1, 1), (29, 5), (3, 3)), (320, 240)), (((1, 1), (29, 5), (0, 3), (31, 5)), (256, 240))]
)
def test_jpegxl_sizes_in_eighths_and_by_ratio(fields: tuple[tuple[int, int], ...], size: tuple[int, int]) -> None:
    content = jpegxl(*fields, (1, 1))
    found = read_jpegxl(io.BytesIO(content), len(content))
    assert (found.width, found.height) == size


def test_jpegxl_fields_longer_than_the_file_cost_nothing() -> None:
    extensions = ((3, 2), (4095, 12), *((1, 1), (255, 8)) * 6, (1, 1), (15, 4), *((3, 2), (4095, 12)) * 60)
    content = jpegxl(*SIZE, (0, 1), (1, 1), (0, 3), (0, 2), (1, 1), (0, 4), (0, 2), (0, 1), (0, 3), (1, 3), *extensions)
    with little_cpu_time():
        assert read_jpegxl(io.BytesIO(content), len(content)).width == 320


PREFIXES = (
    PNG,
    PNG[:20],
    png(frames=3),
    jpeg_with((1, b"Exif\0\0" + exif(6)), picture=PICTURE)[:20],
    b"\xff\xd8\xff\xe1",
    b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0",
    b"RIFF\0\0\0\0WEBPANMF",
    exif(6),
    b"\xff\x0a",
    b"\0\0\0\x0cJXL \r\n\x87\n",
)


@settings(deadline=None)
@given(prefix=st.sampled_from(PREFIXES), rest=st.binary(max_size=400))
def test_any_bytes_give_a_header_or_none(prefix: bytes, rest: bytes) -> None:
    content = prefix + rest
    try:
        image = read_image(io.BytesIO(content), content[:4096], len(content))
    except NotMedia:
        return
    assert image is None or image.header.orientation.rotation in (0, 90, 180, 270)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("compression", "bits", "kind", "decodable"),
    [
        (1, 8, 1, True),
        (8, 16, 1, True),
        (50000, 8, 1, False),
        (34925, 8, 1, False),
        (1, 32, 1, False),
        (1, 32, 3, False),
    ],
)
def test_tiff_sizes_without_a_decoder(
    order: str, big: bool, compression: int, bits: int, kind: int, decodable: bool
) -> None:
    """SHORT and LONG values, in place and elsewhere."""
    inline, offset = ("8s", "Q") if big else ("4s", "I")
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    head += struct.pack(order + "HHQ", 8, 0, 32) if big else struct.pack(order + "I", 32)
    values = [(256, 4, 70000), (257, 3, 300), (259, 3, compression), (262, 3, 2), (339, 3, kind), (274, 3, 8)]
    entries = [
        struct.pack(order + "HH" + offset + inline, tag, form, 1, struct.pack(order + "HI"[form == 4], value))
        for tag, form, value in values
    ]
    entries.append(struct.pack(order + "HH" + offset + offset, 258, 3, 8, 16))  # eight numbers, at 16
    content = head.ljust(16, b"\0") + struct.pack(order + "8H", *[bits] * 8)
    content += struct.pack(order + ("Q" if big else "H"), len(entries)) + b"".join(entries)
    header, found = read_tiff(io.BytesIO(content))
    assert (header.width, header.height) == (70000, 300)
    assert header.orientation == (270, False)
    assert found is (decodable and not big)
    assert header.bit_depth == (None if found else bits)
