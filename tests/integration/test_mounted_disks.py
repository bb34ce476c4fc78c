"""The disks that tests mount are unmounted, however the tests end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.harness.cell import eventually

pytestmark = pytest.mark.integration

_PROGRAM = """
import sys
from pathlib import Path
from tests.harness.disks import faulty_disk, filesystem, small_disk

directory = Path(sys.argv[1])
on_tmpfs, on_ext4 = small_disk(directory / "small", 1024**2), filesystem("ext4", directory / "ext4")
with faulty_disk(directory / "faulty"), on_tmpfs, on_ext4:
    print("mounted", flush=True)
    sys.stdin.read()
"""


def _mounts(directory: Path) -> list[str]:
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(directory) in line]


async def test_a_killed_process_group_leaves_no_mount(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PROGRAM, str(tmp_path)]
    tests = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True)
    assert tests.stdout is not None
    if await tests.stdout.readline() != b"mounted\n":
        _, errors = await tests.communicate()
        pytest.skip(errors.decode().splitlines()[-1])
    assert len(_mounts(tmp_path)) == 3
    os.killpg(tests.pid, signal.SIGKILL)
    await tests.communicate()

    async def unmounted() -> bool:
        return not _mounts(tmp_path)

    await eventually(unmounted, 30, lambda: f"the disks to be unmounted: {_mounts(tmp_path)}")
