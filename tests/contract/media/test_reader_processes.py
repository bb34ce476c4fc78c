"""The processes of the reader: nothing outlives a reading or its worker, whichever process is killed or stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.adapters.media.host_process import HostProcess
from pipeline.adapters.media.reader import HOST, ReaderRules, SandboxedReader
from pipeline.core.errors import MediaError, SluiceError
from tests.harness.attacks.run import CONFINED, Bytes, ordered

pytestmark = pytest.mark.contract

_SECONDS = 60.0


async def _until(holds: Callable[[], object]) -> None:
    """Wait for what only the kernel knows."""
    async with asyncio.timeout(_SECONDS):
        while not holds():  # noqa: ASYNC110  # nobody is notified
            await asyncio.sleep(0.01)


def _gone(process_id: int) -> bool:
    """Dead; a dead process without a parent is reaped as soon as the machine's init gets to it."""
    try:
        return bool(psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _host(reader: SandboxedReader) -> psutil.Process:
    assert reader.host_process_id is not None
    return psutil.Process(reader.host_process_id)


def _children(reader: SandboxedReader) -> list[psutil.Process]:
    return list(_host(reader).children())


def _started() -> dict[int, list[psutil.Process]]:
    """The processes that this one has started, each with its children."""
    found: dict[int, list[psutil.Process]] = {}
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            found[child.pid] = child.children()
    return found


@pytest.fixture
async def own() -> SandboxedReader:
    """A reader that the test may damage."""
    return SandboxedReader(ReaderRules(), CONFINED)


async def _spinning(reader: SandboxedReader, count: int = 1) -> tuple[list[asyncio.Task[object]], list[int]]:
    """Readings that do not end, and their children."""
    tasks: list[asyncio.Task[object]] = [asyncio.create_task(reader.read(ordered(do="sleep"))) for _ in range(count)]
    await reader.start()
    await _until(lambda: len(_children(reader)) == count)
    return tasks, [child.pid for child in _children(reader)]


async def test_cancellation_kills_and_reaps_the_child(own: SandboxedReader) -> None:
    async with own:
        (task,), (child,) = await _spinning(own)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not psutil.pid_exists(child)
        assert (await _is_usable(own)) is True


async def _is_usable(reader: SandboxedReader) -> bool:
    with pytest.raises(MediaError, match="descriptors"):
        await reader.read(ordered(do="tell"))
    return True


async def test_cancellation_at_any_moment_leaves_nothing(own: SandboxedReader) -> None:
    """Also while the host starts, while a child is forked, and while it is ended."""
    before, others = len(os.listdir("/proc/self/fd")), _started().keys()
    for turns in (*range(0, 60, 2), 100, 200, 400):
        task = asyncio.create_task(own.read(ordered(do="tell")))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, MediaError):
            await task
        assert not any(children for host, children in _started().items() if host not in others)
    await own.aclose()
    assert _started().keys() <= others
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_slow_source_is_cancelled_with_the_reading(own: SandboxedReader) -> None:
    cancelled = asyncio.Event()
    reading = asyncio.Event()

    class Slow(Bytes):
        async def read(self, offset: int, length: int) -> bytes:
            reading.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return b""

    async with own:
        task = asyncio.create_task(own.read(Slow(bytes(1000))))
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cancelled.is_set()
        assert _children(own) == []


