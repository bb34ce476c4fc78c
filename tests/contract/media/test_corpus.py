"""The reader's metadata of the corpus: what is true of each file, and what a full local ffprobe says of it.

A difference from ffprobe fails unless Debian's ffprobe, which has other decoders, says the same as the reader, or a
line of `EXPLAINED` gives the reason. `pytest -s` prints every difference with its reason.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import NamedTuple

import pytest

from pipeline.adapters.media.inside.metadata import describe
from schemas.media import MediaMetadata
from tests.harness.ffprobe import ffprobe_path
from tests.harness.media_corpus import CORPUS, corpus_file
from tests.harness.media_corpus_unfinished import UNFINISHED
from tests.harness.media_reference import Facts, ffprobe_facts, metadata_facts, same
from tests.harness.system_packages import require_programs

pytestmark = pytest.mark.contract


class Explained(NamedTuple):
    """Why `field` differs in files whose name is like `name`. `missing`: only where ffprobe states nothing."""

    name: str
    field: str
    reason: str
    missing: bool = False


_AVERAGE = "an average of the packets that were read, and ffprobe reads others"
_NO_ZLIB = "this ffprobe has no zlib"
EXPLAINED = (
    Explained(
        "*", "streams.*.bit_depth", "ffprobe states it if the decoder does; the pixel format has it", missing=True
    ),
    Explained("*_cover*", "streams.*.frame_rate", "a cover has no rate; ffprobe prints the clock"),
    Explained("*_cover*", "streams.*.matrix", "ffprobe prints no matrix of RGB", missing=True),
    Explained("*_cover*", "streams.*.range", _NO_ZLIB, missing=True),
    Explained("dv", "streams.0.average_frame_rate", "ffprobe prints the clock"),
    Explained("mp4_text_track", "streams.2.bit_rate", "our subtitles have none"),
    Explained("mpegts_*", "streams.1.bit_rate", _AVERAGE),
    Explained("mp4_tags", "tags.comment", "an override of the reading direction is removed"),
    Explained("matroska_rotate_tag", "streams.0.turned", "ffprobe prints it as a tag", missing=True),
    Explained("mp4_fragmented_*", "streams.*.bit_rate", _AVERAGE),
    Explained("mp4_fragmented_*", "streams.*.average_frame_rate", _AVERAGE),
    Explained("aiff_piped", "streams.0.*", "libavformat refuses an unfinished header", missing=True),
    Explained("rf64_unknown_size", "[st]*", "libavformat refuses an unfinished header", missing=True),
    Explained("w64_piped", "streams.0.*", "libavformat refuses an unfinished header", missing=True),
    Explained("flv_screen", "streams.0.*", _NO_ZLIB, missing=True),
)
EXPLAINED_OF_IMAGES = (
    Explained("*", "streams.*.frame_rate", "a still picture has no rate; ffprobe prints a default or the clock"),
    Explained("*", "streams.*.average_frame_rate", "a still picture has no rate; ffprobe prints a default"),
    Explained("gif_still", "*_*", "a still picture has no length and no bit rate"),
    Explained("*", "streams.*.turned", "ffprobe reads no orientation of this format", missing=True),
    Explained("*_grid*", "streams.0.coded_*", "the size of the whole and not of the first tile"),
    Explained("*_grid*", "streams.0.default", "tiles are not, the whole is"),
    Explained("avif_*", "streams.*.range", "ffprobe prints none of this decoder", missing=True),
    Explained("*_animated*", "*_*", "ffprobe finds no length of this format's animations", missing=True),
    Explained("png_*", "streams.0.*", _NO_ZLIB, missing=True),
    Explained("tiff_*", "streams.0.*", _NO_ZLIB, missing=True),
    Explained("webp_*", "streams.0.*", "libwebp reads no header that ffprobe could print", missing=True),
)
UNFINISHED_REASON = "ffprobe does not find the length of this; what is true is tested beside this"


@functools.cache
def _described(name: str) -> MediaMetadata:
    path = corpus_file(name)
    with path.open("rb") as file:
        return describe(file, path.stat().st_size)


@pytest.mark.parametrize("name", CORPUS)
def test_metadata_is_what_is_true_of_the_file(name: str) -> None:
    entry, metadata = CORPUS[name], _described(name)
    assert metadata.kind == entry.kind
    assert metadata.size_bytes == corpus_file(name).stat().st_size
    if entry.seconds is None:
        assert (metadata.duration_seconds, metadata.bit_rate) == (None, None)
    else:
        assert metadata.duration_seconds == pytest.approx(entry.seconds, abs=0.1, rel=0.005)
        assert metadata.duration_seconds
        assert metadata.bit_rate == pytest.approx(metadata.size_bytes * 8 / metadata.duration_seconds, rel=0.05)
    if metadata.picture is not None:
        assert (metadata.picture.rotation, metadata.picture.mirrored) == entry.turned
    assert MediaMetadata.model_validate_json(metadata.model_dump_json()) == metadata


@pytest.mark.parametrize("name", CORPUS)
def test_metadata_equals_that_of_ffprobe(name: str) -> None:
    require_programs(["ffprobe"], ["ffmpeg"])
    path, metadata = corpus_file(name), _described(name)
    ours, theirs = metadata_facts(metadata), ffprobe_facts(ffprobe_path(), path)
    unexplained = []
    for field in sorted(set(ours) | set(_comparable(metadata, theirs))):
        mine, other = ours.get(field), theirs.get(field)
        if same(mine, other):
            continue
        reason = _reason(name, field, other)
        if not reason and same(mine, _second(name).get(field)):
            reason = "Debian's says as we do"
        line = f"{name}: {field} is {mine!r}, ffprobe says {other!r}"
        sys.stdout.write(f"{line}: {reason or 'UNEXPLAINED'}\n")
        if not reason:
            unexplained.append(line)
    assert not unexplained


@functools.cache
def _second(name: str) -> Facts:
    """What Debian's ffprobe says."""
    return ffprobe_facts("ffprobe", corpus_file(name))


def _comparable(metadata: MediaMetadata, theirs: Facts) -> Iterator[str]:
    """What is compared of ffprobe's: in an image only the stream that is the picture, and not its tiles, previews and
    the names of its parts."""
    if metadata.kind != "image":
        yield from theirs
        return
    ours = tuple(f"streams.{stream.index}." for stream in metadata.streams)
    yield from (field for field in theirs if field.startswith(ours))


def _reason(name: str, field: str, theirs: object) -> str | None:
    if name in UNFINISHED and field in ("duration_seconds", "bit_rate"):
        return UNFINISHED_REASON
    for line in (*EXPLAINED, *(EXPLAINED_OF_IMAGES if CORPUS[name].kind == "image" else ())):
        if fnmatch(name, line.name) and fnmatch(field, line.field) and not (line.missing and theirs):
            return str(line.reason)
    return None
