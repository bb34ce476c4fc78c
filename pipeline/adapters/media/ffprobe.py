"""Metadata by ffprobe (`ports.MediaProbe`), in a sandboxed child process.

Guarantee: `probe` returns a `MediaMetadata`, or raises MediaError NOT_MEDIA (permanent; the reason is for people and
contains no path), MediaError MEDIA_TIMEOUT, SluiceError MEDIA_TOOL_FAILED (the machine is at fault; worth retrying),
TempVolumeError TEMP_FILE_MISSING or TEMP_VOLUME_FAILED. It only reads: a few megabytes, and indexes at the end of the
file. It decodes at most a few frames. A second call returns the same.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pipeline.adapters.media.image_header import HEAD_BYTES, ImageHeader, read_image_header
from pipeline.adapters.media.inside.formats import FORMAT_WHITELIST
from pipeline.adapters.media.parse import build_metadata, with_duration
from pipeline.adapters.media.refusals import raise_for_exit, run_tool
from pipeline.adapters.media.sandbox import Sandbox
from pipeline.adapters.media.webm_tail import last_packet_seconds
from pipeline.core.errors import MediaError, TempVolumeError
from schemas.media import MediaMetadata

# 64 streams take 100 KB; the limit is for files that declare a million.
_STDOUT_LIMIT_BYTES = 2 * 1024 * 1024
INPUT = ("-protocol_whitelist", "fd", "-format_whitelist", FORMAT_WHITELIST, "-i", "fd:")
"""Input options of both tools: read standard input through the `fd` protocol, which can seek, and nothing else."""

T = TypeVar("T")


class FfprobeMediaProbe:
    """Probes with the ffprobe `executable` (a path or a name on PATH; 7.1 or newer)."""

    def __init__(self, executable: str, timeout_seconds: float, sandbox: Sandbox) -> None:
        self._executable = executable
        self._timeout_seconds = timeout_seconds
        self._sandbox = sandbox

    async def probe(self, path: Path) -> MediaMetadata:
        """The metadata of the file at `path`. Errors: see the module."""
        result = await run_tool(
            self._sandbox,
            [
                *(self._executable, "-v", "error", "-of", "json=compact=1"),
                *("-show_format", "-show_streams", "-show_stream_groups", *INPUT),
            ],
            path,
            timeout_seconds=self._timeout_seconds,
            stdout_limit_bytes=_STDOUT_LIMIT_BYTES,
        )
        if result.stdout_overflowed:
            raise MediaError("NOT_MEDIA", reason="it declares more streams than any player can use")
        raise_for_exit(result, "ffprobe", self._timeout_seconds)
        size_bytes, head, image = await _reading(partial(_read_header, path))
        metadata = build_metadata(_json(result.stdout), size_bytes=size_bytes, head=head, image=image)
        if metadata.duration_seconds is None and metadata.container in ("webm", "matroska"):
            duration = await _reading(partial(_read_tail, path))
            if duration:
                return with_duration(metadata, duration)
        return metadata


async def _reading(read: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(read)
    except FileNotFoundError as error:
        raise TempVolumeError("TEMP_FILE_MISSING") from error
    except OSError as error:
        raise TempVolumeError("TEMP_VOLUME_FAILED", reason=error.strerror or str(error)) from error


def _read_header(path: Path) -> tuple[int, bytes, ImageHeader | None]:
    with path.open("rb") as file:
        size_bytes = file.seek(0, 2)
        image = read_image_header(file)
        file.seek(0)
        return size_bytes, file.read(min(HEAD_BYTES, 4096)), image


def _read_tail(path: Path) -> float | None:
    with path.open("rb") as file:
        return last_packet_seconds(file)


def _json(stdout: bytes) -> Any:
    try:
        return json.loads(stdout.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
