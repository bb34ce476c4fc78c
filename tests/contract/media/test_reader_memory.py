"""The memory and the environment of a reader's child are closed to other processes of its user (PR_SET_DUMPABLE)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from pipeline.adapters.media.reader import ReaderRules, SandboxedReader
from pipeline.core.errors import SluiceError
from tests.harness.attacks.run import CONFINED, ordered

pytestmark = pytest.mark.contract

_NOBODY = 65534
_FILES = ("environ", "mem", "maps")


def _user() -> dict[str, Any]:
    """Who a child is: nobody if this is root."""
    return {} if os.getuid() else {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}


def _opens(process: int, name: str) -> bool:
    """Whether a process of the child's user may open this file of it."""
    command = ["/bin/sh", "-c", f"exec 3<{f'/proc/{process}/{name}'}"]
    return subprocess.run(command, capture_output=True, cwd="/", **_user()).returncode == 0


async def _confined(reader: SandboxedReader) -> int:
    """The process id of the one child, once it belongs to its user and is confined."""
    assert reader.host_process_id is not None
    host = psutil.Process(reader.host_process_id)
    async with asyncio.timeout(60):
        while True:
            for child in host.children():
                if "Seccomp:\t2" in _status(child.pid):
                    return int(child.pid)
            await asyncio.sleep(0.01)


def _status(process: int) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{process}/status", encoding="utf-8") as status:
        return status.read()
    return ""


@pytest.fixture
def ordinary() -> Iterator[int]:
    """The process id of a program of the child's user."""
    process = subprocess.Popen(["/bin/sleep", "1000"], cwd="/", **_user())
    yield process.pid
    process.kill()
    process.wait()


async def test_others_of_the_same_user_cannot_look_into_a_child(ordinary: int) -> None:
    async with SandboxedReader(ReaderRules(), CONFINED) as reader:
        reading = asyncio.create_task(reader.read(ordered(do="sleep")))
        child = await _confined(reader)
        try:
            assert _opens(ordinary, "environ")
            assert [name for name in _FILES if _opens(child, name)] == []
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, SluiceError):
                await reading
