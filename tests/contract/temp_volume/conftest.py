"""A temp volume on the disk of the tests, and one on a disk of 4 MiB."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.adapters.volume.temp_volume import DirectoryTempVolume


@pytest.fixture
def volume(tmp_path: Path) -> DirectoryTempVolume:
    return DirectoryTempVolume("local", tmp_path / "made" / "when" / "missing")


@pytest.fixture
def tiny_volume(tmp_path: Path) -> Iterator[DirectoryTempVolume]:
    """A disk of 4 MiB."""
    directory = tmp_path / "tiny"
    directory.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(directory)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.decode().strip()}")
    try:
        yield DirectoryTempVolume("tiny", directory)
    finally:
        subprocess.run(["umount", str(directory)], check=True)
