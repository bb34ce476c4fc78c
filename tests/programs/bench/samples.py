"""Media files to upload: valid, of any size, and quick to make."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

PHOTO_BYTES = 200_000
_BLOCK_BYTES = 8 * 1024 * 1024
_BOX_HEADER_BYTES = 16


def make_large_video(ffmpeg: str, target: Path, size_bytes: int) -> None:
    """Write an MP4 of exactly `size_bytes`: two seconds of video, then a `free` box of random bytes.

    Players and probes skip `free` boxes (ISO/IEC 14496-12, section 8.1.2). Random bytes cannot be compressed.
    """
    _ffmpeg(
        ffmpeg,
        ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-f", "lavfi", "-i", "sine", "-t", "2"],
        ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart"],
        target,
    )
    padding_bytes = size_bytes - target.stat().st_size
    if padding_bytes < _BOX_HEADER_BYTES:
        raise ValueError(f"a video cannot be made as small as {size_bytes} bytes")
    with target.open("ab") as file:
        file.write(struct.pack(">I4sQ", 1, b"free", padding_bytes))
        left = padding_bytes - _BOX_HEADER_BYTES
        while left:
            file.write(os.urandom(min(_BLOCK_BYTES, left)))
            left -= min(_BLOCK_BYTES, left)


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


def _ffmpeg(ffmpeg: str, source: list[str], encoding: list[str], target: Path) -> None:
    subprocess.run([ffmpeg, "-nostdin", "-v", "error", "-y", *source, *encoding, str(target)], check=True)
