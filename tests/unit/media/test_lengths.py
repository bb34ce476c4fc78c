"""The length of recordings whose header does not state it."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.adapters.media.inside.length_fragments import end_seconds as end_of_fragments
from pipeline.adapters.media.inside.length_fragments import read_fragmented
from pipeline.adapters.media.inside.length_lossless import flac_seconds, wavpack_seconds
from pipeline.adapters.media.inside.length_matroska import end_seconds as end_of_matroska
from pipeline.adapters.media.inside.length_ogg import link_starts
from pipeline.adapters.media.inside.length_tail import flv_end_seconds
from tests.harness.cpu_time import little_cpu_time

pytestmark = pytest.mark.unit

CLUSTER = b"\x1f\x43\xb6\x75"
UNKNOWN_SIZE = b"\x01\xff\xff\xff\xff\xff\xff\xff"
CRC_32 = b"\xbf\x84\1\2\3\4"
VOID = b"\xec\x83abc"
HEADER = b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67" + UNKNOWN_SIZE


def element(name: int, content: bytes) -> bytes:
    return bytes([name, 0x80 | len(content)]) + content


def block(name: int, offset: int, track: int = 1, duration: int | None = None) -> bytes:
    content = bytes([0x80 | track]) + struct.pack(">h", offset) + b"\x80" + b"payload"
    if name == 0xA3:
        return element(0xA3, content)
    return element(0xA0, element(0xA1, content) + (b"" if duration is None else element(0x9B, bytes([duration]))))


def cluster(timestamp: int, *blocks: bytes, before: bytes = b"", size: bytes = UNKNOWN_SIZE) -> bytes:
    return CLUSTER + size + before + b"\xe7\x84" + struct.pack(">I", timestamp) + b"".join(blocks)


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (cluster(1000, block(0xA3, 0)), 1.0),
        (cluster(1000, block(0xA3, 0), block(0xA3, 40)), 1.08),  # the last one lasts as long as the one before it
        (cluster(1000, block(0xA3, 80), block(0xA3, 40)), 1.12),  # pictures are stored in another order than shown
        (cluster(1000, block(0xA3, 0), block(0xA3, 40), before=CRC_32), 1.08),
        (cluster(1000, block(0xA3, 0), block(0xA3, 40), before=VOID + CRC_32), 1.08),
        (cluster(1000, block(0xA3, 0), CRC_32, block(0xA3, 40)), 1.08),
        (cluster(1000, block(0xA3, 0, 1), block(0xA3, 10, 2), block(0xA3, 40, 1), block(0xA3, 30, 2)), 1.08),
        (cluster(0, block(0xA3, 0)) + cluster(5000, block(0xA3, 500), block(0xA3, 460)), 5.54),
        (cluster(5000, block(0xA0, 20)), 5.02),
        (cluster(5000, block(0xA0, 20, duration=33)), 5.053),
        (cluster(5000, block(0xA3, -20)), 4.98),
        (cluster(1000, block(0xA3, 7)) + cluster(2000), 1.007),  # the last cluster has no block yet
        (cluster(1000, block(0xA3, 7)) + cluster(2000, block(0xA3, 3))[:-4], 2.999),  # cut off inside a block
        (cluster(1000, block(0xA3, 0)) + cluster(2000, block(0xA3, 0)), 3.0),  # one picture per second and cluster
        (cluster(1000, block(0xA3, 0)) + cluster(9000, block(0xA3, 0)), 9.0),  # a pause
        (cluster(1000, block(0xA3, 0, 1)) + cluster(2000, block(0xA3, 0, 2)), 2.0),  # of another track
        (cluster(1000, block(0xA3, 7) + CLUSTER + b"\x00\x00\x00"), 1.007),  # bytes that only resemble a cluster
        (b"", None),
        (CLUSTER, None),
    ],
)
def test_the_end_of_a_matroska_file(body: bytes, seconds: float | None) -> None:
    found = end_of_matroska(io.BytesIO(HEADER + body), len(HEADER + body))
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_the_clock_of_a_matroska_file() -> None:
    scale = b"\x2a\xd7\xb1\x83" + (100_000).to_bytes(3, "big")
    content = HEADER + scale + cluster(1000, block(0xA3, 0))
    assert end_of_matroska(io.BytesIO(content), len(content)) == pytest.approx(0.1)


def test_packets_that_last_as_long_as_the_header_says() -> None:
    fields = element(0xD7, b"\1") + element(0x83, b"\1") + b"\x23\xe3\x83\x83" + (2_000_000).to_bytes(3, "big")
    track = element(0xAE, fields)
    tracks = b"\x16\x54\xae\x6b" + bytes([0x80 | len(track)]) + track
    content = HEADER + tracks + cluster(1000, block(0xA3, 0))
    assert end_of_matroska(io.BytesIO(content), len(content)) == pytest.approx(1.002)


def _nested_voids(length: int) -> bytes:
    return b"".join(b"\xec\x01" + (length - at - 9).to_bytes(7, "big") for at in range(0, length - 9, 9))


@pytest.mark.parametrize(
    "body",
    [
        CLUSTER + UNKNOWN_SIZE + b"\xe7\x81\0" + b"\xec\x80" * 1_000_000,
        CLUSTER + UNKNOWN_SIZE + b"\xe7\x81\0" + _nested_voids(2_000_000),
        (CLUSTER + b"\x80") * 400_000,
        (CLUSTER + UNKNOWN_SIZE + b"\xe7\x81\0" + b"\xec\x80" * 15_000) * 64,
        CLUSTER + UNKNOWN_SIZE + b"\xe7\x81\0" + b"\xa0\x82\xec\x80" * 500_000,
    ],
)
def test_elements_without_end_cost_little(body: bytes) -> None:
    with little_cpu_time():
        end_of_matroska(io.BytesIO(HEADER + body), len(HEADER + body))


def flac_frame(number: int, *, variable: bool = False, size_code: int = 12, extra: bytes = b"") -> bytes:
    """The header of a frame, its checksum, and some bytes (RFC 9639, 9.1)."""
    head = b"\xff" + (b"\xf9" if variable else b"\xf8") + bytes([size_code << 4 | 10, 0x18])
    head += chr(number).encode() + extra
    value = 0
    for byte in head:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07) & 0xFF if value & 0x80 else value << 1
    return head + bytes([value]) + bytes(40)


STREAM_INFO = struct.pack(">HH", 4096, 4096) + bytes(6) + (48000 << 4).to_bytes(3, "big") + bytes(21)


@pytest.mark.parametrize(
    ("frames", "samples"),
    [
        ([flac_frame(0), flac_frame(1)], 8192),
        ([flac_frame(0), flac_frame(300, size_code=6, extra=b"\x63")], 300 * 4096 + 100),
        ([flac_frame(0), flac_frame(2000, size_code=7, extra=b"\x01\x00")], 2000 * 4096 + 257),
        ([flac_frame(50_000, variable=True)], 50_000 + 4096),
        ([flac_frame(9), b"\xff\xf8\xca\x18\x05\x00"], 10 * 4096),  # bytes that only resemble a frame
        ([b""], None),
    ],
)
def test_the_length_of_flac(frames: list[bytes], samples: int | None) -> None:
    content = b"fLaC" + bytes(100) + b"".join(frames)
    found = flac_seconds(io.BytesIO(content), len(content), STREAM_INFO)
    assert found == (None if samples is None else pytest.approx(samples / 48000))


def test_the_length_of_wavpack() -> None:
    def part(index: int, samples: int) -> bytes:
        return b"wvpk" + struct.pack("<IHBBIIIII", 40, 0x410, 0, 0, 2**32 - 1, index, samples, 0, 0) + bytes(16)

    content = part(0, 22050) + part(22050, 1000)
    assert wavpack_seconds(io.BytesIO(content), len(content), 44100) == pytest.approx(23050 / 44100)


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def full(name: bytes, content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(name, struct.pack(">I", version << 24 | flags) + content)


TRAK = box(
    b"trak",
    full(b"tkhd", struct.pack(">III", 0, 0, 7) + bytes(68))
    + box(b"mdia", full(b"mdhd", struct.pack(">IIIII", 0, 0, 1000, 0, 0))),
)
MOOV = box(b"moov", TRAK + box(b"mvex", full(b"trex", struct.pack(">IIIII", 7, 1, 40, 0, 0))))


def fragment(base: int, *runs: bytes, track: int = 7, default: int | None = None) -> bytes:
    header = struct.pack(">I", track) + (b"" if default is None else struct.pack(">I", default))
    traf = full(b"tfhd", header, flags=0 if default is None else 8) + full(b"tfdt", struct.pack(">Q", base), version=1)
    return box(b"moof", full(b"mfhd", bytes(4)) + box(b"traf", traf + b"".join(runs))) + box(b"mdat", bytes(64))


@pytest.mark.parametrize(
    ("last", "seconds"),
    [
        (fragment(2000, full(b"trun", struct.pack(">I", 25))), 3.0),  # 25 samples of trex's 40
        (fragment(2000, full(b"trun", struct.pack(">I", 25)), default=20), 2.5),
        (fragment(2000, full(b"trun", struct.pack(">III", 2, 30, 50), flags=0x100)), 2.08),
        (fragment(2000, full(b"trun", struct.pack(">IIIII", 2, 30, 9, 50, 9), flags=0x300)), 2.08),
        (fragment(2000, full(b"trun", struct.pack(">I", 1)), full(b"trun", struct.pack(">I", 2))), 2.12),
        (fragment(3_600_000, full(b"trun", struct.pack(">I", 25))), 3601.0),
        (fragment(2000, full(b"trun", struct.pack(">I", 25)), track=8), 1.0),  # no such track: the fragment before
        (b"moof" + bytes(30), 1.0),
    ],
)
def test_the_end_of_fragments(last: bytes, seconds: float) -> None:
    content = box(b"ftyp", b"isom" + bytes(4)) + MOOV + fragment(0, full(b"trun", struct.pack(">I", 25))) + last
    file = io.BytesIO(content)
    found = read_fragmented(file, len(content))
    assert found is not None
    assert end_of_fragments(file, len(content), found.clocks) == pytest.approx(seconds)


def page(serial: int, number: int, *, begins: bool = False, content: bytes = b"data") -> bytes:
    head = b"OggS\0" + bytes([2 if begins else 0]) + struct.pack("<QIII", 0, serial, number, 0)
    return head + bytes([1, len(content)]) + content


def link(serial: int, pages: int) -> bytes:
    return b"".join(page(serial, number, begins=number == 0, content=bytes(250)) for number in range(pages))


@pytest.mark.parametrize("serials", [(1,), (1, 2), (1, 1), (1, 2, 3), (5, 5, 5)])
@pytest.mark.parametrize("pages", [10, 6000])
def test_the_links_of_an_ogg_chain(serials: tuple[int, ...], pages: int) -> None:
    links = [link(serial, pages + number) for number, serial in enumerate(serials)]
    content = b"".join(links)
    starts = [sum(map(len, links[:number])) for number in range(len(links))]
    assert link_starts(io.BytesIO(content), len(content)) == starts


def test_the_end_of_flv() -> None:
    def tag(kind: int, milliseconds: int) -> bytes:
        time_field = (milliseconds & 0xFFFFFF).to_bytes(3, "big") + bytes([milliseconds >> 24])
        body = bytes([kind]) + (5).to_bytes(3, "big") + time_field + bytes(3) + bytes(5)
        return body + struct.pack(">I", len(body))

    content = b"FLV\1\5\0\0\0\x09\0\0\0\0" + tag(9, 0) + tag(8, 20_000_000) + tag(18, 1)
    assert flv_end_seconds(io.BytesIO(content), len(content)) == pytest.approx(20_000)
    cut_off = content + tag(9, 20_001_000)[:-6]
    assert flv_end_seconds(io.BytesIO(cut_off), len(cut_off)) == pytest.approx(20_000)


PREFIXES = (HEADER + CLUSTER, HEADER, b"fLaC", b"OggS\0\2", MOOV, MOOV + fragment(1), b"FLV\1", b"wvpk", flac_frame(3))


@settings(deadline=None)
@given(prefix=st.sampled_from(PREFIXES), rest=st.binary(max_size=300), checksum=st.booleans())
def test_any_bytes_give_a_length_or_none(prefix: bytes, rest: bytes, checksum: bool) -> None:
    content = prefix + rest + (struct.pack(">I", zlib.crc32(rest)) if checksum else b"")
    file, size = io.BytesIO(content), len(content)
    fragmented = read_fragmented(file, size)
    results = [
        end_of_matroska(file, size),
        flac_seconds(file, size, content[:34]),
        wavpack_seconds(file, size, 44100),
        flv_end_seconds(file, size),
        end_of_fragments(file, size, fragmented.clocks if fragmented else {7: (1000, 40)}),
    ]
    assert all(result is None or isinstance(result, float) for result in results)
    assert link_starts(file, size)[0] == 0
