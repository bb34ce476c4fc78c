"""Mounted disks for tests: small ones in memory, and ones that fail on command.

Mounting needs root; without it the test is skipped with the reason.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.harness.system_packages import require_programs

BLOCK = bytes(64 * 1024)
# mkfs.xfs makes none below 300 MiB
_IMAGE_BYTES = {"ext2": 8 * 1024**2, "ext4": 64 * 1024**2, "ext4 bigalloc": 64 * 1024**2, "xfs": 320 * 1024**2}


@contextmanager
def small_disk(point: Path, size_bytes: int) -> Iterator[Path]:
    """A tmpfs of that size at `point`."""
    point.mkdir()
    with _mounted("tmpfs", ["-o", f"size={size_bytes}", "tmpfs"], point):
        yield point


@contextmanager
def filesystem(kind: str, directory: Path) -> Iterator[Path]:
    """A filesystem of this kind: "ext2", "ext4", "ext4 bigalloc" (it allocates 64 KiB at once) or "xfs" in a file,
    "tmpfs", or "overlay" over `directory`."""
    point, image = directory / "mounted", directory / "image"
    point.mkdir(parents=True)
    options = [kind]
    if kind in _IMAGE_BYTES:
        program = f"mkfs.{kind.split()[0]}"
        require_programs([program], ["e2fsprogs", "xfsprogs"])
        image.touch()
        os.truncate(image, _IMAGE_BYTES[kind])
        features = ["-O", "bigalloc", "-C", str(len(BLOCK))] if kind == "ext4 bigalloc" else []
        subprocess.run([program, "-q", *features, str(image)], check=True)
        options = ["-o", "loop", str(image)]
    elif kind == "overlay":
        layers = [directory / name for name in ("lower", "upper", "work")]
        for layer in layers:
            layer.mkdir()
        names = ",".join(f"{layer.name}dir={layer}" for layer in layers)
        options = ["-o", names, kind]
    with _mounted(kind, options, point):
        yield point


@contextmanager
def _mounted(kind: str, options: Sequence[str], point: Path) -> Iterator[None]:
    """Mounted while the block runs. Skips the test where that is not allowed."""
    script = 'mount "$@" && echo mounted && cat && umount --lazy "$0"'
    command = ["sh", "-c", script, str(point), "-t", kind.split()[0], *options, str(point)]
    with _keeper(command, f"cannot mount {kind} here (this needs root)"):
        yield


@contextmanager
def _keeper(command: Sequence[str], no_mount: str) -> Iterator[subprocess.Popen[str]]:
    """A program that mounts a disk, prints "mounted", and unmounts it when its input ends. So it does if the tests are
    killed, with all of their process group. Skips the test if it could not mount."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    assert process.stdout is not None
    if process.stdout.readline() != "mounted\n":
        said = process.communicate()[1].strip().splitlines()
        pytest.skip(f"{no_mount}: {said[-1] if said else ''}")
    try:
        yield process
    finally:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors


def remount(point: Path, mode: str) -> bool:
    """Remount it "ro" or "rw"; False while a file on it is open for writing."""
    return subprocess.run(["mount", "-o", f"remount,{mode}", str(point)], capture_output=True).returncode == 0


def fill(directory: Path) -> Path:
    """Fill the disk with one file, as another program would; delete the file to free the space."""
    path = directory / "of-another-program"
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(BLOCK)
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x")
    return path


class FaultyDisk:
    """A mounted `tests.harness.faulty_disk`."""

    def __init__(self, point: Path, process: subprocess.Popen[str]) -> None:
        self.point = point
        self._process = process

    def fail(self, operation: str, number: int = errno.EIO, after_bytes: int = 0) -> None:
        """Fail this operation from now on, or once `after_bytes` more have passed."""
        self._send(f"fail {operation} {number} {after_bytes}")

    def delay(self, operation: str, seconds: float) -> None:
        """Delay each operation of this kind; the disk serves nothing else meanwhile."""
        self._send(f"delay {operation} {seconds}")

    def heal(self) -> None:
        self._send("heal")

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


@contextmanager
def faulty_disk(directory: Path) -> Iterator[FaultyDisk]:
    """A faulty disk at `directory`/mounted, over `directory`/backing."""
    backing, point = directory / "backing", directory / "mounted"
    backing.mkdir(parents=True)
    point.mkdir()
    command = [sys.executable, "-m", "tests.harness.faulty_disk", str(backing), str(point)]
    with _keeper(command, "cannot mount through FUSE here (this needs root and /dev/fuse)") as process:
        yield FaultyDisk(point, process)
