"""Allocation on real filesystems: a temp file is preallocated once and completely, or not at all."""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import resource
import sys

import pytest

from pipeline.adapters.volume.preallocate import private_name
from pipeline.adapters.volume.temp_volume import DirectoryTempVolume
from pipeline.core.errors import TempVolumeError
from pipeline.core.windows import on_disk_bytes
from tests.contract.temp_volume.temp_files import ID, MEBIBYTE, code_of

pytestmark = pytest.mark.contract


async def test_a_temp_file_has_its_whole_length_and_its_bytes_allocated(volume: DirectoryTempVolume) -> None:
    size = 3 * MEBIBYTE + 5
    assert await volume.allocate(ID, size) == on_disk_bytes(size)
    facts = volume.path(ID).stat()
    assert facts.st_size == size
    assert facts.st_blocks * 512 == on_disk_bytes(size), "not sparse: every byte is allocated on the disk"
    assert facts.st_mode & 0o077 == 0, "no other user can read it"
    await volume.verify(ID, size)


async def test_allocating_again_keeps_what_was_written(volume: DirectoryTempVolume) -> None:
    await volume.allocate(ID, 100)
    await volume.write(ID, 0, [b"x" * 100], 0)
    allocated = await asyncio.gather(*(volume.allocate(ID, 100) for _ in range(8)))
    assert set(allocated) == {on_disk_bytes(100)}
    assert volume.path(ID).read_bytes() == b"x" * 100


async def test_a_file_that_is_too_short_is_extended(volume: DirectoryTempVolume) -> None:
    volume.path(ID).write_bytes(b"abc")
    await volume.allocate(ID, MEBIBYTE)
    await volume.verify(ID, MEBIBYTE)
    assert volume.path(ID).read_bytes()[:3] == b"abc"


async def test_a_file_that_is_too_long_is_cut_to_its_length(volume: DirectoryTempVolume) -> None:
    volume.path(ID).write_bytes(b"x" * 5000)
    assert await volume.allocate(ID, 4096) == 4096
    assert volume.path(ID).read_bytes() == b"x" * 4096


async def test_many_processes_allocate_the_same_file_on_a_disk_with_room_for_one(
    tiny_volume: DirectoryTempVolume,
) -> None:
    """The losing callers need no room of their own and do not remove the file of the winner."""
    path = tiny_volume.path(ID)
    program = (
        "import sys; from pathlib import Path; from pipeline.adapters.volume.preallocate import preallocate\n"
        "sys.stdin.readline(); print(preallocate(Path(sys.argv[1]), int(sys.argv[2])))"
    )
    for _ in range(2):
        command = [sys.executable, "-c", program, str(path), str(3 * MEBIBYTE)]
        callers = [
            await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            for _ in range(4)
        ]
        answers = [
            out.decode() for out, _ in await asyncio.gather(*(caller.communicate(b"go\n") for caller in callers))
        ]
        assert answers == [f"{3 * MEBIBYTE}\n"] * 4
        await tiny_volume.verify(ID, 3 * MEBIBYTE)
        assert set(await tiny_volume.list()) == {ID}
        await tiny_volume.remove(ID)


async def test_a_private_file_of_a_dead_process_is_reused(volume: DirectoryTempVolume) -> None:
    """The file that it left is listed like a temp file, is not used for reading, and the next call completes it."""
    private = private_name(volume.path(ID))
    private.write_bytes(bytes(10_000))
    assert set(await volume.list()) == {f"{ID}~"}
    with pytest.raises(TempVolumeError):
        await volume.verify(ID, 5000)
    assert await volume.allocate(ID, 5000) == on_disk_bytes(5000)
    await volume.verify(ID, 5000)
    assert set(await volume.list()) == {ID}
    private.write_bytes(b"x")
    await volume.remove(ID)
    assert await volume.list() == {}


async def test_a_call_waits_for_the_process_that_holds_the_private_file(volume: DirectoryTempVolume) -> None:
    private = private_name(volume.path(ID))
    fd = os.open(private, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    waiting = asyncio.create_task(volume.allocate(ID, 100))
    done, _ = await asyncio.wait({waiting}, timeout=0.2)
    assert not done
    os.pwrite(fd, b"y" * 100, 0)
    private.rename(volume.path(ID))
    os.close(fd)
    assert await waiting == on_disk_bytes(100)
    assert volume.path(ID).read_bytes() == b"y" * 100


async def test_a_full_disk_raises_full_and_leaves_no_file(tiny_volume: DirectoryTempVolume) -> None:
    await tiny_volume.allocate("first", 3 * MEBIBYTE)
    free = await tiny_volume.free_bytes()
    with pytest.raises(TempVolumeError) as raised:
        await tiny_volume.allocate("second", 2 * MEBIBYTE)
    assert code_of(raised) == "TEMP_VOLUME_FULL"
    assert await tiny_volume.free_bytes() == free
    assert set(await tiny_volume.list()) == {"first"}
    await tiny_volume.remove("first")
    assert await tiny_volume.allocate("second", 2 * MEBIBYTE) == 2 * MEBIBYTE


async def test_allocated_bytes_can_be_written_on_a_full_disk(tiny_volume: DirectoryTempVolume) -> None:
    size = 2 * MEBIBYTE
    await tiny_volume.allocate(ID, size)
    filler = tiny_volume.path("x").with_name("filler")
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(4 * MEBIBYTE))
    assert await tiny_volume.free_bytes() == 0
    data = random.Random(1).randbytes(size)
    await tiny_volume.write(ID, 0, [data], 0)
    assert tiny_volume.path(ID).read_bytes() == data


async def test_a_file_above_the_size_limit_raises_full_and_leaves_no_file(volume: DirectoryTempVolume) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEBIBYTE, hard))
    try:
        with pytest.raises(TempVolumeError) as raised:
            await volume.allocate(ID, 2 * MEBIBYTE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code_of(raised) == "TEMP_VOLUME_FULL", "a smaller file may still fit"
    assert await volume.list() == {}
