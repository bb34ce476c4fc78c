"""Media files to upload: valid, of any size, and quick to make."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

PHOTO_BYTES = 200_000
_EBML, _SEGMENT, _CUES = bytes.fromhex("1A45DFA3"), bytes.fromhex("18538067"), bytes.fromhex("1C53BB6B")
_BLOCK_BYTES = 8 * 1024 * 1024
_BOX_HEADER_BYTES = 16
_FILM_SECONDS = 5


def make_large_video(ffmpeg: str, target: Path, size_bytes: int) -> None:
    """Write an MP4 of exactly `size_bytes`: two seconds of video, then a `free` box of random bytes."""
    _ffmpeg(
        ffmpeg,
        ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-f", "lavfi", "-i", "sine", "-t", "2"],
        ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart"],
        target,
    )
    _pad(target, size_bytes)


def make_films(ffmpeg: str, directory: Path, count: int, size_bytes: int) -> list[Path]:
    """Write MP4 files of exactly `size_bytes`, each with other bytes: a film of about half of that, then a `free` box
    of random bytes."""
    directory.mkdir()
    film = directory / "film.mp4"
    rate = str(size_bytes * 8 // 2 // _FILM_SECONDS)
    _ffmpeg(
        ffmpeg,
        ["-f", "lavfi", "-i", "testsrc2=size=854x480:rate=25,noise=alls=12:allf=t", "-t", str(_FILM_SECONDS)],
        ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-b:v", rate, "-movflags", "+faststart"],
        film,
    )
    files = [directory / f"film-{number:04}.mp4" for number in range(count)]
    for file in files:
        shutil.copyfile(film, file)
        _pad(file, size_bytes)
    return files


def _pad(target: Path, size_bytes: int) -> None:
    """Append a `free` box of random bytes to an MP4. Players and probes skip such boxes (ISO/IEC 14496-12, section
    8.1.2), and random bytes cannot be compressed."""
    padding_bytes = size_bytes - target.stat().st_size
    if padding_bytes < _BOX_HEADER_BYTES:
        raise ValueError(f"a video cannot be made as small as {size_bytes} bytes")
    with target.open("ab") as file:
        file.write(struct.pack(">I4sQ", 1, b"free", padding_bytes))
        left = padding_bytes - _BOX_HEADER_BYTES
        while left:
            file.write(os.urandom(min(_BLOCK_BYTES, left)))
            left -= min(_BLOCK_BYTES, left)


LAYOUTS: Mapping[str, Sequence[str]] = {
    "mp4, index first": ["-movflags", "+faststart", "-f", "mp4"],
    "mp4, index last": ["-f", "mp4"],
    "Matroska": ["-f", "matroska"],
}
"""How ffmpeg writes a long video, by where its index is."""


def make_long_video(ffmpeg: str, target: Path, size_bytes: int, layout: str) -> None:
    """Write a video of about `size_bytes` with a real index over all of it: copies of one encoded clip, one after the
    other, so that only the disk limits how fast it is made."""
    clip = target.with_suffix(".clip.mkv")
    if not clip.exists():
        picture = ["-f", "lavfi", "-i", "testsrc2=size=854x480:rate=25,noise=alls=12:allf=t"]
        sound = ["-f", "lavfi", "-i", "sine", "-t", "4"]
        codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-crf", "26", "-c:a", "aac"]
        _ffmpeg(ffmpeg, [*picture, *sound], codecs, clip)
    copies = max(1, round(size_bytes / clip.stat().st_size))
    source = ["-stream_loop", str(copies - 1), "-i", str(clip)]
    _ffmpeg(ffmpeg, source, ["-c", "copy", *LAYOUTS[layout]], target)


def make_noise(target: Path, size_bytes: int) -> None:
    """Write random bytes, which are no media file."""
    with target.open("wb") as file:
        for start in range(0, size_bytes, _BLOCK_BYTES):
            file.write(os.urandom(min(_BLOCK_BYTES, size_bytes - start)))


def index_bytes(path: Path) -> int:
    """Bytes of a video's index: the `moov` box of an MP4, the Cues of a Matroska file."""
    with path.open("rb") as file:
        return _matroska_cues(file) if file.read(4) == _EBML else _mp4_moov(file)


def _mp4_moov(file: BinaryIO) -> int:
    file.seek(0)
    while head := file.read(8):
        size, kind = struct.unpack(">I4s", head)
        header = 8
        if size == 1:
            size, header = struct.unpack(">Q", file.read(8))[0], 16
        if kind == b"moov":
            return int(size)
        file.seek(size - header, os.SEEK_CUR)
    raise ValueError("there is no moov box")


def _matroska_cues(file: BinaryIO) -> int:
    """Walks the elements (RFC 8794) of the first two levels."""
    file.seek(0)
    while first := file.read(1):
        identifier = first + file.read(8 - first[0].bit_length())
        length = file.read(1)
        rest = file.read(8 - length[0].bit_length())
        size = int.from_bytes(length + rest, "big") & ((1 << 7 * (1 + len(rest))) - 1)
        if identifier == _CUES:
            return size
        if identifier != _SEGMENT:
            file.seek(size, os.SEEK_CUR)
    raise ValueError("there are no Cues")


def make_photo(ffmpeg: str, target: Path) -> None:
    """Write a JPEG of exactly 200 KB: noise, as detailed as a photo, at the best quality that fits, padded after its
    end marker."""
    picture = ["-f", "lavfi", "-i", "testsrc2=size=1280x960", "-frames:v", "1", "-vf", "noise=alls=30"]
    for quality in range(2, 32):
        _ffmpeg(ffmpeg, picture, ["-q:v", str(quality)], target)
        left = PHOTO_BYTES - target.stat().st_size
        if left >= 0:
            with target.open("ab") as file:
                file.write(bytes(left))
            return
    raise RuntimeError(f"{ffmpeg} could not make a JPEG of at most {PHOTO_BYTES} bytes")


def _ffmpeg(ffmpeg: str, source: Sequence[str], encoding: Sequence[str], target: Path) -> None:
    subprocess.run([ffmpeg, "-nostdin", "-v", "error", "-y", *source, *encoding, str(target)], check=True)
