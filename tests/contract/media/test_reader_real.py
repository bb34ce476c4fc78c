"""The real reader: the sandbox changes no metadata, and few bytes are read in few ranges."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from pipeline.adapters.media.inside.metadata import describe
from pipeline.adapters.media.inside.refused import NotMedia
from pipeline.adapters.media.reader import SandboxedReader
from pipeline.core.errors import MediaError
from schemas.media import MediaMetadata
from tests.harness.media_corpus import CORPUS, corpus_file
from tests.harness.media_samples import sample

pytestmark = [pytest.mark.contract, pytest.mark.asyncio(loop_scope="module")]

_KIB, _MIB = 1024, 1024**2


class _Counting:
    """A `ByteSource` of a file, whose holes read as zeros, that notes what is read."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.size_bytes = path.stat().st_size
        self.read_bytes = 0
        self.ranges = 0
        self.end = 0

    async def read(self, offset: int, length: int) -> bytes:
        self.ranges += 1
        self.read_bytes += length
        self.end = max(self.end, offset + length)
        self._file.seek(offset)
        return self._file.read(length)

    def close(self) -> None:
        self._file.close()


def _outside(content: bytes) -> MediaMetadata | str:
    try:
        return describe(io.BytesIO(content), len(content))
    except NotMedia as refusal:
        return refusal.reason


@pytest.mark.parametrize("name", CORPUS)
async def test_the_sandbox_changes_no_metadata(reader: SandboxedReader, name: str) -> None:
    path = corpus_file(name)
    source = _Counting(path)
    found: MediaMetadata | str
    try:
        found = (await reader.read(source)).metadata
    except MediaError as error:
        found = str(error.detail["reason"])
    finally:
        source.close()
    assert found == _outside(path.read_bytes())


async def test_a_photo_is_one_range(reader: SandboxedReader) -> None:
    path = sample("jpeg")
    source = _Counting(path)
    assert (await reader.read(source)).frame is not None
    source.close()
    assert (source.ranges, source.read_bytes) == (1, path.stat().st_size)


@pytest.mark.parametrize("kind", ["index at the end", "index in front", "matroska"])
async def test_metadata_and_thumbnail_of_a_large_file_take_few_bytes(
    reader: SandboxedReader, tmp_path: Path, kind: str
) -> None:
    """The bytes between the samples and the end of the file are a hole: 1 GiB of a box that is skipped."""
    content = sample({"index at the end": "mp4", "index in front": "mp4_faststart", "matroska": "mkv"}[kind])
    path = tmp_path / "large"
    hole = 1024 * _MIB
    with path.open("wb") as file:
        if kind == "matroska":
            file.write(content.read_bytes())
            file.truncate(hole)
        else:
            whole = content.read_bytes()
            at = whole.index(b"mdat" if kind == "index in front" else b"moov") - 4
            if kind == "index in front":
                file.write(whole)
                file.write((1).to_bytes(4, "big") + b"free" + hole.to_bytes(8, "big"))
                file.truncate(len(whole) + hole)
            else:
                file.write(whole[:at])
                file.write((1).to_bytes(4, "big") + b"free" + hole.to_bytes(8, "big"))
                file.seek(at + hole)
                file.write(whole[at:])
    source = _Counting(path)
    found = await reader.read(source)
    source.close()
    assert found.frame is not None
    assert found.frame.jpeg is not None
    assert source.size_bytes >= hole
    assert source.read_bytes <= 2 * _MIB
    assert source.ranges <= 32
    if kind == "index in front":  # what follows the samples may be yet to arrive
        assert source.end <= content.stat().st_size + _MIB
