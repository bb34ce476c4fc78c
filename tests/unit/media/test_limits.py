"""How many tags, chapters and streams a file may have, and that counting them costs little."""

from __future__ import annotations

import io
import struct
import zlib

import pytest

from pipeline.adapters.media.inside.metadata import describe
from pipeline.adapters.media.inside.refused import NotMedia
from schemas.media import MAX_FILE_CHAPTERS, MAX_FILE_STREAMS, MAX_FILE_TAGS
from tests.harness.cpu_time import little_cpu_time
from tests.harness.media_pictures import png

pytestmark = pytest.mark.unit


def comments(count: int) -> bytes:
    """A Vorbis comment."""
    entries = (b"KEY%06d=value" % number for number in range(count))
    return struct.pack("<II", 0, count) + b"".join(struct.pack("<I", len(entry)) + entry for entry in entries)


def flac(count: int) -> bytes:
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + (48000 << 44 | 15 << 36 | 48000).to_bytes(8, "big") + bytes(16)
    body = comments(count)
    return b"fLaC\0" + len(info).to_bytes(3, "big") + info + b"\x84" + len(body).to_bytes(3, "big") + body


def id3(count: int, version: int = 4) -> bytes:
    frames = b"".join(b"TXXX" + struct.pack(">IH", 9, 0) + b"\0K%05d\0v" % number for number in range(count))
    length = bytes(len(frames) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3" + bytes([version, 0, 0]) + length + frames + (b"\xff\xfb\x90\x64" + bytes(413)) * 8


def id3_after_id3(count: int) -> bytes:
    """Tags of 4000 frames, one after the other."""
    tag = id3(4000)[: -8 * (4 + 413)]
    return tag * (count // 4000) + id3(0)


def id3_chunk(count: int, form: bytes) -> bytes:
    """ID3 in a chunk of WAV or AIFF."""
    tag = id3(count)[: -8 * (4 + 413)]
    if form == b"FORM":
        return form + struct.pack(">I", 2**31 - 1) + b"AIFFID3 " + struct.pack(">I", len(tag)) + tag
    return form + struct.pack("<I", 2**31 - 1) + b"WAVEid3 " + struct.pack("<I", len(tag)) + tag


def ebml(number: int, content: bytes) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big") + b"\x01" + len(content).to_bytes(7, "big") + content


def matroska(*parts: bytes) -> bytes:
    return ebml(0x1A45DFA3, ebml(0x4282, b"webm")) + ebml(0x18538067, b"".join(parts))


def matroska_tags(count: int) -> bytes:
    simple = (ebml(0x67C8, ebml(0x45A3, b"K%06d" % number) + ebml(0x4487, b"v")) for number in range(count))
    return matroska(ebml(0x1254C367, ebml(0x7373, b"".join(simple))))


def matroska_chapters(count: int) -> bytes:
    chapters = (ebml(0xB6, ebml(0x73C4, struct.pack(">I", number + 1)) + ebml(0x91, b"\0")) for number in range(count))
    return matroska(ebml(0x1043A770, ebml(0x45B9, b"".join(chapters))))


def matroska_tracks(count: int) -> bytes:
    tracks = (ebml(0xAE, ebml(0xD7, struct.pack(">I", number + 1)) + ebml(0x83, b"\2")) for number in range(count))
    return matroska(ebml(0x1654AE6B, b"".join(tracks)))


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def mp4_tags(count: int) -> bytes:
    items = b"".join(
        box(b"\xa9%03d" % (number % 1000), box(b"data", struct.pack(">II", 1, 0) + b"v")) for number in range(count)
    )
    return box(b"ftyp", b"isom" + bytes(4)) + box(b"moov", box(b"udta", box(b"meta", bytes(4) + box(b"ilst", items))))


def mp4_tracks(count: int) -> bytes:
    return box(b"ftyp", b"isom" + bytes(4)) + box(b"moov", box(b"trak", box(b"mdia", b"")) * count)


def wav_tags(count: int) -> bytes:
    fields = b"".join(struct.pack(">I", 0x41414141 + number) + struct.pack("<I", 2) + b"v\0" for number in range(count))
    info = b"LIST" + struct.pack("<I", 4 + len(fields)) + b"INFO" + fields
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    return b"RIFF" + struct.pack("<I", 2**31) + b"WAVE" + fmt + info + b"data" + struct.pack("<I", 64) + bytes(64)


def caf_tags(count: int) -> bytes:
    strings = b"".join(b"K%06d\0v\0" % number for number in range(count))
    description = b"desc" + struct.pack(">Qd4sIIIII", 32, 8000.0, b"lpcm", 0, 2, 1, 1, 16)
    first = b"info" + struct.pack(">QI", 8, 1) + b"a\0b\0"
    info = b"info" + struct.pack(">QI", 4 + len(strings), count) + strings
    return b"caff\0\1\0\0" + description + first + info + b"data" + struct.pack(">qI", -1, 0) + bytes(64)


def flv_tags(count: int) -> bytes:
    fields = b"".join(b"\0\x07K%06d\x02\0\1v" % number for number in range(count))
    body = b"\x02\0\x0aonMetaData\x08" + struct.pack(">I", count) + fields + b"\0\0\x09"
    return b"FLV\1\5\0\0\0\x09\0\0\0\0\x12" + len(body).to_bytes(3, "big") + bytes(7) + body + bytes(4)


def ape_tags(count: int) -> bytes:
    items = b"".join(struct.pack("<II", 1, 0) + b"K%06d\0v" % number for number in range(count))
    footer = b"APETAGEX" + struct.pack("<IIII", 2000, len(items) + 32, count, 0) + bytes(8)
    return (b"\xff\xfb\x90\x64" + bytes(413)) * 8 + items + footer


def ape_tags_after_what_is_no_movie(count: int) -> bytes:
    """The beginnings of other formats that resemble a movie."""
    return b"\xff\xf1\x50\x80ftypmp42" + ape_tags(count)


def png_texts(count: int) -> bytes:
    def chunk(content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + b"tEXt" + content + struct.pack(">I", zlib.crc32(b"tEXt" + content))

    content = png()
    return content[:33] + b"".join(chunk(b"key%06d\0v" % number) for number in range(count)) + content[33:]


def ogg(count: int) -> bytes:
    """A vorbis stream, of which only the comment header matters."""

    def page(number: int, content: bytes) -> bytes:
        lacing = bytes([255] * min(254, len(content) // 255) + [0])
        return (
            b"OggS\0"
            + bytes([2 * (number == 0)])
            + struct.pack("<QIIIB", 0, 1, number, 0, len(lacing))
            + lacing
            + content
        )

    return page(0, b"\x01vorbis" + bytes(23)) + page(1, b"\x03vorbis" + comments(count))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (flac(100_000), f"more than {MAX_FILE_TAGS:,} tags"),
        (ogg(100_000), f"more than {MAX_FILE_TAGS:,} tags"),
        (id3(100_000), f"more than {MAX_FILE_TAGS:,} tags"),
        (id3(100_000, 3), f"more than {MAX_FILE_TAGS:,} tags"),
        (id3_after_id3(100_000), f"more than {MAX_FILE_TAGS:,} tags"),
        (id3(0)[:10] * 100_000 + id3(0), f"more than {MAX_FILE_TAGS:,} tags"),
        (id3_chunk(100_000, b"RIFF"), f"more than {MAX_FILE_TAGS:,} tags"),
        (id3_chunk(100_000, b"FORM"), f"more than {MAX_FILE_TAGS:,} tags"),
        (matroska_tags(100_000), f"more than {MAX_FILE_TAGS:,} tags"),
        (mp4_tags(100_000), f"more than {MAX_FILE_TAGS:,} tags"),
        (wav_tags(100_000), f"more than {MAX_FILE_TAGS:,} tags"),
        (caf_tags(100_000), f"more than {MAX_FILE_TAGS:,} tags"),
        (flv_tags(100_000), f"more than {MAX_FILE_TAGS:,} tags"),
        (ape_tags(60_000), f"more than {MAX_FILE_TAGS:,} tags"),
        (ape_tags_after_what_is_no_movie(60_000), f"more than {MAX_FILE_TAGS:,} tags"),
        (png_texts(100_000), f"more than {MAX_FILE_TAGS:,} tags"),
        (matroska_chapters(100_000), f"more than {MAX_FILE_CHAPTERS:,} chapters"),
        (matroska_tracks(20_000), f"more than {MAX_FILE_STREAMS:,} streams"),
        (mp4_tracks(20_000), f"more than {MAX_FILE_STREAMS:,} streams"),
    ],
    ids=[
        "flac",
        "ogg",
        "id3",
        "id3v3",
        "id3 after id3",
        "empty id3",
        "id3 in wav",
        "id3 in aiff",
        "matroska",
        "mp4",
        "wav",
        "caf",
        "flv",
        "ape",
        "ape after ftyp",
        "png",
        "chapters",
        "matroska tracks",
        "mp4 tracks",
    ],
)
def test_too_many_are_refused_at_little_cost(content: bytes, reason: str) -> None:
    with little_cpu_time(), pytest.raises(NotMedia) as caught:
        describe(io.BytesIO(content), len(content))
    assert reason in caught.value.reason


@pytest.mark.parametrize("content", [flac(4000), wav_tags(4000), png_texts(4000)], ids=["flac", "wav", "png"])
def test_many_are_read_at_little_cost(content: bytes) -> None:
    with little_cpu_time():
        describe(io.BytesIO(content), len(content))


def test_large_tags_are_read_and_cut() -> None:
    title = b"TITLE=" + b"x" * 3_000_000
    body = struct.pack("<II", 0, 1) + struct.pack("<I", len(title)) + title
    plain = flac(0)
    content = plain[: plain.index(b"\x84")] + b"\x84" + len(body).to_bytes(3, "big") + body
    assert describe(io.BytesIO(content), len(content)).tags == {"title": "x" * 256}
