"""A stack that several processes share runs once, and no longer than the last of them, however that one ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from deploy.cli.processes import import_path
from tests.harness.shared_stack import shared_stack, wait_until_stopped

pytestmark = pytest.mark.integration

# Uses the stack until it is killed or its input ends; prints where Redis is.
_USER = """
import sys
from pathlib import Path
from tests.harness.shared_stack import shared_stack
with shared_stack(Path(sys.argv[1]), "redis") as stack:
    print(stack.redis_url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def _users(directory: Path, count: int) -> Iterator[tuple[list[subprocess.Popen[str]], set[str]]]:
    """Processes that use the stack, all started at once, and the addresses that they got."""
    command = [sys.executable, "-c", _USER, str(directory)]
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env={"PYTHONPATH": import_path()})
        for _ in range(count)
    ]
    try:
        yield processes, {process.stdout.readline().strip() for process in processes if process.stdout is not None}
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _responds(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def test_it_runs_once_and_ends_with_its_last_user(tmp_path: Path) -> None:
    with _users(tmp_path, 3) as (processes, urls):
        (url,) = urls
        for process in processes[:2]:
            process.communicate()
        with shared_stack(tmp_path, "redis") as joined:  # another process may join at any time
            assert joined.redis_url == url
        with pytest.raises(TimeoutError):
            wait_until_stopped(tmp_path, seconds=0.5)
        assert _responds(url)
        processes[2].communicate()
        wait_until_stopped(tmp_path)
        assert not _responds(url)
    with shared_stack(tmp_path, "redis") as again:
        assert _responds(again.redis_url)
    wait_until_stopped(tmp_path)


def test_kill_9_of_every_user_leaves_nothing_running(tmp_path: Path) -> None:
    with _users(tmp_path, 2) as (processes, urls):
        (url,) = urls
        for process in processes:
            process.kill()
        wait_until_stopped(tmp_path)
        assert not _responds(url)


def test_a_supervisor_that_was_killed_is_replaced(tmp_path: Path) -> None:
    with _users(tmp_path, 1) as (_, (url,)):
        (supervisor,) = [
            pid
            for pid in map(int, (entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()))
            if _is_supervisor(pid, tmp_path)
        ]
        subprocess.run(["kill", "-9", str(supervisor)], check=True)
        wait_until_stopped(tmp_path)
        assert not _responds(url)
        with shared_stack(tmp_path, "redis") as stack:
            assert _responds(stack.redis_url)
    wait_until_stopped(tmp_path)


def _is_supervisor(pid: int, directory: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"tests.harness.shared_stack" in words and str(directory / "shared-redis").encode() in words
