"""Ranges of temp files on real filesystems: allocated, read, and removed from the disk without touching a neighbour."""

from __future__ import annotations

import asyncio
import errno
import os
import random
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import pytest

from pipeline.adapters.volume.temp_volume import DirectoryTempVolume
from pipeline.core.errors import TempVolumeError
from pipeline.core.segments import SegmentPlan
from pipeline.core.windows import BLOCK_BYTES, on_disk_bytes, room_bytes
from tests.contract.temp_volume.temp_files import ID, MEBIBYTE, code_of
from tests.harness.blocks import occupied
from tests.harness.disks import faulty_disk, filesystem

pytestmark = pytest.mark.contract

SEGMENT_BYTES = 256 * 1024


@pytest.fixture(params=["ext4", "xfs", "tmpfs", "overlay"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DirectoryTempVolume]:
    with filesystem(request.param, tmp_path) as point:
        yield DirectoryTempVolume(request.param, point)


def data_of(size_bytes: int) -> bytes:
    return random.Random(size_bytes).randbytes(size_bytes)


async def used(volume: DirectoryTempVolume) -> int:
    """Without the blocks that the filesystem needs for the map of the file."""
    return occupied(volume.path(ID)).data_bytes


async def fill(volume: DirectoryTempVolume, plan: SegmentPlan, data: bytes, number: int) -> None:
    offset, length = plan.offset(number), plan.length(number)
    await volume.allocate_range(ID, offset, length)
    await volume.write(ID, offset, [data[offset : offset + length]], 0)


async def test_a_file_is_cut_off_at_its_length(disk: DirectoryTempVolume) -> None:
    """The bytes after it leave the disk, and the ones before it stay. It is never lengthened."""
    plan, data = SegmentPlan(4 * SEGMENT_BYTES, SEGMENT_BYTES), data_of(4 * SEGMENT_BYTES)
    await disk.allocate_sparse(ID, plan.size_bytes)
    for number in (1, 3):
        await fill(disk, plan, data, number)
    size = 2 * SEGMENT_BYTES + 5000
    for length in (size, size, plan.size_bytes):
        await disk.shorten(ID, length)
        await disk.verify(ID, size)
        assert SEGMENT_BYTES + 5000 <= await used(disk) <= SEGMENT_BYTES + on_disk_bytes(5000)
    assert await disk.read(ID, 2 * SEGMENT_BYTES, 5000) == data[2 * SEGMENT_BYTES : size]
    await disk.shorten("00000000-0000-7000-8000-000000000009", size)


async def test_a_sparse_file_has_its_length_and_no_bytes(disk: DirectoryTempVolume) -> None:
    await disk.allocate_sparse(ID, 40 * MEBIBYTE * 1024)
    await disk.verify(ID, 40 * MEBIBYTE * 1024)
    with pytest.raises(TempVolumeError):
        await disk.verify(ID, 40 * MEBIBYTE * 1024 - 1)
    held = occupied(disk.path(ID))
    assert held.data_bytes == 0
    assert held.map_bytes <= 16 * BLOCK_BYTES
    assert disk.path(ID).stat().st_mode & 0o077 == 0, "no other user can read it"
    assert set(await disk.list()) == {ID}


async def test_a_window_moves_over_a_file(disk: DirectoryTempVolume) -> None:
    """Two segments at a time, of a file that is larger than what it ever occupies."""
    plan = SegmentPlan(9 * SEGMENT_BYTES + 77, SEGMENT_BYTES)
    data = data_of(plan.size_bytes)
    await disk.allocate_sparse(ID, plan.size_bytes)
    for number in range(1, plan.count + 1):
        await fill(disk, plan, data, number)
        crc32c = google_crc32c.value(data[plan.offset(number) :][: plan.length(number)])
        source = disk.source(ID, number, plan.offset(number), plan.length(number), crc32c)
        assert b"".join([block async for block in source.chunks()]) == data[plan.offset(number) :][:SEGMENT_BYTES]
        await asyncio.to_thread(os.sync)
        assert await used(disk) <= 2 * SEGMENT_BYTES
        if number > 1:
            await disk.punch(ID, [(plan.offset(number - 1), plan.length(number - 1))])
            assert await used(disk) <= SEGMENT_BYTES
    await disk.verify(ID, plan.size_bytes)


async def test_allocated_bytes_are_on_the_disk_and_written_ones_stay(disk: DirectoryTempVolume) -> None:
    await disk.allocate_sparse(ID, 4 * SEGMENT_BYTES)
    await disk.allocate_range(ID, SEGMENT_BYTES, SEGMENT_BYTES)
    assert await used(disk) == SEGMENT_BYTES
    await disk.write(ID, SEGMENT_BYTES, [b"x" * 1000], 0)
    await asyncio.gather(*(disk.allocate_range(ID, SEGMENT_BYTES, SEGMENT_BYTES) for _ in range(4)))
    await disk.allocate_sparse(ID, 4 * SEGMENT_BYTES)
    assert await disk.read(ID, SEGMENT_BYTES, 1000) == b"x" * 1000
    assert await used(disk) <= SEGMENT_BYTES


async def test_early_release_of_a_whole_file(disk: DirectoryTempVolume) -> None:
    plan = SegmentPlan(8 * SEGMENT_BYTES, SEGMENT_BYTES)
    data = data_of(plan.size_bytes)
    await disk.allocate(ID, plan.size_bytes)
    await disk.write(ID, 0, [data], 0)
    await disk.punch(ID, [(0, 2 * SEGMENT_BYTES), (5 * SEGMENT_BYTES, SEGMENT_BYTES)])
    await disk.punch(ID, [(0, SEGMENT_BYTES)])
    assert await used(disk) == 5 * SEGMENT_BYTES
    await disk.verify(ID, plan.size_bytes)
    kept = bytearray(data)
    for number in (1, 2, 6):
        kept[plan.offset(number) : plan.offset(number) + SEGMENT_BYTES] = bytes(SEGMENT_BYTES)
    assert disk.path(ID).read_bytes() == kept
    await fill(disk, plan, data, 2)
    assert await used(disk) <= 6 * SEGMENT_BYTES
    assert await disk.read(ID, SEGMENT_BYTES, 2 * SEGMENT_BYTES) == data[SEGMENT_BYTES : 3 * SEGMENT_BYTES]


@pytest.mark.parametrize("segment_bytes", [1_000, 4_095, 4_097, 10_000, 100_001])
async def test_a_hole_never_changes_a_neighbour(disk: DirectoryTempVolume, segment_bytes: int) -> None:
    """Segments that are not whole blocks give back what the ledger counts for them, and no byte beside them changes."""
    plan = SegmentPlan(20 * segment_bytes + 13, segment_bytes)
    data = data_of(plan.size_bytes)
    await disk.allocate(ID, plan.size_bytes)
    await disk.write(ID, 0, [data], 0)
    before = await used(disk)
    kept, given = bytearray(data), 0
    for number in random.Random(5).sample(range(1, plan.count + 1), plan.count):
        offset, length = plan.offset(number), plan.length(number)
        await disk.punch(ID, [(offset, length)])
        kept[offset : offset + length] = bytes(length)
        given += room_bytes(plan, number)
        assert disk.path(ID).read_bytes() == kept
        assert await used(disk) <= before - given


async def test_adjacent_ranges_leave_the_disk_with_the_blocks_between_them(disk: DirectoryTempVolume) -> None:
    await disk.allocate(ID, 100_000)
    await disk.punch(ID, [(50_000, 50_000), (0, 30_000), (30_000, 20_000), (7, 0)])
    assert await used(disk) == 0
    assert await disk.read(ID, 0, 100_000) == bytes(100_000)


@pytest.mark.parametrize("size_bytes", [1, 4_095, 4_096, 4_097, 20_849, 24_575, 24_577])
async def test_the_last_block_leaves_the_disk_with_the_last_byte(disk: DirectoryTempVolume, size_bytes: int) -> None:
    """The file keeps its length, and its other blocks."""
    plan = SegmentPlan(size_bytes, 16 * 1024)
    await disk.allocate(ID, size_bytes)
    await disk.write(ID, 0, [b"x" * size_bytes], 0)
    before, last = await used(disk), plan.count
    assert before <= on_disk_bytes(size_bytes)
    await disk.punch(ID, [(plan.offset(last), plan.length(last))])
    assert await used(disk) <= on_disk_bytes(size_bytes) - room_bytes(plan, last) == plan.offset(last)
    await disk.verify(ID, size_bytes)
    assert disk.path(ID).read_bytes() == b"x" * plan.offset(last) + bytes(plan.length(last))
    await disk.allocate_range(ID, plan.offset(last), plan.length(last))
    assert await used(disk) == before
    await disk.punch(ID, [(0, size_bytes)])
    assert await used(disk) == 0 == (await disk.list())[ID][0]


async def test_what_is_not_there_is_missing(disk: DirectoryTempVolume) -> None:
    await disk.punch(ID, [(0, 10)])
    for call in (disk.allocate_range(ID, 0, 10), disk.read(ID, 0, 10)):
        with pytest.raises(TempVolumeError) as raised:
            await call
        assert code_of(raised) == "TEMP_FILE_MISSING"
    assert await disk.list() == {}
    await disk.allocate_sparse(ID, 100)
    assert await disk.read(ID, 90, 10) == bytes(10)
    assert await disk.read(ID, 90, 0) == b""
    with pytest.raises(TempVolumeError) as raised:
        await disk.read(ID, 91, 10)
    assert code_of(raised) == "TEMP_FILE_MISSING"


async def test_every_filesystem_here_can_remove_ranges(disk: DirectoryTempVolume) -> None:
    assert await disk.can_punch()
    assert await disk.list() == {}


async def test_a_full_disk_has_no_room_for_a_range_until_another_leaves(tiny_volume: DirectoryTempVolume) -> None:
    await tiny_volume.allocate_sparse(ID, 100 * MEBIBYTE)
    await tiny_volume.allocate_range(ID, 50 * MEBIBYTE, 3 * MEBIBYTE)
    with pytest.raises(TempVolumeError) as raised:
        await tiny_volume.allocate_range(ID, 0, 2 * MEBIBYTE)
    assert code_of(raised) == "TEMP_VOLUME_FULL"
    await tiny_volume.punch(ID, [(50 * MEBIBYTE, 2 * MEBIBYTE)])
    await tiny_volume.punch(ID, [(0, 2 * MEBIBYTE)])  # a range that failed is given back too
    await tiny_volume.allocate_range(ID, 0, 2 * MEBIBYTE)
    assert await used(tiny_volume) == 3 * MEBIBYTE
    filler = tiny_volume.path("x").with_name("filler")
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(2 * MEBIBYTE))
    await tiny_volume.write(ID, 0, [b"x" * 2 * MEBIBYTE], 0)
    with pytest.raises(TempVolumeError) as raised:
        await tiny_volume.allocate_sparse("other", 1)
    assert code_of(raised) == "TEMP_VOLUME_FULL", "a disk that accepts no bytes admits nothing"


