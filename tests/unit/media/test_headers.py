"""The readers of image headers and of the ends of recordings: correct for valid files, safe for any bytes."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.media.heif_header import read_heif_orientation
from pipeline.adapters.media.image_header import ImageHeader, read_image_header
from pipeline.adapters.media.webm_tail import last_packet_seconds
from tests.harness.media_heif import CodedPicture, heif

pytestmark = pytest.mark.unit

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">IIBBBBB", 7, 5, 16, 6, 0, 0, 0) + bytes(4)
CLUSTER = b"\x1f\x43\xb6\x75"
UNKNOWN_SIZE = b"\x01\xff\xff\xff\xff\xff\xff\xff"


def jpeg(order: str, orientation: int) -> bytes:
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    tiff = mark + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    segment = b"Exif\0\0" + tiff
    return b"\xff\xd8\xff\xe0\x00\x04ab\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment + b"\xff\xda"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("orientation", "degrees", "mirrored"),
    [
        (1, 0, False),
        (2, 0, True),
        (3, 180, False),
        (4, 180, True),
        (6, 90, False),
        (8, 270, False),
        (0, 0, False),
        (9, 0, False),
    ],
)
def test_exif_orientation(order: str, orientation: int, degrees: int, mirrored: bool) -> None:
    header = read_image_header(io.BytesIO(jpeg(order, orientation)))
    assert header == ImageHeader(degrees_clockwise=degrees, mirrored=mirrored)


def test_png_size_and_depth() -> None:
    header = read_image_header(io.BytesIO(PNG))
    assert header is not None
    assert (header.width, header.height, header.pixel_format, header.bit_depth) == (7, 5, "rgba64be", 16)
    assert header.animation_seconds is None


@pytest.mark.parametrize(
    ("chunk", "size"),
    [
        (b"VP8 \x0a\0\0\0" + b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 321, 241), (321, 241)),
        (b"VP8L\x05\0\0\0\x2f" + struct.pack("<I", 320 | 240 << 14 | 1 << 28), (321, 241)),
        (b"VP8X\x0a\0\0\0" + bytes(4) + (320).to_bytes(3, "little") + (240).to_bytes(3, "little"), (321, 241)),
    ],
)
def test_webp_sizes(chunk: bytes, size: tuple[int, int]) -> None:
    header = read_image_header(io.BytesIO(b"RIFF\0\0\0\0WEBP" + chunk))
    assert header is not None
    assert (header.width, header.height) == size


@pytest.mark.parametrize(("quarter_turns", "degrees"), [(0, 0), (1, 270), (2, 180), (3, 90)])
@pytest.mark.parametrize("tiles", [1, 4])
def test_heif_rotation(quarter_turns: int, degrees: int, tiles: int) -> None:
    tile = CodedPicture(b"sample", struct.pack(">I4s", 8, b"hvcC"), 64, 64)
    file = heif([tile] * tiles, columns=2, quarter_turns=quarter_turns)
    assert read_heif_orientation(io.BytesIO(file)) == (degrees, False)


def block(name: int, offset: int) -> bytes:
    content = b"\x81" + struct.pack(">h", offset) + b"\x80" + b"payload"
    if name == 0xA0:
        content = b"\xa1" + bytes([0x80 | len(content)]) + content
    return bytes([name, 0x80 | len(content)]) + content


def cluster(timestamp: int, *blocks: bytes, size: bytes = UNKNOWN_SIZE) -> bytes:
    return CLUSTER + size + b"\xe7\x84" + struct.pack(">I", timestamp) + b"".join(blocks)


HEADER = b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67" + UNKNOWN_SIZE


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (cluster(1000, block(0xA3, 0), block(0xA3, 40)), 1.04),
        (cluster(0, block(0xA3, 0)) + cluster(5000, block(0xA3, 500), block(0xA3, 460)), 5.5),
        (cluster(5000, block(0xA0, 20)), 5.02),
        (cluster(5000, block(0xA3, -20)), 4.98),
        (cluster(1000, block(0xA3, 7)) + cluster(2000), 1.007),  # the last cluster has no block yet
        (cluster(1000, block(0xA3, 7)) + cluster(2000, block(0xA3, 3))[:-4], 2.003),  # cut off inside a block
        (cluster(1000, block(0xA3, 7) + CLUSTER + b"\x00\x00\x00"), 1.007),  # bytes that only resemble a cluster
        (b"", None),
        (CLUSTER, None),
    ],
)
def test_time_of_the_last_packet(body: bytes, seconds: float | None) -> None:
    found = last_packet_seconds(io.BytesIO(HEADER + body))
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_timestamp_scale() -> None:
    scale = b"\x2a\xd7\xb1\x83" + (100_000).to_bytes(3, "big")
    assert last_packet_seconds(io.BytesIO(HEADER + scale + cluster(1000, block(0xA3, 0)))) == pytest.approx(0.1)


PREFIXES = (
    PNG,
    PNG[:20],
    jpeg("<", 6)[:20],
    b"\xff\xd8\xff\xe1",
    b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0",
    b"RIFF\0\0\0\0WEBPANMF",
    HEADER + CLUSTER,
    b"\0\0\0\x0cftypheic\0\0\x01\0meta\0\0\0\0",
    heif([CodedPicture(b"", struct.pack(">I4s", 8, b"hvcC"), 1, 1)] * 2, quarter_turns=1)[:200],
)


@given(prefix=st.sampled_from(PREFIXES) | st.binary(max_size=16), rest=st.binary(max_size=400))
def test_any_bytes_are_read_without_an_error(prefix: bytes, rest: bytes) -> None:
    content = prefix + rest
    read_image_header(io.BytesIO(content))
    degrees, _ = read_heif_orientation(io.BytesIO(content))
    assert degrees in (0, 90, 180, 270)
    seconds = last_packet_seconds(io.BytesIO(content))
    assert seconds is None or isinstance(seconds, float)
