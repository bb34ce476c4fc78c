"""Ways to hold up one worker type in the middle of its work, through a dependency of its stage."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import asyncpg
import psutil

from deploy.embedded.process import ChildProcess
from pipeline.adapters.media.reader import HOST
from pipeline.adapters.postgres.migrate import migrate
from tests.harness.cell import Cell, eventually
from tests.harness.disks import FaultyDisk

T = TypeVar("T")

_READING = ("probe", "thumbnail")
_READ_SECONDS = 3.0
_PAUSE_SECONDS = 0.05


def reader_hosts(cell: Cell, prefix: str = "worker-") -> list[psutil.Process]:
    """The hosts of the media readers of those processes whose name begins so."""
    found: list[psutil.Process] = []
    for name in cell.processes.names:
        pid = cell.processes.child(name).pid
        if name.startswith(prefix) and pid is not None:
            with suppress(psutil.NoSuchProcess):
                found += filter(_is_host, psutil.Process(pid).children())
    return found


def _is_host(process: psutil.Process) -> bool:
    """False if it is dead, also if it has not been reaped."""
    try:
        return HOST in process.cmdline()
    except psutil.NoSuchProcess:
        return False


@asynccontextmanager
async def readers_killed(cell: Cell) -> AsyncIterator[None]:
    """Every reader host is killed again and again within the block, so no file can be read."""

    async def kill() -> None:
        while True:
            for host in reader_hosts(cell):
                with suppress(psutil.NoSuchProcess):
                    host.kill()
            await asyncio.sleep(_PAUSE_SECONDS)

    killing = asyncio.create_task(kill())
    try:
        yield
    finally:
        killing.cancel()
        with suppress(asyncio.CancelledError):
            await killing


@asynccontextmanager
async def held_up(cell: Cell, kind: str, disk: FaultyDisk | None = None) -> AsyncIterator[None]:
    """Stages of this worker type do not end within the block; those that read the `disk` take seconds for each read.
    Workers of types `probe` and `thumbnail` must be processes of their own (`apart`)."""
    if kind == "persist":
        url = cell.settings.database_url.get_secret_value()
        await migrate(url)  # the cell's processes do so when they first need the database
        connection = await asyncpg.connect(url)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE contents IN ACCESS EXCLUSIVE MODE")
                yield
        finally:
            await connection.close()
    elif kind in _READING:
        hosts = reader_hosts(cell, f"worker-{kind}")
        for host in hosts:
            host.suspend()
        try:
            yield
        finally:
            for host in hosts:
                with suppress(psutil.NoSuchProcess):
                    host.resume()
    else:
        assert disk is not None
        disk.delay("read", _READ_SECONDS)
        try:
            yield
        finally:
            disk.heal()


async def killed_at_work(
    children: Iterable[ChildProcess], runs: Callable[[int], Awaitable[set[T]]], seconds: float = 90
) -> set[T]:
    """Kill the first of these processes that is at work, by SIGKILL; what it was running.

    `runs` asks Redis what a process is running, by its id. The process is paused before it is asked about for good, so
    that it is killed in the middle of its work and never after it. What it sent before it paused may still be in
    Redis' socket: that is handled before the second of two requests.
    """
    found: set[T] = set()

    async def paused(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)

        async def is_stopped() -> bool:
            return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)

        await eventually(is_stopped, seconds, lambda: f"process {pid} to be paused")

    async def killed() -> bool:
        for child in children:
            if child.pid is None or not await runs(child.pid):
                continue
            await paused(child.pid)
            await runs(child.pid)
            found.update(await runs(child.pid))
            if found:
                child.stop(signal.SIGKILL)
                return True
            os.kill(child.pid, signal.SIGCONT)
        return False

    await eventually(killed, seconds, lambda: f"one of {[child.name for child in children]} to be at work")
    return found