async def test_a_filesystem_without_holes_says_so_and_whole_files_still_work(tmp_path: Path) -> None:
    with faulty_disk(tmp_path) as faulty:
        volume = DirectoryTempVolume("fuse", faulty.point)
        faulty.fail("punch", errno.EOPNOTSUPP)
        assert not await volume.can_punch()
        assert await volume.list() == {}
        await volume.allocate(ID, 10_000)
        await volume.write(ID, 0, [b"x" * 10_000], 0)
        with pytest.raises(TempVolumeError) as raised:
            await volume.punch(ID, [(0, 8192)])
        assert code_of(raised) == "TEMP_VOLUME_FAILED"
        assert "cannot remove ranges" in raised.value.detail["reason"]
        assert await volume.read(ID, 0, 10_000) == b"x" * 10_000


async def test_a_disk_that_fails_is_not_taken_for_one_without_holes(tmp_path: Path) -> None:
    with faulty_disk(tmp_path) as faulty:
        volume = DirectoryTempVolume("fuse", faulty.point)
        for operation in ("write", "punch"):
            faulty.fail(operation)
            with pytest.raises(TempVolumeError) as raised:
                await volume.can_punch()
            assert code_of(raised) == "TEMP_VOLUME_FAILED"
            faulty.heal()
        assert await volume.list() == {}
        assert await volume.can_punch()
        await volume.allocate(ID, 10_000)
        faulty.fail("punch")
        with pytest.raises(TempVolumeError) as raised:
            await volume.punch(ID, [(0, 8192)])
        assert code_of(raised) == "TEMP_VOLUME_FAILED"


async def test_filesystems_without_preallocation_have_no_ranges_either(tmp_path: Path) -> None:
    with filesystem("ext2", tmp_path) as point:
        volume = DirectoryTempVolume("ext2", point)
        assert not await volume.can_punch()
        await volume.allocate_sparse(ID, MEBIBYTE)
        with pytest.raises(TempVolumeError) as raised:
            await volume.allocate_range(ID, 0, 8192)
        assert code_of(raised) == "TEMP_VOLUME_FAILED"
