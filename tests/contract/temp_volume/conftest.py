"""A temp volume on the disk of the tests, and one on a disk of 4 MiB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.adapters.volume.temp_volume import DirectoryTempVolume
from tests.harness.disks import small_disk


@pytest.fixture
def volume(tmp_path: Path) -> DirectoryTempVolume:
    return DirectoryTempVolume("local", tmp_path / "made" / "when" / "missing")


@pytest.fixture
def tiny_volume(tmp_path: Path) -> Iterator[DirectoryTempVolume]:
    """A disk of 4 MiB."""
    with small_disk(tmp_path / "tiny", 4 * 1024**2) as directory:
        yield DirectoryTempVolume("tiny", directory)