async def test_a_host_that_dies_takes_its_children_and_is_replaced(own: SandboxedReader) -> None:
    async with own:
        tasks, children = await _spinning(own, 2)
        host = _host(own)
        host.kill()
        for error in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(error, SluiceError)
            assert (error.code, error.retryable) == ("MEDIA_TOOL_FAILED", True)
        await _until(lambda: all(map(_gone, children)))
        assert await _is_usable(own)
        assert _host(own).pid != host.pid
        assert not psutil.pid_exists(host.pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_child_that_another_process_kills_is_the_fault_of_the_machine(
    own: SandboxedReader, number: signal.Signals
) -> None:
    async with own:
        (task,), (child,) = await _spinning(own)
        os.kill(child, number)
        if number is signal.SIGSTOP:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            with pytest.raises(SluiceError) as caught:
                await task
            assert (caught.value.code, caught.value.retryable) == ("MEDIA_TOOL_FAILED", True)
        assert not psutil.pid_exists(child)


async def test_a_host_that_does_not_respond_is_replaced(own: SandboxedReader) -> None:
    async with own:
        (task,), (child,) = await _spinning(own)
        host = _host(own)
        host.suspend()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _until(lambda: _gone(child))
        assert not psutil.pid_exists(host.pid)
        assert await _is_usable(own)


async def test_signals_for_the_whole_group_do_not_end_the_host(own: SandboxedReader) -> None:
    async with own:
        host = _host(own)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            host.send_signal(number)
        assert await _is_usable(own)
        assert _host(own).pid == host.pid
        assert os.getsid(host.pid) != os.getsid(0)


_WORKER = """
import asyncio, psutil
from pipeline.adapters.media.host_process import HostProcess
from pipeline.adapters.media.reader import HOST, ReaderRules, SandboxedReader
from tests.harness.attacks.run import CONFINED, ordered

async def main():
    async with SandboxedReader(ReaderRules(), CONFINED) as reader:
        tasks = [asyncio.create_task(reader.read(ordered(do="spin", ignores=True))) for _ in range(2)]
        while len(psutil.Process().children(recursive=True)) < 3:
            await asyncio.sleep(0.01)
        print(*(process.pid for process in psutil.Process().children(recursive=True)), flush=True)
        await asyncio.gather(*tasks)

asyncio.run(main())
"""


async def test_a_worker_that_is_killed_leaves_neither_host_nor_child() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WORKER, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert worker.stdout is not None
    processes = [int(word) for word in (await worker.stdout.readline()).split()]
    assert len(processes) == 3
    worker.kill()
    await worker.wait()
    await _until(lambda: all(map(_gone, processes)))


async def test_many_readings_leak_nothing(own: SandboxedReader) -> None:
    orders: list[dict[str, Any]] = [
        {"do": "tell"},
        {"do": "die", "how": "fault"},
        {"do": "die", "how": "exit", "status": 3},
        {"do": "show", "jpeg": "\xff\xd8"},
        {"do": "send", "messages": [[99, 0, 0, ""]]},
        {"do": "raise"},
    ]

    async def read_all() -> None:
        await asyncio.gather(*(own.read(ordered(**order)) for order in orders), return_exceptions=True)

    def held() -> tuple[int, int, int]:
        host = _host(own)
        return len(os.listdir("/proc/self/fd")), host.num_fds(), len(host.children())

    async with own:
        await read_all()
        before, memory = held(), psutil.Process().memory_info().rss
        for _ in range(20):
            await read_all()
        assert held() == before
        assert psutil.Process().memory_info().rss < memory + 16 * 1024**2


async def test_the_host_has_nothing_of_the_worker(own: SandboxedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_S3_SECRET_KEY", "a-very-secret-key")
    async with own:
        host = _host(own)
        assert "SLUICE_S3_SECRET_KEY" not in host.environ()
        descriptors = {os.readlink(f"/proc/{host.pid}/fd/{name}") for name in os.listdir(f"/proc/{host.pid}/fd")}
        assert not [path for path in descriptors if not path.startswith(("/dev/null", "socket:", "pipe:"))]
        assert len([path for path in descriptors if path.startswith("socket:")]) == 1


async def test_the_worker_imports_no_media_library() -> None:
    program = (
        "import sys; import workers.process; "
        "print([name for name in ('av', 'PIL', 'numpy', 'pillow_heif', 'pyseccomp') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=environment, stdout=subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert output.decode().strip() == "[]"


async def test_a_start_may_be_cancelled_when_the_host_reports(caplog: pytest.LogCaptureFixture) -> None:
    """Both arrive in one iteration of the event loop, the cancellation first."""
    before = _descriptors()
    starting = asyncio.create_task(HostProcess.start(HOST, required=False))
    await asyncio.sleep(0)
    (control,) = _descriptors() - before
    readable, _, _ = select.select([control], [], [], _SECONDS)
    assert readable
    asyncio.get_running_loop().call_soon(starting.cancel)

    with pytest.raises(asyncio.CancelledError):
        await starting

    assert not _descriptors() - before
    assert not caplog.records


def _descriptors() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}
