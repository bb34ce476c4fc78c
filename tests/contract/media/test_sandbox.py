"""The sandbox around real processes: limits hold, and nothing is left behind when a run ends early."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import psutil
import pytest

from pipeline.adapters.media.ffmpeg import FfmpegThumbnailer
from pipeline.adapters.media.ffprobe import FfprobeMediaProbe
from pipeline.adapters.media.sandbox import Sandbox
from pipeline.core.errors import MediaError, SluiceError
from schemas.media import MediaMetadata
from tests.harness.media_samples import sample

pytestmark = pytest.mark.contract

_TIMEOUT_SECONDS = 4.0
"""Longer than a busy machine takes to start the tool, which writes its process ids first."""


async def test_limits_and_privileges_hold(sandbox: Sandbox, tmp_path: Path) -> None:
    confinement = await sandbox.confinement()
    result = await sandbox.run(
        ["/bin/sh", "-c", f"ulimit -a; cat /proc/self/status; env; echo x > {tmp_path}/file && echo wrote"],
        stdin=sample("jpeg"),
        timeout_seconds=7,
        stdout_limit_bytes=100_000,
    )
    pairs = (line.rsplit(None, 1) for line in result.stdout.decode().splitlines())
    said = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    assert confinement.describe()
    assert b"wrote" not in result.stdout
    assert "HOME" not in result.stdout.decode()
    if confinement.limits:
        assert said["vmemory(kbytes)"] == str(2 * 1024**2)
        assert (said["time(seconds)"], said["nofiles"], said["file(blocks)"]) == ("8", "64", "0")
    if confinement.privileges:
        assert said["NoNewPrivs:"] == "1"
        assert int(said["CapEff:"], 16) == 0


def _slow_tool(directory: Path) -> tuple[Path, Path]:
    """A tool that starts a child, writes both process ids and hangs, and where it writes them."""
    ids = directory / "ids"
    os.mkfifo(ids)  # a file that may be written in spite of the file size limit
    tool = directory / "slow"
    tool.write_text(f"#!/bin/sh\nsleep 1000 &\necho $$ $! > {ids}\nwait\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return tool, ids


async def _read_ids(ids: Path) -> list[int]:
    words = await asyncio.to_thread(ids.read_text)
    return [int(word) for word in words.split()]


async def _assert_gone(ids: list[int]) -> None:
    """The tool is reaped; its child is dead, and reaped as soon as the machine's init gets to it."""
    tool, child = ids
    assert _state(tool) is None
    async with asyncio.timeout(20):
        while _state(child) not in (None, "Z"):  # noqa: ASYNC110  # only the parent is notified by the kernel
            await asyncio.sleep(0.01)


def _state(process_id: int) -> str | None:
    """The state letter of a process (proc(5)); None if there is no such process."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None


@pytest.mark.parametrize("kind", ["probe", "thumbnail"])
async def test_a_timeout_kills_the_whole_group(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    await sandbox.confinement()
    tool, ids = _slow_tool(tmp_path)
    reading = asyncio.create_task(_read_ids(ids))
    with pytest.raises(MediaError) as caught:
        await _use(kind, tool, _TIMEOUT_SECONDS, sandbox)
    assert caught.value.code == "MEDIA_TIMEOUT"
    assert caught.value.detail == {"timeout_seconds": _TIMEOUT_SECONDS}
    await _assert_gone(await reading)


@pytest.mark.parametrize("kind", ["probe", "thumbnail"])
async def test_cancellation_kills_the_whole_group(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    tool, ids = _slow_tool(tmp_path)
    running = asyncio.create_task(_use(kind, tool, 60, sandbox))
    processes = await _read_ids(ids)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await _assert_gone(processes)


async def test_cancellation_before_asyncio_has_the_process_kills_it_too(sandbox: Sandbox, tmp_path: Path) -> None:
    """asyncio itself leaves the group running and waits indefinitely for pipes that it has not connected yet."""
    await sandbox.confinement()
    tool, ids = _slow_tool(tmp_path)
    this = psutil.Process()
    before = len(this.children())
    running = asyncio.create_task(_use("probe", tool, 60, sandbox))
    while len(this.children()) == before:  # noqa: ASYNC110  # only the parent is notified by the kernel
        await asyncio.sleep(0)
    processes = [int(word) for word in ids.read_text().split()]  # in the loop's own thread, which stands still
    running.cancel()
    async with asyncio.timeout(20):
        with pytest.raises(asyncio.CancelledError):
            await running
    await _assert_gone(processes)


async def test_endless_output_is_cut_off_and_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    tool = tmp_path / "endless"
    tool.write_text("#!/bin/sh\nexec yes '{\"streams\": [{}'\n")
    tool.chmod(0o755)
    with pytest.raises(MediaError) as caught:
        await FfprobeMediaProbe(str(tool), 30, sandbox).probe(sample("jpeg"))
    assert "more streams" in caught.value.message


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("kill -SEGV $$", "NOT_MEDIA"),
        ("kill -ABRT $$", "NOT_MEDIA"),
        ("kill -KILL $$", "MEDIA_TOOL_FAILED"),
        ("kill -TERM $$", "MEDIA_TOOL_FAILED"),
        ("kill -HUP $$", "MEDIA_TOOL_FAILED"),
        ("echo Too many open files >&2; exit 1", "MEDIA_TOOL_FAILED"),
        ("echo Resource temporarily unavailable >&2; exit 1", "MEDIA_TOOL_FAILED"),
        ("kill -XCPU $$", "MEDIA_TIMEOUT"),
        ("echo Unrecognized option >&2; exit 1", "MEDIA_TOOL_FAILED"),
        ("echo not JSON", "NOT_MEDIA"),
        ("echo '[[[['", "NOT_MEDIA"),
        ("echo whatever >&2; exit 1", "NOT_MEDIA"),
    ],
)
async def test_how_a_tool_ends_decides_the_error(sandbox: Sandbox, tmp_path: Path, script: str, code: str) -> None:
    tool = tmp_path / "tool"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    with pytest.raises(SluiceError) as caught:
        await FfprobeMediaProbe(str(tool), 10, sandbox).probe(sample("jpeg"))
    assert caught.value.code == code


async def test_the_tool_dies_with_this_process(sandbox: Sandbox, tmp_path: Path) -> None:
    """PR_SET_PDEATHSIG holds through the whole chain of wrappers: ask the kernel, through the tool's own status."""
    if not (await sandbox.confinement()).privileges:
        pytest.skip("setpriv is missing")
    result = await sandbox.run(
        ["/usr/bin/setpriv", "--dump"], stdin=sample("jpeg"), timeout_seconds=5, stdout_limit_bytes=10_000
    )
    assert "Parent death signal: KILL" in " ".join(result.stdout.decode().split())


async def _use(kind: str, tool: Path, timeout_seconds: float, sandbox: Sandbox) -> object:
    if kind == "probe":
        return await FfprobeMediaProbe(str(tool), timeout_seconds, sandbox).probe(sample("jpeg"))
    metadata = MediaMetadata.model_validate(
        {
            "kind": "image",
            "container": "jpeg",
            "size_bytes": 1,
            "streams": [
                {
                    "type": "video",
                    "index": 0,
                    "codec": "mjpeg",
                    "width": 2,
                    "height": 2,
                    "coded_width": 2,
                    "coded_height": 2,
                }
            ],
        }
    )
    return await FfmpegThumbnailer(str(tool), timeout_seconds, sandbox).thumbnail(sample("jpeg"), metadata)
