"""`ports.TempVolume` on real filesystems: every byte is written to its place, and no wrong byte is returned."""

from __future__ import annotations

import asyncio
import os
import random

import google_crc32c
import pytest

from pipeline.adapters.volume.segment_source import FileSegmentSource
from pipeline.adapters.volume.temp_volume import DirectoryTempVolume
from pipeline.core.errors import SegmentCorrupt, TempVolumeError
from tests.contract.temp_volume.temp_files import ID, MEBIBYTE, code_of

pytestmark = pytest.mark.contract


# Writing


async def test_segments_written_in_parallel_and_in_pieces_make_the_file(volume: DirectoryTempVolume) -> None:
    dice = random.Random(7)
    segment, count = 300_000, 12
    data = dice.randbytes(segment * count - 1234)
    await volume.allocate(ID, len(data))

    async def one(number: int) -> None:
        part = data[number * segment : (number + 1) * segment]
        crc, done = 0, 0
        while done < len(part):
            blocks: list[bytes] = []
            for _ in range(dice.randint(1, 5)):
                block = part[done + sum(map(len, blocks)) :][: dice.randint(1, 40_000)]
                blocks.append(block)
            crc = await volume.write(ID, number * segment + done, blocks, crc)
            done += sum(map(len, blocks))
        assert crc == google_crc32c.value(part)

    await asyncio.gather(*(one(number) for number in range(count)))
    assert volume.path(ID).read_bytes() == data


async def test_more_blocks_than_one_system_call_takes(volume: DirectoryTempVolume) -> None:
    blocks = [bytes([number % 251]) * (number % 3) for number in range(5_000)]  # empty ones too
    data = b"".join(blocks)
    await volume.allocate(ID, len(data) + 10)
    assert await volume.write(ID, 10, blocks, 0) == google_crc32c.value(data)
    assert volume.path(ID).read_bytes() == bytes(10) + data


