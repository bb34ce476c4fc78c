"""Links, FIFOs and devices in place of the files of the temp volume: never followed, and nothing blocks."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pipeline.adapters.volume.journals import FileUploadJournals
from pipeline.adapters.volume.temp_volume import DirectoryTempVolume
from pipeline.core.errors import TempVolumeError
from pipeline.core.journal_entries import Ended
from pipeline.core.lifecycle import Status

pytestmark = pytest.mark.contract

SECRET = b"root:x:0:0:"
SECONDS = 60.0


def link(path: Path, outside: Path) -> None:
    path.symlink_to(outside)


def fifo(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def device(path: Path, outside: Path) -> None:
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")


planted = pytest.mark.parametrize("plant", [link, fifo, device])


async def _drain(volume: DirectoryTempVolume) -> None:
    async for _ in volume.source("a", 1, 0, len(SECRET), 0).chunks():
        pass


CALLS: dict[str, Callable[[DirectoryTempVolume], Awaitable[object]]] = {
    "read": lambda volume: volume.read("a", 0, 4),
    "write": lambda volume: volume.write("a", 0, [b"over"], 0),
    "flush": lambda volume: volume.flush("a"),
    "send": _drain,
    "allocate": lambda volume: volume.allocate("a", len(SECRET) + 1),
    "allocate sparse": lambda volume: volume.allocate_sparse("a", 100),
    "allocate range": lambda volume: volume.allocate_range("a", 0, 100),
    "punch": lambda volume: volume.punch("a", [(0, 4096)]),
}


@planted
@pytest.mark.parametrize("call", CALLS)
async def test_a_temp_file_that_is_none_is_not_touched(
    tmp_path: Path, plant: Callable[[Path, Path], None], call: str
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(SECRET)
    volume = DirectoryTempVolume("local", tmp_path / "temp", durable=True)
    plant(volume.path("a"), outside)
    async with asyncio.timeout(SECONDS):
        with pytest.raises(TempVolumeError) as refused:
            await CALLS[call](volume)
    assert refused.value.code == "TEMP_VOLUME_FAILED"
    assert str(tmp_path) not in refused.value.message
    await volume.remove("a")
    assert not os.path.lexists(volume.path("a"))
    assert outside.read_bytes() == SECRET


@planted
async def test_a_journal_that_is_none_is_not_read(tmp_path: Path, plant: Callable[[Path, Path], None]) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(SECRET)
    journals = FileUploadJournals(tmp_path, durable=False)
    plant(tmp_path / "a.journal", outside)
    for work in (journals.read("a"), journals.end("a", Ended(Status.EXPIRED))):
        async with asyncio.timeout(SECONDS):
            with pytest.raises(TempVolumeError):
                await work
    assert outside.read_bytes() == SECRET


async def test_the_modes_of_what_is_written(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        volume = DirectoryTempVolume("local", tmp_path / "temp")
        await volume.allocate("a", 10_000)
        await volume.allocate_sparse("b", 10_000)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "temp").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "temp").iterdir()} == {0o600}
