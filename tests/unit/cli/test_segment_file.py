"""A local file as segments."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import google_crc32c
import pytest

from deploy.cli.errors import FileChangedError
from deploy.cli.segment_file import SegmentFile

pytestmark = pytest.mark.unit

MEBIBYTE = 1024 * 1024
CONTENT = os.urandom(3 * MEBIBYTE + 5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(CONTENT)
    return path


async def test_a_digest_covers_only_its_segment(path: Path) -> None:
    offset, length = 100, 2 * MEBIBYTE
    segment = CONTENT[offset : offset + length]
    crc32c = base64.b64encode(google_crc32c.value(segment).to_bytes(4, "big")).decode()
    sha256 = base64.b64encode(hashlib.sha256(segment).digest()).decode()
    md5 = base64.b64encode(hashlib.md5(segment, usedforsecurity=False).digest()).decode()
    with SegmentFile(path) as file:
        assert await file.digest_header(offset, length, "crc32c") == {"Content-Digest": f"crc32c=:{crc32c}:"}
        assert await file.digest_header(offset, length, "sha-256") == {"Content-Digest": f"sha-256=:{sha256}:"}
        assert await file.digest_header(offset, length, "md5") == {"Content-MD5": md5}
        assert await file.digest_header(offset, length, "none") == {}


def test_a_file_that_nobody_writes_is_unchanged(path: Path) -> None:
    with SegmentFile(path) as file:
        file.check_unchanged()


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def _replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(CONTENT)
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [_append, _replace, Path.unlink, lambda path: os.utime(path, ns=(1, 1))])
def test_every_kind_of_change_is_detected(path: Path, change: object) -> None:
    assert callable(change)
    with SegmentFile(path) as file:
        change(path)
        with pytest.raises(FileChangedError):
            file.check_unchanged()


async def test_truncation_is_detected_while_the_file_is_read(path: Path) -> None:
    with SegmentFile(path) as file:
        os.truncate(path, 10)
        with pytest.raises(FileChangedError):
            await file.digest_header(0, len(CONTENT), "crc32c")
