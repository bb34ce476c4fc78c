"""`ports.TempVolume` on real filesystems: bytes are set aside once, whole and for good, or not at all."""

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
from tests.contract.temp_volume.temp_files import ID, MEBIBYTE, code_of

pytestmark = pytest.mark.contract


async def test_a_temp_file_has_its_whole_length_and_bytes_at_once(volume: DirectoryTempVolume) -> None:
    size = 3 * MEBIBYTE + 5
    assert await volume.allocate(ID, size) == size
    facts = volume.path(ID).stat()
    assert facts.st_size == size
    assert facts.st_blocks * 512 >= size, "not sparse: the disk has set every byte aside"
    assert facts.st_mode & 0o077 == 0, "nobody else reads it"
    await volume.verify(ID, size)


async def test_allocating_again_keeps_what_was_written(volume: DirectoryTempVolume) -> None:
    await volume.allocate(ID, 100)
    await volume.write(ID, 0, [b"x" * 100], 0)
    answers = await asyncio.gather(*(volume.allocate(ID, 100) for _ in range(8)))
    assert set(answers) == {100}
    assert volume.path(ID).read_bytes() == b"x" * 100


async def test_a_file_that_was_cut_off_in_the_making_is_made_whole(volume: DirectoryTempVolume) -> None:
    volume.path(ID).write_bytes(b"abc")
    await volume.allocate(ID, MEBIBYTE)
    await volume.verify(ID, MEBIBYTE)
    assert volume.path(ID).read_bytes()[:3] == b"abc"


async def test_a_file_that_is_too_long_is_cut_to_its_length(volume: DirectoryTempVolume) -> None:
    volume.path(ID).write_bytes(b"x" * 5000)
    assert await volume.allocate(ID, 4096) == 4096
    assert volume.path(ID).read_bytes() == b"x" * 4096


async def test_many_processes_set_the_same_bytes_aside_on_a_disk_that_has_them_once(
    tiny_volume: DirectoryTempVolume,
) -> None:
    """Whoever loses must neither need room of its own nor take away what the winner has made."""
    path = tiny_volume.path(ID)
    program = (
        "import sys; from pathlib import Path; from pipeline.adapters.volume.preallocate import preallocate\n"
        "sys.stdin.readline(); print(preallocate(Path(sys.argv[1]), int(sys.argv[2])))"
    )
    for _ in range(5):
        command = [sys.executable, "-c", program, str(path), str(3 * MEBIBYTE)]
        callers = [
            await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            for _ in range(6)
        ]
        answers = [
            out.decode() for out, _ in await asyncio.gather(*(caller.communicate(b"go\n") for caller in callers))
        ]
        assert answers == [f"{3 * MEBIBYTE}\n"] * 6
        await tiny_volume.verify(ID, 3 * MEBIBYTE)
        assert set(await tiny_volume.list()) == {ID}
        await tiny_volume.remove(ID)


async def test_a_maker_that_died_is_followed_by_the_next(volume: DirectoryTempVolume) -> None:
    """What it left has no name that anybody reads, is listed like any temp file, and is used."""
    private = private_name(volume.path(ID))
    private.write_bytes(bytes(10_000))
    assert set(await volume.list()) == {f"{ID}~"}
    with pytest.raises(TempVolumeError):
        await volume.verify(ID, 5000)
    assert await volume.allocate(ID, 5000) == 5000
    await volume.verify(ID, 5000)
    assert set(await volume.list()) == {ID}
    private.write_bytes(b"x")
    await volume.remove(ID)
    assert await volume.list() == {}


async def test_a_maker_that_holds_the_file_is_waited_for(volume: DirectoryTempVolume) -> None:
    private = private_name(volume.path(ID))
    fd = os.open(private, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    waiting = asyncio.create_task(volume.allocate(ID, 100))
    done, _ = await asyncio.wait({waiting}, timeout=0.2)
    assert not done
    os.pwrite(fd, b"y" * 100, 0)
    private.rename(volume.path(ID))
    os.close(fd)
    assert await waiting == 100
    assert volume.path(ID).read_bytes() == b"y" * 100


async def test_a_full_disk_says_so_and_nothing_is_left(tiny_volume: DirectoryTempVolume) -> None:
    await tiny_volume.allocate("first", 3 * MEBIBYTE)
    free = await tiny_volume.free_bytes()
    with pytest.raises(TempVolumeError) as raised:
        await tiny_volume.allocate("second", 2 * MEBIBYTE)
    assert code_of(raised) == "TEMP_VOLUME_FULL"
    assert await tiny_volume.free_bytes() == free
    assert set(await tiny_volume.list()) == {"first"}
    await tiny_volume.remove("first")
    assert await tiny_volume.allocate("second", 2 * MEBIBYTE) == 2 * MEBIBYTE


async def test_what_was_set_aside_can_be_written_however_full_the_disk_is(tiny_volume: DirectoryTempVolume) -> None:
    size = 2 * MEBIBYTE
    await tiny_volume.allocate(ID, size)
    filler = tiny_volume.path("x").with_name("somebody-elses")
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(4 * MEBIBYTE))
    assert await tiny_volume.free_bytes() == 0
    data = random.Random(1).randbytes(size)
    await tiny_volume.write(ID, 0, [data], 0)
    assert tiny_volume.path(ID).read_bytes() == data


async def test_a_file_larger_than_the_disk_takes_says_so_and_nothing_is_left(volume: DirectoryTempVolume) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEBIBYTE, hard))
    try:
        with pytest.raises(TempVolumeError) as raised:
            await volume.allocate(ID, 2 * MEBIBYTE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code_of(raised) == "TEMP_VOLUME_FULL", "for a file of this length; there may be room for a smaller one"
    assert await volume.list() == {}