async def test_a_short_write_is_continued(volume: DirectoryTempVolume, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal, or a length above 2 GiB, may cut a write short."""
    whole = os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda fd, blocks, offset: whole(fd, [b"".join(blocks)[:3]], offset))
    monkeypatch.setattr(os, "pwrite", lambda fd, rest, offset: whole(fd, [bytes(rest)[:2]], offset))
    await volume.allocate(ID, 20)
    await volume.write(ID, 1, [b"abcdef", b"ghij", b"k"], 0)
    assert volume.path(ID).read_bytes() == b"\0abcdefghijk" + bytes(8)


async def test_writing_does_not_create_a_file(volume: DirectoryTempVolume) -> None:
    with pytest.raises(TempVolumeError) as raised:
        await volume.write(ID, 0, [b"x"], 0)
    assert code_of(raised) == "TEMP_FILE_MISSING"
    assert not volume.path(ID).exists()


# Reading


SEGMENT_BYTES = 2 * MEBIBYTE + 300


@pytest.fixture
async def source(volume: DirectoryTempVolume) -> FileSegmentSource:
    """Segment 2 of a file of three segments, written to the disk."""
    data = random.Random(3).randbytes(2 * SEGMENT_BYTES + 100)
    await volume.allocate(ID, len(data))
    await volume.write(ID, 0, [data], 0)
    part = data[SEGMENT_BYTES : 2 * SEGMENT_BYTES]
    return volume.source(ID, 2, SEGMENT_BYTES, SEGMENT_BYTES, google_crc32c.value(part))


async def test_a_segment_can_be_read_repeatedly(volume: DirectoryTempVolume, source: FileSegmentSource) -> None:
    expected = volume.path(ID).read_bytes()[SEGMENT_BYTES : 2 * SEGMENT_BYTES]
    assert (source.number, source.size_bytes) == (2, SEGMENT_BYTES)
    for _ in range(2):
        blocks = [block async for block in source.chunks()]
        assert b"".join(blocks) == expected
        assert max(map(len, blocks)) <= MEBIBYTE


async def test_the_crc32c_of_a_range(volume: DirectoryTempVolume) -> None:
    """Also of one that takes several calls."""
    data = random.Random(4).randbytes(33 * MEBIBYTE + 5)
    await volume.allocate(ID, len(data))
    await volume.write(ID, 0, [data], 0)
    for start, length in ((0, len(data)), (7, 32 * MEBIBYTE), (3, 0), (len(data) - 9, 9)):
        assert await volume.crc32c(ID, start, length) == google_crc32c.value(data[start : start + length])
    assert await volume.crc32c(ID, 8, len(data) - 7) is None
    for length in (0, 5):
        with pytest.raises(TempVolumeError) as raised:
            await volume.crc32c("00000000-0000-7000-8000-000000000009", 0, length)
        assert raised.value.code == "TEMP_FILE_MISSING"


async def read_into(source: FileSegmentSource, got: list[bytes]) -> None:
    async for block in source.chunks():
        got.append(block)  # noqa: PERF401 -- the test checks the blocks before the error


@pytest.mark.parametrize("position", [0, MEBIBYTE, SEGMENT_BYTES - 1])
async def test_a_flipped_byte_is_detected_before_the_last_block_is_returned(
    volume: DirectoryTempVolume, source: FileSegmentSource, position: int
) -> None:
    with volume.path(ID).open("r+b") as file:
        file.seek(SEGMENT_BYTES + position)
        byte = file.read(1)[0]
        file.seek(SEGMENT_BYTES + position)
        file.write(bytes([byte ^ 1]))
    got: list[bytes] = []
    with pytest.raises(SegmentCorrupt) as raised:
        await read_into(source, got)
    assert raised.value.number == 2
    assert sum(map(len, got)) == 2 * MEBIBYTE, "all blocks except the last: the store never receives the whole segment"


@pytest.mark.parametrize("length", [0, SEGMENT_BYTES, SEGMENT_BYTES + 10, 2 * SEGMENT_BYTES - 1])
async def test_a_file_that_became_shorter_is_detected(
    volume: DirectoryTempVolume, source: FileSegmentSource, length: int
) -> None:
    os.truncate(volume.path(ID), length)
    got: list[bytes] = []
    with pytest.raises(SegmentCorrupt):
        await read_into(source, got)
    assert sum(map(len, got)) < SEGMENT_BYTES
    with pytest.raises(TempVolumeError) as raised:
        await volume.verify(ID, 2 * SEGMENT_BYTES + 100)
    assert code_of(raised) == "TEMP_FILE_MISSING"


async def test_a_removed_file_raises_missing(volume: DirectoryTempVolume, source: FileSegmentSource) -> None:
    await volume.remove(ID)
    await volume.remove(ID)
    for call in (volume.verify(ID, 1), volume.read(ID, 0, 1), read_into(source, [])):
        with pytest.raises(TempVolumeError) as raised:
            await call
        assert code_of(raised) == "TEMP_FILE_MISSING"


async def test_a_reader_that_stops_early_leaves_no_open_file(source: FileSegmentSource) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        chunks = source.chunks()
        await anext(chunks)
        await chunks.aclose()  # type: ignore[attr-defined]  # an async generator has it
    assert len(os.listdir("/proc/self/fd")) == before


# The volume as a whole


async def test_the_list_has_the_allocated_bytes_and_idle_time_of_each_file(volume: DirectoryTempVolume) -> None:
    assert await volume.list() == {}
    await volume.allocate("a", 10_000)
    await volume.allocate("b", MEBIBYTE)
    volume.path("a").with_name("notes.txt").write_text("not a temp file")
    found = await volume.list()
    assert set(found) == {"a", "b"}
    assert found["a"][0] >= 10_000
    assert found["b"][0] >= MEBIBYTE
    assert all(0 <= idle < 60 for _, idle in found.values())
    await volume.remove("a")
    assert set(await volume.list()) == {"b"}


async def test_free_bytes_fall_by_what_is_allocated(tiny_volume: DirectoryTempVolume) -> None:
    before = await tiny_volume.free_bytes()
    assert before == 4 * MEBIBYTE
    await tiny_volume.allocate(ID, MEBIBYTE)
    assert await tiny_volume.free_bytes() == before - MEBIBYTE


async def test_the_check_passes_until_the_disk_is_full(tiny_volume: DirectoryTempVolume) -> None:
    assert await tiny_volume.total_bytes() == 4 * MEBIBYTE
    await tiny_volume.check()
    assert await tiny_volume.list() == {}
    with pytest.raises(OSError, match="No space left"):
        tiny_volume.path("x").with_name("filler").write_bytes(bytes(5 * MEBIBYTE))
    with pytest.raises(TempVolumeError) as raised:
        await tiny_volume.check()
    assert code_of(raised) == "TEMP_VOLUME_FULL"
    assert await tiny_volume.total_bytes() == 4 * MEBIBYTE


async def test_a_removed_directory_raises_a_temp_volume_error(volume: DirectoryTempVolume) -> None:
    volume.path(ID).parent.rmdir()
    for call in (volume.free_bytes(), volume.total_bytes(), volume.list(), volume.check()):
        with pytest.raises(TempVolumeError):
            await call
    with pytest.raises(TempVolumeError) as raised:
        await volume.allocate(ID, 1)
    assert code_of(raised) == "TEMP_VOLUME_FAILED"


async def test_a_missing_directory_is_the_volumes_fault(volume: DirectoryTempVolume) -> None:
    """It may be mounted again; that the file is lost is not known."""
    await volume.allocate(ID, 10)
    directory = volume.path(ID).parent
    directory.rename(directory.with_name("elsewhere"))
    for use in (volume.verify(ID, 10), volume.write(ID, 0, [b"x"], 0), volume.read(ID, 0, 1)):
        with pytest.raises(TempVolumeError) as raised:
            await use
        assert code_of(raised) == "TEMP_VOLUME_FAILED"
    directory.with_name("elsewhere").rename(directory)
    await volume.verify(ID, 10)
    volume.path(ID).unlink()
    with pytest.raises(TempVolumeError) as raised:
        await volume.verify(ID, 10)
    assert code_of(raised) == "TEMP_FILE_MISSING"
